"""One connection for each test that asks for it, and the certificates of those that are encrypted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.certificates import Files
from tests.unit.engine.ends import Ends


@pytest.fixture
def ends() -> Iterator[Ends]:
    """See Ends."""
    made = Ends()
    made.turn()
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An authority, and what it signs."""
    return Files(tmp_path_factory.mktemp("certificates"))
