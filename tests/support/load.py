"""Clients of psycopg that come, ask and go while something changes beneath them.

Owns their threads, and what a visit is. Refuses to judge: a test says that `failures` stays empty.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import psycopg

from tests.support.tidegate import wait_until

CLIENTS = 4
Connect = Callable[[int], psycopg.Connection[Any]]
"""Logs a client in; its argument is the client's number."""


class Load:
    """CLIENTS that come, ask who they are and go, until the end of the block.

    `served` counts visits, those that failed among them; each visit asks `asks` times, `pause` seconds apart.
    """

    def __init__(self, connect: Connect, user: str, *, asks: int = 5, pause: float = 0.002) -> None:
        self.failures: list[str] = []
        self.served = 0
        self._connect, self._user, self._asks, self._pause = connect, user, asks, pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def more(self, clients: int = 20) -> None:
        """Wait until so many more were served."""
        goal = self.served + clients
        wait_until(lambda: self.served >= goal or self.failures, f"{clients} more clients are served", 30)

    def _work(self, number: int) -> None:
        while not self._over.is_set():
            try:
                with self._connect(number) as client:
                    for _ in range(self._asks):
                        assert client.execute("SELECT current_user").fetchone() == (self._user,)
                        time.sleep(self._pause)
            except (psycopg.Error, AssertionError) as error:
                self.failures.append(f"client {number}: {error}")
            self.served += 1
