"""pgbench as published, in all three protocols, with many more clients than servers: every transaction counts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.sides import Side

BALANCES = "SELECT sum(abalance) FROM pgbench_accounts", "SELECT sum(bbalance) FROM pgbench_branches"
PIPELINE = """\\set id random(1, 50)
\\startpipeline
SELECT name FROM conf_items WHERE id = :id;
SELECT :id::int + 1;
UPDATE pgbench_branches SET filler = 'pipeline' WHERE bid = 1;
\\endpipeline
"""


def pgbench(programs: Path, side: Side, *arguments: str) -> str:
    done = subprocess.run(
        [programs / "pgbench", *arguments],
        env={**os.environ, **side.environment()},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stderr and "aborted" not in done.stderr, done.stderr
    return done.stdout


def processed(output: str) -> int:
    """Transactions that were done; none may have failed."""
    assert "number of failed transactions: 0 " in output, output
    (done,) = re.findall(r"number of transactions actually processed: (\d+)", output)
    return int(done)


@pytest.fixture(scope="module")
def tables(programs: Path, proxied: Side) -> None:
    """Made through the proxy: pgbench fills them by COPY in one transaction."""
    pgbench(programs, proxied, "-i", "-s", "1", "-q")


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("clients", [20, 50])
def test_transactions(
    programs: Path, direct: Side, proxied: Side, tables: None, churned: None, protocol: str, clients: int
) -> None:
    """TPC-B-like: BEGIN, four statements, COMMIT; the books balance afterwards.

    A thread for each client where statements are prepared: pgbench waits for PQprepare, so that a client that queues
    for a server would stop those of its thread that hold one, and they would wait for each other.
    """
    threads = clients if protocol == "prepared" else 2
    output = pgbench(programs, proxied, "-n", "-M", protocol, "-c", str(clients), "-j", str(threads), "-t", "12")
    assert processed(output) == clients * 12
    with direct.login() as client:
        accounts, branches = (client.value(sql) for sql in BALANCES)
        assert accounts == branches == client.value("SELECT sum(delta) FROM pgbench_history")


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_single_statements(programs: Path, proxied: Side, tables: None, churned: None, protocol: str) -> None:
    """Select-only: a server changes hands after every statement."""
    assert processed(pgbench(programs, proxied, "-n", "-S", "-M", protocol, "-c", "50", "-j", "2", "-t", "60")) == 3000


@pytest.mark.parametrize("protocol", ["extended", "prepared"])
def test_pipelines(programs: Path, proxied: Side, tables: None, churned: None, tmp_path: Path, protocol: str) -> None:
    script = tmp_path / "pipeline.sql"
    script.write_text(PIPELINE)
    arguments = ("-n", "-M", protocol, "-f", str(script), "-c", "20", "-j", "2", "-t", "20")
    assert processed(pgbench(programs, proxied, *arguments)) == 400


def test_connection_for_each_transaction(programs: Path, proxied: Side, tables: None, churned: None) -> None:
    assert processed(pgbench(programs, proxied, "-n", "-S", "-C", "-c", "20", "-j", "2", "-t", "5")) == 100
