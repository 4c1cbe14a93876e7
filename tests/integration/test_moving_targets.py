"""Targets that come, go and move while the real proxy serves, and the clients and logins that move with them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Postgres, dsn
from tests.support.tidegate import Proxy, reload, target_address, wait_until
from tidegate.demo.postgres import free_port

USERS = [{"name": name, "password": name} for name in ("tenant_a", "tenant_b")]


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def proxy(request: pytest.FixtureRequest, postgres: Postgres, tenants: tuple[str, ...]) -> Iterator[Proxy]:
    with Proxy(postgres, target={"max_connections": 6}, top={"workers": request.param}) as proxy:
        yield proxy


@pytest.fixture
def other(postgres: Postgres, tenants: tuple[str, ...]) -> Iterator[Postgres]:
    """Another PostgreSQL with tenant_a, whose verifier is the same, as on a replica that took over."""
    with Postgres() as other:
        other.start()
        [(verifier,)] = postgres.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'tenant_a'")
        other.sql(f"CREATE ROLE tenant_a LOGIN PASSWORD '{verifier}'")
        other.sql("CREATE DATABASE tenant_a OWNER tenant_a")
        other.sql("CREATE TABLE whose AS SELECT 'moved' AS tenant", user="tenant_a", database="tenant_a")
        yield other


def connect(proxy: Proxy) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn("tenant_a", "tenant_a"), autocommit=True)


def test_a_target_comes_and_goes(proxy: Proxy, postgres: Postgres) -> None:
    """A removed target's servers are closed at the database once no client needs them."""
    port = free_port()
    target = {"name": "second", **target_address(postgres), "max_connections": 2}
    second = {"name": "second", "listen": [f"127.0.0.1:{port}"], "target": "second"}
    reload(proxy, proxies=[second], targets=[target])
    client = psycopg.connect(dsn("127.0.0.1", port, "tenant_b", "tenant_b"), autocommit=True)
    client.execute("BEGIN")
    reload(proxy, proxies=[], targets=[])
    assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_b",)
    client.execute("COMMIT")
    client.close()
    wait_until(lambda: not postgres.backends("tenant_b"), "its servers are closed")
    assert "second" not in proxy.stats()["budgets"]


def test_a_target_moves(proxy: Proxy, postgres: Postgres, other: Postgres) -> None:
    """New transactions run at the new address, those that run finish where they are, the old servers are closed."""
    with connect(proxy) as idle, connect(proxy) as busy:
        idle.execute("SELECT tenant FROM whose")
        busy.execute("BEGIN")
        reload(proxy, target=target_address(other))
        assert busy.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)
        with connect(proxy) as later:
            assert later.execute("SELECT tenant FROM whose").fetchone() == ("moved",)
        wait_until(lambda: idle.execute("SELECT tenant FROM whose").fetchone() == ("moved",), "the idle one moves")
        busy.execute("COMMIT")
        wait_until(lambda: busy.execute("SELECT tenant FROM whose").fetchone() == ("moved",), "so does the other")
        wait_until(lambda: not postgres.backends("tenant_a"), "nothing is left open at the old one")
    assert proxy.reload()["ok"]


def test_a_proxy_changes_its_target(proxy: Proxy, postgres: Postgres, other: Postgres) -> None:
    """Its clients move; those of another proxy stay at the former target."""
    port = free_port()
    stays = {"name": "stays", "listen": [f"127.0.0.1:{port}"], "target": "main"}
    reload(proxy, proxies=[stays], targets=[{"name": "other", **target_address(other)}])
    with connect(proxy) as moves, psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a")) as client:
        moves.execute("SELECT tenant FROM whose")
        reload(proxy, proxy={"target": "other"})
        wait_until(lambda: moves.execute("SELECT tenant FROM whose").fetchone() == ("moved",), "it moves")
        assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)


SHARED, OWN = "-c work_mem=1MB", "-c ignore_system_indexes=on"  # the latter only takes effect at a server's start


@pytest.mark.parametrize(
    ("users", "options"), [([], SHARED), (USERS, SHARED), (USERS, OWN)], ids=["role", "server", "own server"]
)
def test_a_login_that_waits_moves_with_its_target(proxy: Proxy, users: list[Any], options: str) -> None:
    """The old address never answers, neither what the role is nor what the start-up parameters would do."""
    reload(proxy, users=users, proxy={"connection_borrow_timeout": 30})
    right = target_address(proxy.postgres)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent, ThreadPoolExecutor() as threads:
        reload(proxy, target={"host": "127.0.0.1", "port": silent.getsockname()[1]})
        began = time.monotonic()
        logins = [
            threads.submit(psycopg.connect, proxy.dsn("tenant_a", "tenant_a"), options=options, autocommit=True)
            for _ in range(3)
        ]
        wait_until(lambda: proxy.stats()["clients"] == 3, "they have come")
        time.sleep(0.5)  # seconds: and wait
        reload(proxy, target=right)
        for login in logins:
            with login.result(10) as client:
                assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)
        assert time.monotonic() - began < 10


def test_a_client_that_listens_moves_with_its_target(proxy: Proxy, postgres: Postgres, other: Postgres) -> None:
    """It hears what is sent at the new address, after a notice that it may have missed something meanwhile."""
    notices: list[str | None] = []
    with connect(proxy) as idle:
        idle.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
        idle.execute("LISTEN moved")
        reload(proxy, target=target_address(other))

        def is_told() -> bool:
            return bool(list(idle.notifies(timeout=0.05)) or notices)

        wait_until(is_told, "it is told")
        assert notices == ["01T01"]
        other.sql("NOTIFY moved, 'here'", user="tenant_a", database="tenant_a")
        assert [one.payload for one in idle.notifies(timeout=5, stop_after=1)] == ["here"]
        listeners = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate' AND datname = 'tenant_a'"
        wait_until(lambda: postgres.sql(listeners) == [(0,)], "nothing listens at the old address", 12)
