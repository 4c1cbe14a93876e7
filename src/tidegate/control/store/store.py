"""Records in SQLite: what a call changes is on disk as a whole before it answers, or not at all.

Owns the file, its format's version and transactions. Refuses to know what records mean: each service has its kinds in
its own folder's `records.py`.

Calls are served one at a time (`store.thread` is the one thread for them), so there is one connection, and a
transaction sees nobody else's half-done work. A record is a JSON document under (kind, key): resources are few and
small, and a table for each kind would say nothing that its pydantic model does not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from tidegate.errors import ConfigError

FORMAT = 1
"""PRAGMA user_version of the file. A file of a later program is refused; one of an earlier is brought up to date."""

SCHEMA = """
CREATE TABLE records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""


class Part(BaseModel):
    """A part of a record. What can't be read is not told: errors are logged, and records hold keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Record(Part):
    """A resource as it is kept. Subclasses name their kind and the property that is their key, unique in the kind."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """What the record is found by. Parts of a compound key are joined by "/", the general part first."""
        raise NotImplementedError


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """The records of one kind, within a transaction."""

    def __init__(self, transaction: Transaction, record: type[R]) -> None:
        self._transaction = transaction
        self._record = record

    def get(self, key: str) -> R | None:
        """The record of that key."""
        row = self._transaction.execute("SELECT body FROM records WHERE kind = ? AND key = ?", self._record.kind, key)
        found = row.fetchone()
        return None if found is None else self._record.model_validate_json(found[0])

    def all(self, prefix: str = "") -> list[R]:
        """Those whose key begins with `prefix`, in the order of their keys (bytes of UTF-8)."""
        rows = self._transaction.execute(
            "SELECT body FROM records WHERE kind = ? AND substr(key, 1, ?) = ? ORDER BY key",
            self._record.kind,
            len(prefix),
            prefix,
        )
        return [self._record.model_validate_json(body) for (body,) in rows]

    def put(self, record: R) -> None:
        """Add it, or replace the one of its key."""
        self._transaction.write(
            record.kind,
            "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            record.kind,
            record.key,
            record.model_dump_json(),
        )

    def delete(self, key: str) -> bool:
        """Whether there was one."""
        cursor = self._transaction.write(
            self._record.kind, "DELETE FROM records WHERE kind = ? AND key = ?", self._record.kind, key
        )
        return cursor.rowcount > 0


class Transaction:
    """One call's view; see Store.transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.written: set[str] = set()
        """Kinds that were written to: what a commit is told about."""

    def table(self, record: type[R]) -> Table[R]:
        """The records of one kind."""
        return Table(self, record)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Read."""
        return self._connection.execute(sql, values)

    def write(self, kind: str, sql: str, *values: object) -> sqlite3.Cursor:
        """Change records of a kind."""
        self.written.add(kind)
        return self._connection.execute(sql, values)


class Store:
    """One file. To be used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make it (mode 0600). ConfigError if it can't be used."""
        self._path = path
        try:
            if not path.exists():
                path.touch(mode=0o600)
                _sync_folder(path.parent)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._bring_up_to_date()
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"state file {path}: {error}") from None

    def _bring_up_to_date(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ConfigError(
                f"state file {self._path} was written by a later Tidegate (format {version}, not {FORMAT})"
            )
        if version == 0:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")
            self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what was written at the end; nothing of it if the block raises. Not to be nested.

        sqlite3.OperationalError if the disk is full, say: then nothing has been written, and the next transaction
        begins as if this one had never been.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self._connection)
        try:
            yield transaction
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back on its own account: after an I/O error, or with the disk full.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _sync_folder(path: Path) -> None:
    """Put a new file's name on disk: SQLite does so for its journals alone."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
