"""A statement that sleeps, known by a comment in its text, and what is done to it once it does.

Owns the question and the wait. Refuses to guess by the clock when a statement has begun.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.postgres import Postgres
from tests.support.tidegate import wait_until

ASLEEP = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"


def asleep(postgres: Postgres, mark: str) -> bool:
    """Whether a statement with this comment sleeps."""
    return bool(postgres.sql(ASLEEP, [f"%{mark}%"]))


def when_asleep(postgres: Postgres, mark: str, act: Callable[[], object]) -> None:
    """Act once a statement with this comment sleeps; AssertionError when none does."""
    wait_until(lambda: asleep(postgres, mark), f"{mark} sleeps")
    act()
