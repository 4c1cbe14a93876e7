"""No file imports what it does not use, for the files that ruff cannot read: .pyx and .pxd."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_directions import FROM, ROOT, SOURCE, logical_lines

DOCSTRING = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""')
MODULES = re.compile(r"^\s*c?import\s+(?P<names>.+)$")


def bound_by(line: str) -> list[str]:
    """The names that a line with an import gives to its file."""
    found = FROM.match(line) or MODULES.match(line)
    if found is None:
        return []
    names = [one.strip("() ") for one in found["names"].split(",")]
    return [re.split(r"\s+as\s+|\.", name)[-1 if " as " in name else 0] for name in names if name]


def unused(path: Path) -> list[str]:
    """Names that a file imports and that occur nowhere else in it; what a .pxd imports, its .pyx sees too."""
    text = DOCSTRING.sub("", path.read_text())
    lines = [line for _, line in logical_lines(text)]
    bound = [name for line in lines for name in bound_by(line)]
    rest = "\n".join(line for line in lines if not bound_by(line))
    beside = path.with_suffix(".pyx")
    if path.suffix == ".pxd" and beside.exists():
        rest += DOCSTRING.sub("", beside.read_text())
    return [name for name in bound if not re.search(rf"\b{re.escape(name)}\b", rest)]


def compiled() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in (".pyx", ".pxd"))


@pytest.mark.parametrize("path", compiled(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_used(path: Path) -> None:
    assert unused(path) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from a.b cimport One, Two\ncdef Two x", ["One"]),
        ("from a import (\n    One,\n    Two,\n)\nx = One()", ["Two"]),
        ("import one, two.three\nx = two.three.four", ["one"]),
        ("from a import one as other\nx = one", ["other"]),
        ("cimport cython\n\n@cython.final\ncdef class A: pass", []),
        ('"""Says One."""\nfrom a import One  # One\n', ["One"]),
        ("from a import OneTwo\nx = One", ["OneTwo"]),
    ],
)
def test_the_reader_sees_what_is_unused(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "module.pyx"
    path.write_text(text)
    assert unused(path) == names


def test_what_a_declaration_imports_is_for_its_module_too(tmp_path: Path) -> None:
    (tmp_path / "module.pxd").write_text("from a cimport One, Two")
    (tmp_path / "module.pyx").write_text("cdef One x")
    assert unused(tmp_path / "module.pxd") == ["Two"]
