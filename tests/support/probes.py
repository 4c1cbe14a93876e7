"""Compiled test code: `.pyx` files in tests/probes reach the `cdef` parts of the product that Python can't call.

Owns their compilation into build/probes, once for each content of the probe and of the product's .pxd files. Refuses to
put anything into the product: what only tests need is in tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PROBES = ROOT / "tests" / "probes"
BUILT = ROOT / "build" / "probes"


@cache
def probe(name: str) -> ModuleType:
    """The module tests/probes/NAME.pyx, compiled if need be."""
    source = PROBES / f"{name}.pyx"
    seen = hashlib.sha256(sys.version.encode())
    for path in (source, *sorted(SOURCE.rglob("*.pxd"))):
        seen.update(path.read_bytes())
    folder = BUILT / seen.hexdigest()[:16]
    library = folder / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            build(source, folder, library)
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(source: Path, folder: Path, library: Path) -> None:
    """Cython, then the C compiler; a failure shows what they said."""
    written = folder / f"{source.stem}.c"
    run(sys.executable, "-m", "cython", "-3", "-I", str(SOURCE), "-o", str(written), str(source))
    include = sysconfig.get_path("include")
    half = library.with_suffix(".half")
    run("gcc", "-O0", "-shared", "-fPIC", f"-I{include}", "-w", "-o", str(half), str(written))
    os.replace(half, library)


def run(*command: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
