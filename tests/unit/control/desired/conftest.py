"""A fresh account for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """See Stage."""
    made = Stage(tmp_path)
    yield made
    made.store.close()
