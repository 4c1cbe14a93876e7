"""Server connections from their first query to their end: init_query, idle time, lifetime."""

from __future__ import annotations

import time

import psycopg
import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import assert_settles

LIFETIME = 2


def connect(proxy: Proxy, user: str = "tenant_a") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, user), autocommit=True)


def opened(proxy: Proxy, count: int) -> set[object]:
    """That many servers at once; their process ids."""
    clients = [connect(proxy) for _ in range(count)]
    pids: set[object] = set()
    for client in clients:
        client.execute("BEGIN")
        pids.add(client.execute("SELECT 0 + pg_backend_pid()").fetchone())
    for client in clients:
        client.close()
    return pids


@pytest.fixture
def starts(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A table to which init_query writes whose server it ran on."""
    postgres.sql("DROP TABLE IF EXISTS starts", database="tenant_a")
    postgres.sql("CREATE TABLE starts (pid int)", user="tenant_a", database="tenant_a")


INIT_QUERY = "SET work_mem = '7MB'; INSERT INTO starts VALUES (pg_backend_pid()); SELECT 1"


@pytest.mark.parametrize("workers", [1, 2])
def test_init_query_runs_once_on_each_server(postgres: Postgres, starts: None, workers: int) -> None:
    """Before its first client, and not again for the next ones."""
    with Proxy(
        postgres, proxy={"init_query": INIT_QUERY}, target={"max_connections": 3}, top={"workers": workers}
    ) as proxy:
        with connect(proxy) as client:
            assert client.execute("SHOW work_mem").fetchone() == ("7MB",)
        for _ in range(2):
            pids = opened(proxy, 3)
            assert len(pids) == 3
        for client in [connect(proxy) for _ in range(3)]:
            assert client.execute("SHOW work_mem").fetchone() == ("7MB",)
            client.close()
        rows = postgres.sql("SELECT pid, count(*) FROM starts GROUP BY pid", database="tenant_a")
        assert {(pid,) for pid, _ in rows} >= pids
        assert {count for _, count in rows} == {1}


FAILING = {
    "an error": ("SELECT 1/0", "division by zero"),
    "a transaction left open": ("BEGIN", "init_query left a transaction open"),
    "COPY": ("COPY starts FROM STDIN", "out of place"),
}


@pytest.mark.parametrize(("sql", "said"), FAILING.values(), ids=FAILING.keys())
def test_init_query_that_fails(postgres: Postgres, starts: None, sql: str, said: str) -> None:
    """No client gets such a server, and each is told why; no server is left behind."""
    settings = {"init_query": sql, "connection_borrow_timeout": 2}
    with Proxy(postgres, proxy=settings, target={"max_connections": 2}) as proxy:
        with pytest.raises(psycopg.OperationalError) as caught:
            connect(proxy)
        assert said in str(caught.value)
        wait_until(lambda: not postgres.backends("tenant_a"), "it is closed")


def test_idle_servers_are_closed(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """After server_idle_timeout, all but those in use; the next client gets a new one."""
    target = {"max_connections": 4, "server_idle_timeout": 3, "max_idle_connections_percent": 100}
    with Proxy(postgres, target=target) as proxy, connect(proxy) as idle, connect(proxy) as busy:
        opened(proxy, 4)
        busy.execute("BEGIN")
        (kept,) = busy.execute("SELECT 0 + pg_backend_pid()").fetchone() or (0,)
        assert len(postgres.backends("tenant_a")) == 4
        wait_until(lambda: postgres.backends("tenant_a") == [kept], "the idle ones are closed")
        assert busy.execute("SELECT 1").fetchone() == (1,)
        assert idle.execute("SELECT 1").fetchone() == (1,)
        busy.execute("COMMIT")
        assert proxy.stats()["servers_closed_idle"] >= 3


def test_idle_servers_are_closed_after_all_were_in_use(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """For longer than server_idle_timeout, so that none was idle when they were looked at."""
    target = {"max_connections": 3, "server_idle_timeout": 1, "max_idle_connections_percent": 100}
    with Proxy(postgres, target=target) as proxy:
        clients = [connect(proxy) for _ in range(3)]
        for client in clients:
            client.execute("BEGIN")
        time.sleep(3.5)
        assert len(postgres.backends("tenant_a")) == 3
        for client in clients:
            client.execute("COMMIT")
        wait_until(lambda: not postgres.backends("tenant_a"), "all are closed")
        assert proxy.stats()["servers_closed_idle"] == 3
        for client in clients:
            client.close()


def test_of_those_that_nobody_uses_a_share_stays_open_for_longer(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """max_idle_connections_percent: what is more is closed at half of server_idle_timeout, the rest at its end."""
    target = {"max_connections": 4, "server_idle_timeout": 6, "max_idle_connections_percent": 25}
    with Proxy(postgres, target=target) as proxy:
        assert len(opened(proxy, 4)) == 4
        wait_until(lambda: not postgres.backends("tenant_a"), "all are closed")
        stats = proxy.stats()
        assert (stats["servers_closed_excess"], stats["servers_closed_idle"]) == (3, 1)


def test_idle_servers_are_kept(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """server_idle_timeout = 0."""
    target = {"max_connections": 3, "server_idle_timeout": 0, "max_idle_connections_percent": 100}
    with Proxy(postgres, target=target) as proxy:
        pids = opened(proxy, 3)
        time.sleep(2.5)
        assert {(pid,) for pid in postgres.backends("tenant_a")} == pids


def test_old_servers_are_replaced(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Idle ones at server_lifetime, busy ones when they come back, without a word to the client."""
    target = {"max_connections": 3, "server_lifetime": LIFETIME, "max_idle_connections_percent": 100}
    with Proxy(postgres, target=target) as proxy, connect(proxy) as client:
        first = opened(proxy, 3)
        client.execute("BEGIN")
        old = client.execute("SELECT 0 + pg_backend_pid()").fetchone()
        began = time.monotonic()
        while time.monotonic() < began + LIFETIME + 1:
            assert client.execute("SELECT 0 + pg_backend_pid()").fetchone() == old
            time.sleep(0.1)
        wait_until(
            lambda: not first - {old} & {(pid,) for pid in postgres.backends("tenant_a")}, "the idle ones are closed"
        )
        assert client.execute("SELECT 0 + pg_backend_pid()").fetchone() == old
        client.execute("COMMIT")
        assert client.execute("SELECT 0 + pg_backend_pid()").fetchone() != old
        wait_until(lambda: old not in {(pid,) for pid in postgres.backends("tenant_a")}, "the old one is closed")


def test_old_servers_under_load(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """All are replaced several times; no transaction is lost and the limit holds."""
    target = {"max_connections": 4, "server_lifetime": 1}
    with Proxy(postgres, target=target) as proxy:
        with Churn(proxy.dsn("tenant_a", "tenant_a"), rotators=6, poison=["SELECT 1"]):
            seen = set()
            began = time.monotonic()
            while time.monotonic() < began + 4:
                backends = postgres.backends("tenant_a")
                assert len(backends) <= 4
                seen.update(backends)
                time.sleep(0.05)
        assert len(seen) >= 12
        assert proxy.stats()["servers_closed_lifetime"] >= 8
        assert_settles(postgres.dsn(), "tenant_a", 4)
