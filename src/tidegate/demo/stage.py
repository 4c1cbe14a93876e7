"""The demo from start to end: a small database, the proxy before it, the storm on both, the report.

Owns the order of things and what is on the stage. Refuses to measure (`storm`) and to print tables (`report`).
"""

from __future__ import annotations

import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import FrameType

from tidegate.demo import processes
from tidegate.demo.client import Login
from tidegate.demo.postgres import PASSWORD, SUPERUSER, Cluster, bundled_binaries
from tidegate.demo.program import ProxyProgram
from tidegate.demo.report import Report, verdict
from tidegate.demo.storm import Storm, StormFailed, StormResult, run_storm

MAX_CONNECTIONS = 20
"""As on the smallest cloud databases, whose memory allows few connections."""

WAVES = 3
LINGER = 0.1
"""Seconds that a served client stays connected: its function works on, returns its answer, is frozen."""

PATIENCE = 30.0
"""Seconds that a client waits in all; functions behind an HTTP gateway have about as long."""

SPARE_DESCRIPTORS = 200
"""Open files of the proxy beside its clients' connections, generously."""

APP_USER, APP_PASSWORD, DATABASE = "app", "app", "shop"

SET_UP = f"""
CREATE ROLE {APP_USER} LOGIN PASSWORD '{APP_PASSWORD}';
CREATE DATABASE {DATABASE};
"""
TABLE = f"""
CREATE TABLE visit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
GRANT SELECT, INSERT ON visit TO {APP_USER};
"""
TRANSACTION = ("BEGIN", "INSERT INTO visit DEFAULT VALUES RETURNING id", "COMMIT")


class RowsLost(Exception):
    """A client was told that its transaction was committed, and its row is not there."""


class Stage:
    """The database, set up; and the proxy before it, once started."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self.max_connections = max_connections
        self.cluster = Cluster(bundled_binaries(), settings={"max_connections": max_connections})
        self.proxy: ProxyProgram | None = None

    def raise_database(self) -> None:
        """Make, start and fill the database."""
        self.cluster.initdb()
        self.cluster.start()
        self.cluster.psql(SET_UP)
        self.cluster.psql(TABLE, DATABASE)

    def raise_proxy(self) -> None:
        """Start the proxy on a free port, with the superuser as its own login and no list of users (pass-through)."""
        target = f"postgresql://{SUPERUSER}:{PASSWORD}@{self.cluster.host}:{self.cluster.port}"
        self.proxy = ProxyProgram(["--target", target, "--listen", "127.0.0.1:0"])
        self.proxy.start()

    @property
    def direct(self) -> Login:
        """The application's login straight at the database."""
        return Login(self.cluster.host, self.cluster.port, APP_USER, APP_PASSWORD, DATABASE)

    @property
    def superuser(self) -> Login:
        """The superuser's, which the database keeps connections in reserve for."""
        return Login(self.cluster.host, self.cluster.port, SUPERUSER, PASSWORD, DATABASE)

    @property
    def proxied(self) -> Login:
        """The application's login through the proxy."""
        assert self.proxy is not None
        return replace(self.direct, host=self.proxy.host, port=self.proxy.port)

    def storm(self, login: Login, storm: Storm, report: Report, title: str) -> StormResult:
        """One storm with its progress shown; RowsLost when the table does not have every acknowledged row."""
        before = self._rows()
        with report.progress(title, storm.clients * storm.waves) as on_report:
            result = run_storm(storm, login, self.cluster, self.superuser, on_report)
        if self._rows() - before < result.successes:
            raise RowsLost(f"{result.successes} clients were served, but {self._rows() - before} rows are there")
        return result

    def close(self) -> None:
        """Stop and delete everything."""
        if self.proxy is not None:
            self.proxy.kill()
            self.proxy.remove()
        self.cluster.remove()

    def _rows(self) -> int:
        return int(self.cluster.psql("SELECT count(*) FROM visit", DATABASE))


def perform(clients: int, keep: bool, report: Report) -> int:
    """The whole demo; 0 when the proxy served every client, else 1.

    Raises PostgresError, ProxyFailed, RowsLost, StormFailed.
    """
    _make_room(clients)
    storm = Storm(clients, WAVES, TRANSACTION, LINGER, PATIENCE)
    with ExitStack() as stack:
        # A plain `kill` must take database and proxy with it, as Ctrl-C does.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _exit))
        report.step(f"Starting PostgreSQL with max_connections = {MAX_CONNECTIONS}")
        stage = Stage()
        stack.callback(stage.close)
        stage.raise_database()
        work = f"connect, SCRAM, BEGIN, INSERT, COMMIT, {LINGER * 1000:.0f} ms of other work, close"
        report.step(f"{clients} clients at once, {WAVES} times: {work}")
        direct = stage.storm(stage.direct, storm, report, "Straight at the database")
        stage.raise_proxy()
        proxied = stage.storm(stage.proxied, storm, report, "Through Tidegate")
        report.table(direct, proxied)
        report.step(verdict(direct, proxied, stage.max_connections))
        if keep:
            report.step(f"Still running. Try it: psql '{stage.proxied.dsn()}'  (Ctrl-C ends it)")
            _wait_for_interrupt()
    return 0 if proxied.successes == proxied.attempts else 1


def _make_room(clients: int) -> None:
    """Let the processes started from here open a file for each client; StormFailed if they may not."""
    limit = processes.raise_descriptor_limit()
    if limit < clients + SPARE_DESCRIPTORS:
        fewer = f" or ask for fewer: --clients {limit - SPARE_DESCRIPTORS}" if limit > SPARE_DESCRIPTORS else ""
        raise StormFailed(
            f"{clients} clients take up to {clients + SPARE_DESCRIPTORS} open files in one process, and the limit is"
            f" {limit}: raise it (ulimit -Hn){fewer}"
        )


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _wait_for_interrupt() -> None:
    """Return at Ctrl-C."""
    with suppress(KeyboardInterrupt):
        signal.pause()
