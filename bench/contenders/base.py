"""What every contender is to the workloads: an address to load, processes to measure, limits to respect.

Owns the verbs start, stop, pids and the facts about the common set-up. Refuses to know any workload.
"""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, Daemon
from tidegate.demo.postgres import free_port

START_TIMEOUT = 20.0


@dataclass(frozen=True)
class Login:
    """The one user and database of all loads; the verifier is the database's own, for the proxies' user lists."""

    user: str
    password: str
    verifier: str
    database: str


@dataclass(frozen=True)
class Setup:
    """What all contenders share: where the database is, who logs in, how large a proxy's pool is."""

    folder: Path
    database_port: int
    login: Login
    superuser: str
    superuser_password: str
    pool_size: int
    max_clients: int
    certificate: Path
    key: Path
    """What clients are shown that ask for TLS."""


class Contender(ABC):
    """One side of the comparison, started fresh by start() and measured through pids()."""

    name: str
    """Key in the results."""
    label: str
    """Name for people, with the version."""
    port: int
    max_clients: int
    """Most clients that it can serve at once in this set-up."""
    runs_prepared: bool = True
    """Whether named prepared statements work through it."""

    @abstractmethod
    def start(self) -> None:
        """Start and wait until it accepts connections; BenchError when it doesn't."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it and wait for its end."""

    @abstractmethod
    def pids(self) -> list[int]:
        """All its processes now."""


class ProxyContender(Contender):
    """A proxy: one daemon made from a configuration file, on a port of its own."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.max_clients = setup.max_clients
        self.port = free_port()
        self.folder = setup.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        self._daemon: Daemon | None = None

    @abstractmethod
    def launch(self) -> Daemon:
        """Write the configuration and start the program."""

    def start(self) -> None:
        """Start and wait until the port accepts."""
        self._daemon = self.launch()
        deadline = time.monotonic() + START_TIMEOUT
        while not _accepts(self.port):
            self._daemon.pids()  # raises when it has ended
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not listen after {START_TIMEOUT:.0f} s:\n{self._daemon.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the daemon, if it runs."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def pids(self) -> list[int]:
        """The daemon's session."""
        if self._daemon is None:
            raise BenchError(f"{self.name} is not running")
        return self._daemon.pids()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
