"""The database itself, without a proxy: what the proxies' latency and connects per second are compared with."""

from __future__ import annotations

from bench import cpu
from bench.contenders.base import Contender
from bench.database import Database


class Direct(Contender):
    """PostgreSQL, started by the run for all contenders; start() and stop() have nothing to do."""

    name = "direct"

    def __init__(self, database: Database, max_clients: int) -> None:
        self.label = database.version
        self.port = database.port
        self.max_clients = max_clients
        self._database = database

    def start(self) -> None:
        """Runs already."""

    def stop(self) -> None:
        """Runs on: the proxies need it."""

    def pids(self) -> list[int]:
        """The postmaster and every process of it (each in a session of its own, so found by parent)."""
        return cpu.family_of(self._database.pid)
