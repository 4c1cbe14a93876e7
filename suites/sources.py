"""Source distributions and the environments to run their tests in, kept under build/suites.

Owns fetching (by pip, from whatever index it is set up for, held to the pinned hash), unpacking and virtual
environments. Refuses to run anything of them but their installation.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from suites.catalogue import Source, Suite
from suites.errors import SuiteError

CACHE = Path(__file__).resolve().parents[1] / "build" / "suites"


def environment(suite: Suite) -> Path:
    """The Python of the suite's environment, made at its first use and whenever what it needs has changed."""
    archive = fetch(suite.source)
    folder = CACHE / "environments" / suite.source.project.lower()
    python = folder / "bin" / "python"
    stamp = folder / "stamp"
    needs = "\n".join((sys.version, suite.source.sha256, *suite.requirements))
    if stamp.exists() and stamp.read_text() == needs:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    own = [str(archive)] if suite.installs else []
    _run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *own, *suite.requirements)
    stamp.write_text(needs)
    return python


def unpacked(suite: Suite, label: str) -> Path:
    """A fresh copy of what the run sees of the distribution: suites write beside their tests."""
    archive = fetch(suite.source)
    folder = CACHE / "work" / f"{suite.name}-{label}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    if suite.keeps:
        for entry in root.iterdir():
            if entry.name not in suite.keeps:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if not _configures_pytest(root):
        (root / "pytest.ini").touch()  # else pytest would find this project's
    return root


def fetch(source: Source) -> Path:
    """The archive, downloaded once; SuiteError if it is not the one that is pinned."""
    folder = CACHE / "archives" / f"{source.project.lower()}-{source.version}"
    found = _archive_in(folder)
    if found is None:
        folder.mkdir(parents=True, exist_ok=True)
        how = ("--no-deps", "--no-build-isolation", "--no-binary", ":all:", "-q", "--disable-pip-version-check")
        _run(sys.executable, "-m", "pip", "download", *how, "-d", str(folder), source.requirement)
        found = _archive_in(folder)
    if found is None:
        raise SuiteError(f"pip has fetched no source distribution of {source.requirement}")
    if hashlib.sha256(found.read_bytes()).hexdigest() != source.sha256:
        raise SuiteError(f"{found} is not the {source.requirement} whose hash is pinned")
    return found


def _configures_pytest(root: Path) -> bool:
    sections = {"pyproject.toml": "[tool.pytest", "setup.cfg": "[tool:pytest]", "tox.ini": "[pytest]"}
    return any((root / name).exists() and words in (root / name).read_text() for name, words in sections.items())


def _archive_in(folder: Path) -> Path | None:
    return next(iter(folder.glob("*.tar.gz")), None)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SuiteError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}".rstrip())
