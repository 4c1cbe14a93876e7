"""Background clients that keep a proxy's servers changing hands, so that no test passes by getting the same one back.

Owns its threads and their connections. Refuses to be quiet: an error that a bystander meets fails the block that it
runs around.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import psycopg

POISON = (
    "SET search_path = churn_poison, pg_catalog",
    "SET DateStyle = 'German, DMY'",
    "SET TimeZone = 'Asia/Kathmandu'",
    "SET statement_timeout = '3h'",
    "SET standard_conforming_strings = off",
    "CREATE TEMP TABLE churn_temp (id int)",
    "PREPARE churn_statement AS SELECT 'poison'",
    "LISTEN churn_channel",
    "SELECT pg_advisory_lock_shared(4711)",
)
"""What a careless client leaves on its server connection; one of these at a time, for one pins and hides the next."""


class Churn:
    """Runs around a test: `with Churn(proxy.dsn("app", "app")): ...`; start() and stop() do the same by hand.

    `rotators` clients run short transactions of random length, so that servers go round. One more client connects,
    leaves one kind of poison behind, and disconnects, over and over. Each waits up to `pause` seconds between two
    transactions, to leave processor time for the test. If the poisoner `lingers`, it runs one statement more before it
    goes, so that a proxy has looked at what it left. If they are `enduring`, they come again when the server has ended
    their connection, as tests with pg_terminate_backend may; `ended` counts that.
    """

    def __init__(
        self,
        dsn: str,
        *,
        rotators: int = 4,
        pause: float = 0.01,
        poison: Sequence[str] = POISON,
        seed: int = 1,
        lingers: bool = False,
        enduring: bool = False,
    ) -> None:
        self._dsn = dsn
        self._pause = pause
        self._poison = poison
        self._seed = seed
        self._lingers = lingers
        self._enduring = enduring
        self.ended = 0
        self._stop = threading.Event()
        self._started = threading.Barrier(rotators + 2)
        self._began: set[int] = set()
        self._errors: list[BaseException] = []
        self.transactions = 0
        self.poisonings = 0
        self.rotators = rotators
        works: list[Callable[[random.Random], None]] = [*([self._rotate] * rotators), self._leave_poison]
        self._threads = [
            threading.Thread(target=self._run, args=(work, number), name=f"churn-{number}", daemon=True)
            for number, work in enumerate(works)
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except BaseException as own:
            if error is None:
                raise
            error.add_note(f"and the churn met: {own!r}")

    def start(self) -> None:
        """Start the clients; returns when each has done its first round."""
        for thread in self._threads:
            thread.start()
        with contextlib.suppress(threading.BrokenBarrierError):
            self._started.wait(30)
        if self._errors:
            self.stop()

    def stop(self) -> None:
        """End the clients; raises the first error that one of them met."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} hangs"
        if self._errors:
            raise self._errors[0]

    def _run(self, work: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(self._seed * 1000 + number)
        while not self._stop.is_set():
            try:
                work(chance)
            except BaseException as error:
                if self._enduring and isinstance(error, psycopg.OperationalError) and self._has_started():
                    self.ended += 1
                    continue
                self._errors.append(error)
                self._started.abort()
                return

    def _rotate(self, chance: random.Random) -> None:
        """Transactions of one to three statements on one client connection that stays."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._stop.is_set():
                with connection.transaction():
                    for _ in range(chance.randint(1, 3)):
                        connection.execute("SELECT pg_sleep(%s)", [chance.random() * 0.003])
                self.transactions += 1
                self._report_start()
                self._stop.wait(chance.random() * self._pause)

    def _leave_poison(self, chance: random.Random) -> None:
        """Connect, poison, disconnect; every kind in turn."""
        while not self._stop.is_set():
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                connection.execute(self._poison[self.poisonings % len(self._poison)].encode())
                if self._lingers:
                    connection.execute("SELECT 1")
            self.poisonings += 1
            self._report_start()
            self._stop.wait(chance.random() * self._pause)

    def poisoned_with(self, poison: str) -> int:
        """How often this kind has been left behind."""
        rounds, more = divmod(self.poisonings, len(self._poison))
        return rounds + (self._poison.index(poison) < more)

    def _report_start(self) -> None:
        if not self._has_started():
            self._began.add(threading.get_ident())
            self._started.wait(30)

    def _has_started(self) -> bool:
        return threading.get_ident() in self._began
