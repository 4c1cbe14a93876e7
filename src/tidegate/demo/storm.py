"""A storm of clients on one address: real TCP connections, all at once, in waves; and what the database felt of it.

Owns the generator processes, the sampling of the database, and the collected result.
Refuses to print (`report`) and to start databases or proxies (`stage`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.demo import processes
from tidegate.demo.client import Login, Session
from tidegate.demo.generator import Orders, Report
from tidegate.demo.postgres import Cluster

SAMPLE_INTERVAL = 0.02
"""Seconds between two looks at pg_stat_activity; one look costs the database about 0.3 ms."""

SETTLE = 0.3
"""Seconds after the last client, in which backends end and report the CPU they used."""

PAUSE = 0.3
"""Seconds between two waves."""

GENERATORS = 2
"""Generator processes; one could not open connections as fast as two cores can take them."""


class StormFailed(Exception):
    """The storm itself could not be made, whatever stands it; the text says why."""


_COUNT_CONNECTIONS = (
    "SELECT count(*) FROM pg_catalog.pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()"
)


@dataclass(slots=True)
class StormResult:
    """What the clients met and what it cost the database. Times in seconds."""

    clients: int
    waves: int
    reports: list[Report] = field(default_factory=list)
    peak_connections: int = 0
    database_cpu: float = 0.0

    @property
    def attempts(self) -> int:
        """Connections tried."""
        return self.clients * self.waves

    @property
    def successes(self) -> int:
        """Clients whose transaction was committed and acknowledged."""
        return sum(not error for _, _, error in self.reports)

    @property
    def failures(self) -> Counter[str]:
        """How many clients met each error."""
        return Counter(error for _, _, error in self.reports if error)

    def connect_times(self) -> list[float]:
        """From connect() to the end of login, sorted, of those who got so far."""
        return sorted(connect for connect, _, _ in self.reports if connect is not None)

    def total_times(self) -> list[float]:
        """From connect() to the answer to COMMIT, sorted, of those who got so far."""
        return sorted(total for _, total, _ in self.reports if total is not None)


class Sampler:
    """Counts the database's connections every SAMPLE_INTERVAL over a connection that is reserved for a superuser."""

    def __init__(self, login: Login) -> None:
        self._session = Session(login)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._error: Exception | None = None
        self.peak = 0
        self._thread.start()

    def cpu_seconds(self) -> float:
        """CPU that the sampling itself has cost the database."""
        return processes.cpu_seconds(self._session.backend_pid)

    def close(self) -> int:
        """Stop and return the peak; raises what ended the sampling early."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._session.close()
        return self.peak

    def _run(self) -> None:
        try:
            while not self._stop.wait(SAMPLE_INTERVAL):
                self.peak = max(self.peak, int(self._session.ask(_COUNT_CONNECTIONS)[0][0]))
        except Exception as error:
            self._error = error


class Generators:
    """The generator processes. One wave() runs all their clients; `on_report` is called for each that has ended."""

    def __init__(self, orders: Sequence[Orders]) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tidegate.demo.generator", order.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=processes.python_environment(),
                text=True,
                start_new_session=True,
            )
            for order in orders
        ]
        for process in self._processes:
            if _next_line(process) != "ready":
                raise StormFailed("a process that plays the clients did not start")

    def wave(self, on_report: Callable[[Report], None]) -> None:
        """Let all clients go at once and follow them to the last."""
        lock = threading.Lock()
        failures: list[Exception] = []

        def follow(process: subprocess.Popen[str]) -> None:
            try:
                while (report := _next_line(process)) is not None:
                    with lock:
                        on_report(tuple(report))
            except Exception as error:
                failures.append(error)

        readers = [threading.Thread(target=follow, args=(process,)) for process in self._processes]
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        if failures:
            raise failures[0]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.communicate()


@dataclass(frozen=True, slots=True)
class Storm:
    """What the clients do; see generator.Orders for the seconds."""

    clients: int
    waves: int
    statements: tuple[str, ...]
    linger: float
    timeout: float

    def orders(self, login: Login) -> list[Orders]:
        """The clients shared out to the generator processes."""
        share, rest = divmod(self.clients, GENERATORS)
        counts = [share + (number < rest) for number in range(GENERATORS)]
        return [Orders(login, count, self.statements, self.linger, self.timeout) for count in counts if count]


def run_storm(
    storm: Storm, login: Login, cluster: Cluster, superuser: Login, on_report: Callable[[Report], None]
) -> StormResult:
    """Let the storm loose on `login`; `on_report` is told of each client that has ended.

    `cluster` and `superuser` are the database behind that address, for the measurements.
    """
    result = StormResult(storm.clients, storm.waves)

    def note(report: Report) -> None:
        result.reports.append(report)
        on_report(report)

    generators = Generators(storm.orders(login))
    sampler = Sampler(superuser)
    cpu_before = cluster.cpu_seconds() - sampler.cpu_seconds()
    try:
        for number in range(storm.waves):
            if number:
                time.sleep(PAUSE)
            generators.wave(note)
        time.sleep(SETTLE)
        result.database_cpu = cluster.cpu_seconds() - sampler.cpu_seconds() - cpu_before
    finally:
        generators.close()
        result.peak_connections = sampler.close()
    return result


def _next_line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise StormFailed(f"a process that plays the clients ended early, with status {process.wait()}")
    return json.loads(line)
