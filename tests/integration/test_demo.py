"""The demo on a real database: its clients, its measurements, its PostgreSQL, and the whole of it through the proxy."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from tests.support.postgres import Postgres, available_majors
from tests.support.tidegate import wait_until
from tidegate.demo import processes
from tidegate.demo.client import ClientError, Session
from tidegate.demo.postgres import PostgresError, free_port
from tidegate.demo.report import Report
from tidegate.demo.stage import DATABASE, TRANSACTION, RowsLost, Stage, perform
from tidegate.demo.storm import Storm, run_storm


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(max_connections=20)
    try:
        stage.raise_database()
        yield stage
    finally:
        stage.close()


def quiet() -> Report:
    return Report(Console(file=io.StringIO()))


def test_a_few_clients_are_served_directly(stage: Stage) -> None:
    result = stage.storm(stage.direct, Storm(4, 2, TRANSACTION, 0.0, 30.0), quiet(), "direct")
    assert (result.successes, result.failures) == (8, {})
    assert len(result.connect_times()) == len(result.total_times()) == 8
    assert all(connect < total for connect, total in zip(result.connect_times(), result.total_times(), strict=True))
    assert 0 < result.database_cpu < 5


def test_too_many_clients_are_refused_directly(stage: Stage) -> None:
    result = stage.storm(stage.direct, Storm(100, 1, TRANSACTION, 0.5, 30.0), quiet(), "direct")
    assert result.successes + sum(result.failures.values()) == 100
    assert result.successes >= 10
    assert {error.split()[0] for error in result.failures} == {"53300"}
    assert 5 <= result.peak_connections <= 20


def test_a_lost_row_is_noticed(stage: Stage) -> None:
    with pytest.raises(RowsLost):
        stage.storm(stage.direct, Storm(3, 1, ("SELECT 1",), 0.0, 30.0), quiet(), "direct")


def test_nobody_listens(stage: Stage) -> None:
    nowhere = replace(stage.direct, port=free_port())
    result = run_storm(
        Storm(5, 1, TRANSACTION, 0.0, 30.0), nowhere, stage.cluster, stage.superuser, lambda report: None
    )
    assert result.failures == {"Connection refused": 5}


def test_a_silent_server_costs_a_clients_patience(stage: Stage) -> None:
    statements = ("SELECT pg_catalog.pg_sleep(30)",)
    result = run_storm(
        Storm(2, 1, statements, 0.0, 0.5), stage.direct, stage.cluster, stage.superuser, lambda report: None
    )
    assert result.failures == {"no answer within 0.5 s": 2}


def test_a_wrong_password_is_an_error(stage: Stage) -> None:
    with pytest.raises(ClientError, match="28P01"):
        Session(replace(stage.direct, password="wrong"))


@pytest.mark.parametrize("major", available_majors())
def test_a_cluster_starts_stops_and_crashes(major: int) -> None:
    with Postgres(major, max_connections=10) as postgres:
        postgres.start()
        port = postgres.port
        postgres.sql("CREATE TABLE kept AS SELECT 7 AS n")
        assert postgres.sql("SHOW max_connections") == [("10",)]
        with pytest.raises(PostgresError, match="running already"):
            postgres.start()
        backends = processes.children(postgres.pid)
        postgres.kill9()
        assert not postgres.running
        assert not [pid for pid in backends if processes.alive(pid)]
        postgres.start()
        assert postgres.port == port
        assert postgres.sql("SELECT n FROM kept") == [(7,)]
        postgres.restart("immediate")
        assert postgres.sql("SELECT n FROM kept") == [(7,)]
        postgres.settings["work_mem"] = "7MB"
        postgres.reload()
        wait_until(lambda: postgres.sql("SHOW work_mem") == [("7MB",)], "the reload")
        folder = postgres.folder
    assert not folder.exists()


def test_a_cluster_that_cannot_start_says_why() -> None:
    with Postgres(settings={"shared_buffers": "nonsense"}) as postgres, pytest.raises(PostgresError, match="nonsense"):
        postgres.start()


def test_cpu_of_backends_that_have_ended_is_counted(stage: Stage) -> None:
    before = stage.cluster.cpu_seconds()
    stage.cluster.psql("SELECT sum(i) FROM generate_series(1, 2000000) AS i", DATABASE)
    wait_until(lambda: stage.cluster.cpu_seconds() - before >= 0.05, "the backend's CPU")


def test_the_whole_demo() -> None:
    shown = io.StringIO()
    assert perform(60, False, Report(Console(file=shown, width=160))) == 0
    text = shown.getvalue()
    assert "180 of 180" in text
    assert "all 180 were served" in " ".join(text.split())


def test_keep_leaves_it_running_until_interrupted() -> None:
    """As a user runs it: `tidegate demo --keep`, then Ctrl-C."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "tidegate", "demo", "--clients", "10", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**processes.python_environment(), "COLUMNS": "300"},
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None
        lines: list[str] = []
        while not lines or "Try it" not in lines[-1]:
            line = demo.stdout.readline()
            assert line, "".join(lines)
            lines.append(line)
        dsn = lines[-1].split("psql '")[1].split("'")[0]
        answer = subprocess.run(
            [sys.executable, "-c", f"import psycopg; print(psycopg.connect({dsn!r}).execute('SELECT 42').fetchone())"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout == "(42,)\n"
        started = time.monotonic()
        os.kill(demo.pid, signal.SIGINT)
        assert demo.wait(30) == 0
        assert time.monotonic() - started < 30
    finally:
        demo.kill()
        demo.communicate()
