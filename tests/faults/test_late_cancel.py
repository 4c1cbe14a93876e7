"""A cancel request that the database takes late, when the client that it was for is done: it must hit nobody else.

The postmaster is stopped, so that cancel connections stand in its backlog while its backends go on working.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import assert_settles
from tests.support.wire import rows

PATIENCE = 3.0  # seconds: the shortest server_login_timeout, after which a cancel connection is given up


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """This process does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def side(postgres: Postgres, wire_role: str) -> Iterator[Side]:
    """One server connection, for which clients queue; without an SSLRequest, whose answer a cancel would wait for."""
    target = {"max_connections": 1, "server_login_timeout": PATIENCE, "sslmode": "disable"}
    with Proxy(postgres, target=target) as proxy:
        yield proxied_side(proxy, 1)


def test_a_server_whose_cancel_was_not_taken_is_lent_to_nobody(side: Side, postgres: Postgres) -> None:
    with side.login() as hasty, side.login() as other, side.login() as watcher:
        backend = watcher.value("SELECT 0 + pg_backend_pid()")
        hasty.send(m.query("SELECT 'done' FROM pg_sleep(1.5)"))
        with stopped(postgres.pid):
            cancelling = threading.Thread(target=hasty.cancel)
            cancelling.start()
            assert rows(hasty.read_ready()) == [(b"done",)]
            other.send(m.query("SELECT 'whole', pg_backend_pid() FROM pg_sleep(3)"))
            cancelling.join(PATIENCE + 5)
            assert not cancelling.is_alive(), "the proxy has given its own cancel connection up"
            time.sleep(0.2)
        ((whole, pid),) = rows(other.read_ready())
        assert whole == b"whole"
        assert pid is not None and pid.decode() != backend
        assert watcher.value("SELECT 1") == "1"
    assert_settles(postgres.dsn(), USER, 1)


def test_a_server_whose_cancel_was_taken_is_kept(side: Side, postgres: Postgres) -> None:
    with side.login() as hasty, side.login() as other:
        backend = hasty.value("SELECT 0 + pg_backend_pid()")
        for _ in range(3):
            hasty.send(m.query("SELECT pg_sleep(20)"))
            wait_until(lambda: waits_for(postgres, "PgSleep"), "it runs")
            hasty.cancel()
            hasty.read_ready()
            assert other.value("SELECT 0 + pg_backend_pid()") == backend


def waits_for(postgres: Postgres, event: str) -> bool:
    found = postgres.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = %s AND usename = %s", [event, USER])
    return bool(found)
