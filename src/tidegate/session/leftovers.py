"""What a session has left behind at its server that no other may meet: asked for, not guessed.

Owns the query and the reading of its answer. Refuses to say when to ask, and settings (`settings`).

One row tells of all kinds: whatever was suspected, what is there is found. It is asked outside a transaction, when only
what outlives one is left: cursors WITH HOLD, session-level locks (PostgreSQL documentation, "System Views": pg_cursors,
pg_locks, pg_prepared_statements). Every object in a schema depends on it, so pg_depend knows all kinds of temporary
objects, and has an index that makes it quick.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.session.pins import PinReason

_EQUALS = b" OPERATOR(pg_catalog.=) "

_FOUND: dict[PinReason, bytes] = {
    PinReason.TEMP_OBJECT: b"pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS"
    b"(SELECT FROM pg_catalog.pg_depend WHERE refclassid" + _EQUALS + b"'pg_catalog.pg_namespace'::pg_catalog.regclass"
    b" AND refobjid" + _EQUALS + b"pg_catalog.pg_my_temp_schema())",
    PinReason.HOLD_CURSOR: b"EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)",
    PinReason.ADVISORY_LOCK: b"EXISTS(SELECT FROM pg_catalog.pg_locks WHERE locktype" + _EQUALS + b"'advisory'"
    b" AND pid" + _EQUALS + b"pg_catalog.pg_backend_pid())",
    PinReason.LISTEN: b"EXISTS(SELECT FROM pg_catalog.pg_listening_channels())",
    PinReason.SQL_PREPARE: b"EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql"
    b" AND pg_catalog.left(name,9) OPERATOR(pg_catalog.<>) 'tidegate_')",
}

KINDS = len(_FOUND)
"""Columns of the answer."""

LEFTOVERS_SQL = b"SELECT " + b",".join(_FOUND.values())
"""One row; see `left_behind`."""


def left_behind(row: Sequence[bytes | None]) -> tuple[PinReason, ...]:
    """The reasons that a row of LEFTOVERS_SQL gives; ValueError if it is no such row."""
    return tuple(reason for reason, found in zip(_FOUND, row, strict=True) if found == b"t")
