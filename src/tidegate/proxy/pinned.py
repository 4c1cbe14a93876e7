"""Which sessions keep their server now, and why: a row each, for `tidegate pins`.

Owns the rows and their words. Refuses to decide anything: `pinning` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tidegate.proxy.logs import statement

if TYPE_CHECKING:
    from tidegate.proxy.worker import Worker

MOST = 1000
"""Rows of one worker, those first that have been pinned longest."""

COLUMNS = ("reason", "seconds", "application", "user", "database", "server", "statement")

Row = Mapping[str, Any]


def pinned_sessions(worker: Worker) -> list[dict[str, Any]]:
    """A row for each pinned session: COLUMNS, `seconds` since it was pinned, `server` its backend's process id."""
    now = worker.loop.now
    clients = [client for gate in worker.gates.values() for client in gate.clients if client.pin is not None]
    clients.sort(key=lambda client: client.pinned_at)
    return [
        {
            "reason": str(client.pin),
            "seconds": round(now - client.pinned_at, 1),
            "application": statement(client.seen.values.get("application_name", b"")),
            "user": client.pool.key[1],
            "database": client.pool.key[0],
            "server": client.server_pid,
            "statement": statement(client.pin_text or b""),
        }
        for client in clients[:MOST]
    ]


def table(rows: Iterable[Row]) -> str:
    """Plain columns with a header; a statement is one line, and the last column."""
    lines = [COLUMNS, *(tuple(str(row[name]) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
