"""What the fuzzer once found (fuzz/found), tried again on the ordinary build; and each of its targets, on nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS

FOUND = sorted((Path(__file__).parents[2] / "fuzz" / "found").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_found_input(path: Path) -> None:
    TARGETS[path.name.rpartition("-")[0]].attempt(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_empty_input(name: str) -> None:
    """Notices a target that no longer fits what it tries."""
    TARGETS[name].attempt(b"")
