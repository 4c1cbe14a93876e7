"""Slots of a worker that died: free once its backends are gone from the database.

Owns the question to pg_stat_activity. Refuses to free a slot: the supervisor does, by what it hears.

Whoever asks sees every backend's process id. The other columns (pg_stat_get_activity in pgstatfuncs.c) are NULL in the
rows of roles that it is no member of, unless it is a superuser or in pg_read_all_stats, which the proxy's own login
need not be. So a backend is gone when no row has its process id but those of processes that are seen to be no
client's. A number that another backend has got by then keeps the slot until that one ends, too: rather that than one
too many. A backend whose process id the dead worker had not heard of yet is known by its port, where ports can be
seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.errors import PgError
from tidegate.proxy.control import Message, Reclaim, Reclaimed

if TYPE_CHECKING:
    from tidegate.proxy.target import Target
    from tidegate.proxy.worker import Worker

ALIVE_SQL = (
    b"SELECT pid::pg_catalog.text, client_port::pg_catalog.text FROM pg_catalog.pg_stat_activity"
    b" WHERE backend_type IS NULL OR backend_type OPERATOR(pg_catalog.=) ANY (ARRAY['client backend', 'walsender'])"
)


class Reclaimer:
    """Answers the supervisor's questions about one target, one after the other."""

    def __init__(self, worker: Worker, target: Target, send: Callable[[Message], None]) -> None:
        self._worker = worker
        self._target = target
        self._send = send

    def ask(self, question: Reclaim) -> None:
        """Find out which of these backends are gone, and say so."""

        def answered(rows: list[list[bytes | None]], error: PgError | None) -> None:
            if error is not None:
                self._worker.log.warning("cannot see which backends of a dead worker are left: %s", error)
                return
            pids = {int(row[0] or b"0") for row in rows}
            ports = {int(row[1] or b"0") for row in rows}
            gone = tuple(
                each.slot for each in question.slots if not (each.pid in pids if each.pid else each.port in ports)
            )
            self._send(Reclaimed(round=question.round, target=question.target, slots=gone))

        self._worker.targets.roles_of(self._target).run(ALIVE_SQL, answered)
