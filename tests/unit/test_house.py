"""Rules of the house that no linter knows: what a module says of itself, how a file is named, how long it may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
CODE = ("src", "tests", "bench", "fuzz", "soak")
MAX_LINES = 500
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}
RESPONSIBILITY = re.compile(r"\b(owns?|refuses?)\b", re.IGNORECASE)
ENTRY_POINTS = {"__init__.py", "__main__.py"}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in (".py", ".pyx"))


def code_files() -> list[Path]:
    return sorted(
        path for folder in CODE for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".pyx", ".pxd")
    )


def docstring(path: Path) -> str:
    """The text before any code; Cython's is found by its quotes, since `ast` can't read the rest of it."""
    text = path.read_text()
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    without_comments = re.sub(r"\A(\s*#[^\n]*\n|\s*\n)*", "", text)
    found = re.match(r'"""(.*?)"""', without_comments, re.DOTALL)
    return found[1].strip() if found else ""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    said = docstring(path)
    first_sentence = re.split(r"(?<=\.)\s", said)[0]
    assert first_sentence.endswith("."), f"{relative(path)}: not a word on what it is for"
    assert len(first_sentence.split()) >= 4, f"{relative(path)}: too short to say what it is for"
    if path.name not in ENTRY_POINTS:
        assert RESPONSIBILITY.search(said), f"{relative(path)}: says neither what it owns nor what it refuses to do"


@pytest.mark.parametrize("path", code_files(), ids=relative)
def test_no_file_is_a_drawer_for_everything(path: Path) -> None:
    assert path.stem.lower().strip("_") not in BANNED_NAMES
    assert path.parent.name.lower() not in BANNED_NAMES


@pytest.mark.parametrize("path", code_files(), ids=relative)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.pyx")), ids=relative)
def test_compiled_modules_have_a_readable_summary(path: Path) -> None:
    """mypy and other modules see a .pyx only through what lies beside it."""
    assert path.with_suffix(".pyi").exists() or path.with_suffix(".pxd").exists()
