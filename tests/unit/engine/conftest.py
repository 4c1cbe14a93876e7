"""One connection for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.engine.ends import Ends


@pytest.fixture
def ends() -> Iterator[Ends]:
    """See Ends."""
    made = Ends()
    made.turn()
    yield made
    made.close()
