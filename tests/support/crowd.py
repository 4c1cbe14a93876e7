"""Many clients at once: each comes, works for two transactions, leaves, and comes again; or all want a server and stay.

Owns the threads of the former, and what became of each visit. Refuses to judge: a test says which ends, and how many
clients with a server, were to be expected.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import psycopg

from tests.support.sides import Side
from tests.support.tidegate import wait_until
from tests.support.wire import ConnectionEnded, ServerError


class Crowd:
    """Clients that connect, run two transactions, and come again.

    `served` counts visits; `refused` are errors that they were told, `lost` connections that ended without their wish.
    """

    def __init__(self, side: Side, clients: int) -> None:
        self.side = side
        self.served = 0
        self.lost: list[str] = []
        self.refused: list[str] = []
        self._wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                with self.side.login(timeout=60) as client:
                    for _ in range(2):
                        client.query("BEGIN")
                        assert client.value(f"SELECT {number} FROM pg_sleep(0.002)") == str(number)
                        client.query("COMMIT")
                self.served += 1
            except ServerError as error:
                self.refused.append(str(error))
                self._stop.wait(0.01)
            except (ConnectionEnded, ConnectionError) as error:
                self.lost.append(repr(error))
                self._stop.wait(0.01)
            except BaseException as error:  # no answer for a minute, or a wrong one
                self._wrong.append(repr(error))
                return

    def wait_for(self, more: int) -> None:
        """Until so many more visits are over."""
        enough = self.served + more
        wait_until(lambda: self.served >= enough, f"{more} more are served", 60)

    def end(self) -> None:
        """Have all leave; AssertionError if one got a wrong answer, or none."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        assert self._wrong == []


def inside_at_once(clients: Sequence[psycopg.Connection[Any]]) -> int:
    """How many of these clients can be inside a transaction at the same time; they leave."""
    served = 0
    try:
        for client in clients:
            client.execute("BEGIN")
            served += 1
    except psycopg.errors.ConnectionException:  # 08000: nothing came free within the borrow timeout
        return served
    finally:
        for client in clients:
            client.close()
    return served
