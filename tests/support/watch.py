"""Watching a database from beside: how many backends a role has, and whether any is left in a transaction.

Owns one connection of its own, straight at the database. Refuses to act on what it sees.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import LiteralString, Self

import psycopg

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND backend_type IN ('client backend', 'walsender')"
IN_DATABASE = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state LIKE 'idle in transaction%%'"
PAUSE = 0.01  # seconds between two looks


class Watch:
    """Samples while its block runs: `now` is how many backends `user` had at the last look, `highest` the most so far.

    With `count` IN_DATABASE, `user` is the name of a database, and all its backends count. `looks` is how often was
    looked. `patient`: the database may go away and come back. `highest` may be set to 0 to begin anew.
    """

    def __init__(self, dsn: str, user: str, *, count: LiteralString = COUNT, patient: bool = False) -> None:
        self._dsn, self._user, self._count, self._patient = dsn, user, count, patient
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self.now = 0
        self.highest = 0
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._sample()
            except psycopg.OperationalError as error:
                if not self._patient:
                    self._error = error
                    return
                self._stop.wait(PAUSE)
            except BaseException as error:
                self._error = error
                return

    def _sample(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._stop.is_set():
                (count,) = connection.execute(self._count, [self._user]).fetchone() or (0,)
                self.now = count
                self.highest = max(self.highest, count)
                self.looks += 1
                self._stop.wait(PAUSE)


def assert_settles(dsn: str, user: str, limit: int, in_transaction: int = 0, timeout: float = 8.0) -> None:
    """Soon `user` has at most `limit` backends, only `in_transaction` of them in a transaction.

    Not at once: a backend whose client has just left, a direct one too, is still listed.
    """
    deadline = time.monotonic() + timeout
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            (backends,) = connection.execute(COUNT, [user]).fetchone() or (0,)
            (left,) = connection.execute(OPEN, [user]).fetchone() or (0,)
            if backends <= limit and left <= in_transaction:
                return
            assert time.monotonic() < deadline, f"{backends} backends, {limit} allowed; {left} in a transaction"
            time.sleep(0.02)
