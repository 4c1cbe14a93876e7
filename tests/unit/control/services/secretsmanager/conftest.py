"""Fixtures of Secrets Manager's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.control.services.secretsmanager.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The service over an empty store."""
    made = Desk(tmp_path)
    yield made
    made.store.close()
