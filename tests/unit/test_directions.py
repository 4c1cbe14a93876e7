"""Who may import whom, for the files that import-linter cannot read: .pyx, .pxd and .pyi.

The table is pyproject.toml's [tool.importlinter] section, the same that `lint-imports` holds for .py files.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
SUFFIXES = (".pyx", ".pxd", ".pyi", ".pxi")

FROM = re.compile(r"^\s*from\s+(?P<module>[.\w]+)\s+c?import\s+(?P<names>.+)$")
IMPORT = re.compile(r"^\s*c?import\s+(?P<modules>[\w.]+(?:\s*,\s*[\w.]+)*)")
HEADER = re.compile(r"^\s*cdef\s+extern\s+from\s+[<\"]+(?P<header>[\w./]+)")
OPENSSL = "openssl.ssl"
"""The header openssl/ssl.h. The engine calls OpenSSL; what it is forbidden is Python's own module `ssl`."""

INCLUDE = re.compile(r"^\s*include\s+['\"]")


@dataclass(frozen=True)
class Use:
    """One module or C header that a file names, and where."""

    path: Path
    line: int
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.importer} -> {self.imported}"


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; an import in parentheses is one line."""
    lines: list[tuple[int, str]] = []
    opened = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0]
        if opened:
            lines[-1] = (lines[-1][0], lines[-1][1] + " " + line.strip())
        else:
            lines.append((number, line))
        opened = opened + line.count("(") - line.count(")") if opened or re.match(r"\s*from\s", line) else 0
    return lines


def absolute(importer: str, is_package: bool, module: str) -> str:
    """Resolve leading dots as Python does."""
    dots = len(module) - len(module.lstrip("."))
    if not dots:
        return module
    parts = importer.split(".")
    base = parts[: len(parts) - dots + is_package]
    return ".".join([*base, *filter(None, [module[dots:]])])


def imported_by(line: str, importer: str, is_package: bool) -> list[str]:
    """Modules that one line imports or cimports, and headers it takes declarations from."""
    if found := FROM.match(line):
        module = absolute(importer, is_package, found["module"])
        names = [name.split()[0] for name in found["names"].strip("() ").split(",") if name.strip()]
        # `from . cimport pool` names a module, `from .pool cimport Pool` does not; both forms are looked at.
        return [module, *(f"{module}.{name}" for name in names)]
    if found := IMPORT.match(line):
        return re.split(r"\s*,\s*", found["modules"])
    if found := HEADER.match(line):
        return [found["header"].removesuffix(".h").replace("/", ".")]
    return []


def uses_of(path: Path, source: Path = SOURCE) -> list[Use]:
    parts = path.relative_to(source).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    importer = ".".join(parts[:-1] if is_package else parts)
    return [
        Use(path, number, importer, module)
        for number, line in logical_lines(path.read_text())
        for module in imported_by(line, importer, is_package)
    ]


def files() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in SUFFIXES)


def contracts() -> dict[str, dict[str, list[str]]]:
    section = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["id"]: contract for contract in section["contracts"]}


def layers() -> list[list[str]]:
    """Highest first; each a list of siblings."""
    return [[one.strip() for one in layer.split("|")] for layer in contracts()["directions"]["layers"]]


def place(module: str, order: list[list[str]]) -> tuple[int, str] | None:
    """Which layer, and which package of it, a module belongs to."""
    for level, siblings in enumerate(order):
        for package in siblings:
            if is_in(module, package):
                return level, package
    return None


def breaks_layers(use: Use, order: list[list[str]]) -> bool:
    importer, imported = place(use.importer, order), place(use.imported, order)
    if importer is None or imported is None or importer[1] == imported[1]:
        return False
    return imported[0] <= importer[0]


def breaks_ban(use: Use, contract: dict[str, list[str]]) -> bool:
    """A banned module under its own name, or as part of one of Cython's or C's: posix.time, sys/socket.h."""
    if not any(is_in(use.importer, source) for source in contract["source_modules"]):
        return False
    if use.imported == OPENSSL and is_in(use.importer, "tidegate.engine"):
        return False
    banned = contract["forbidden_modules"]
    if is_in(use.imported, "tidegate"):
        return any(is_in(use.imported, module) for module in banned)
    return any(part in banned for part in use.imported.split("."))


def test_there_are_files_to_look_at() -> None:
    assert len(files()) > 5


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_compiled_modules_keep_the_directions(path: Path) -> None:
    order = layers()
    assert [str(use) for use in uses_of(path) if breaks_layers(use, order)] == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_compiled_modules_keep_the_bans(path: Path) -> None:
    bans = [contract for contract in contracts().values() if contract["type"] == "forbidden"]
    assert [str(use) for use in uses_of(path) for ban in bans if breaks_ban(use, ban)] == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_is_pasted_into_another(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if INCLUDE.match(line)] == []


def test_every_package_is_in_the_table() -> None:
    """A new folder or module at the top must get its place."""
    top = {f"tidegate.{path.stem}" for path in (SOURCE / "tidegate").iterdir() if path.suffix in ("", ".py", ".pyx")}
    top -= {"tidegate.__init__", "tidegate.__pycache__"}
    assert top - {package for siblings in layers() for package in siblings} == set()


def violations(tmp_path: Path, name: str, text: str) -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = uses_of(path, tmp_path)
    bans = [contract for contract in contracts().values() if contract["type"] == "forbidden"]
    return [
        use.imported
        for use in found
        if breaks_layers(use, layers()) or any(breaks_ban(use, contract) for contract in bans)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "from tidegate.pool.core cimport Pool",
        "cimport tidegate.pool.core",
        "import tidegate.proxy",
        "from ...pool.core cimport Pool",
        "from ... cimport proxy",
        "from ...cli import main",
        "    from tidegate.engine.loop cimport (\n    Loop,\n    Timer)",
        "from tidegate cimport (\n    auth)",
        "import socket, struct",
        "from posix.time cimport clock_gettime",
        "from libc.time cimport time",
        'cdef extern from "<sys/socket.h>":',
        'cdef extern from "time.h" nogil:',
    ],
)
def test_the_reader_sees_what_is_not_allowed(tmp_path: Path, line: str) -> None:
    assert violations(tmp_path, "tidegate/wire/postgres/reader.pyx", line + "\n") != []


@pytest.mark.parametrize(
    "line",
    [
        "from tidegate.errors import PgError",
        "from .messages cimport build",
        "from ..postgres.messages cimport build",
        "from libc.string cimport memcpy",
        "cimport cython",
        "# from tidegate.pool cimport core",
        'cdef extern from "openssl/evp.h":',
    ],
)
def test_the_reader_lets_pass_what_is_allowed(tmp_path: Path, line: str) -> None:
    assert violations(tmp_path, "tidegate/wire/postgres/reader.pyx", line + "\n") == []
