"""What a session keeps besides settings and statements: temporary tables, cursors, locks, sequences' values.

Owns the records and what each does at a transaction's end. Refuses to know who may do what: operations do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum


class OnCommit(StrEnum):
    """CREATE TEMP TABLE ... ON COMMIT."""

    PRESERVE = "PRESERVE ROWS"
    DELETE = "DELETE ROWS"
    DROP = "DROP"


@dataclass(frozen=True)
class TempTable:
    """A temporary table with one integer column."""

    on_commit: OnCommit
    rows: tuple[int, ...] = ()

    def with_rows(self, rows: tuple[int, ...]) -> TempTable:
        """The same table, these rows added."""
        return replace(self, rows=self.rows + rows)


def at_commit(tables: dict[str, TempTable]) -> dict[str, TempTable]:
    """What a commit leaves of temporary tables."""
    return {
        name: replace(table, rows=()) if table.on_commit is OnCommit.DELETE else table
        for name, table in tables.items()
        if table.on_commit is not OnCommit.DROP
    }


@dataclass
class Cursor:
    """A cursor WITH HOLD. Neither its position nor its end is undone by a rollback ("ROLLBACK TO SAVEPOINT")."""

    values: tuple[int, ...]
    position: int = 0
    closed: bool = False

    def fetch(self, count: int) -> tuple[int, ...]:
        """The next rows."""
        rows = self.values[self.position : self.position + count]
        self.position += len(rows)
        return rows


@dataclass
class Locks:
    """Advisory locks by (key, shared); the session's are counted, a transaction's are gone with it."""

    session: Counter[tuple[int, bool]] = field(default_factory=Counter)
    transaction: set[tuple[int, bool]] = field(default_factory=set)

    def count(self) -> int:
        """Rows of pg_locks: one for each key and mode, however often it is held."""
        return len({*self.transaction, *self.held()})

    def held(self) -> list[tuple[int, bool]]:
        """Those of the session."""
        return [lock for lock, count in self.session.items() if count]

    def unlock(self, lock: tuple[int, bool]) -> bool:
        """pg_advisory_unlock; whether it was held."""
        if not self.session[lock]:
            return False
        self.session[lock] -= 1
        return True


@dataclass
class Advanced:
    """One call of nextval(); its value is known when its answer is in."""

    value: str = ""


@dataclass
class Sequences:
    """The last call by sequence, and of all: what currval() and lastval() tell. No rollback undoes any of it."""

    current: dict[str, Advanced] = field(default_factory=dict)
    last: Advanced | None = None

    def advance(self, name: str) -> Advanced:
        """nextval()."""
        self.last = self.current[name] = Advanced()
        return self.last

    def discard(self) -> None:
        """DISCARD SEQUENCES."""
        self.current.clear()
        self.last = None
