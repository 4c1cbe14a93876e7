"""Names that clients may ask for: aliases, "*", forced users, and the sizes that go with them."""

from __future__ import annotations

import time

import psycopg
import pytest

from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import assert_settles

WHO = "SELECT current_database(), session_user, tenant FROM whose"
BORROW = {"connection_borrow_timeout": 4}


def connect(proxy: Proxy, user: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, database), autocommit=True)


def held(proxy: Proxy, user: str, database: str, most: int) -> list[psycopg.Connection[tuple[object, ...]]]:
    """Clients of one name, each inside a transaction, up to the first that finds no server; at most `most`."""
    clients = []
    for _ in range(most):
        client = connect(proxy, user, database)
        try:
            client.execute("BEGIN")
        except psycopg.errors.ConnectionException:  # 08000: nothing came free within the borrow timeout
            client.close()
            break
        clients.append(client)
    return clients


def freed(clients: list[psycopg.Connection[tuple[object, ...]]]) -> None:
    for client in clients:
        client.close()


def test_an_alias_leads_to_another_database(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    databases = {"shop": {"database": "tenant_a"}, "tenant_b": {}}
    with Proxy(postgres, databases=databases) as proxy:
        with connect(proxy, "tenant_b", "shop") as client:
            assert client.execute(WHO).fetchall() == [("tenant_a", "tenant_b", "tenant_a")]
        with connect(proxy, "tenant_b", "tenant_b") as client:
            assert client.execute(WHO).fetchall() == [("tenant_b", "tenant_b", "tenant_b")]
        for name in ("tenant_a", "postgres", "*"):
            with pytest.raises(psycopg.OperationalError, match=f'database "{name.replace("*", "[*]")}" does not exist'):
                connect(proxy, "tenant_a", name)


def test_a_star_is_every_other_name(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    databases = {"shop": {"database": "tenant_b"}, "*": {}}
    with Proxy(postgres, databases=databases) as proxy:
        for asked, found in (("shop", "tenant_b"), ("tenant_a", "tenant_a"), ("tenant_b", "tenant_b")):
            with connect(proxy, "tenant_a", asked) as client:
                assert client.execute(WHO).fetchall() == [(found, "tenant_a", found)]
        with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
            connect(proxy, "tenant_a", "nowhere")


def test_a_star_may_lead_all_names_to_one_database(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with Proxy(postgres, databases={"*": {"database": "tenant_a"}}) as proxy:
        for asked in ("x", "tenant_b"):
            with connect(proxy, "tenant_b", asked) as client:
                assert client.execute(WHO).fetchall() == [("tenant_a", "tenant_b", "tenant_a")]


def test_a_forced_user(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Whoever comes in, by their own password, is that user at the database; all share one pool."""
    databases = {"shared": {"database": "tenant_a", "user": "tenant_a", "password": "tenant_a"}, "*": {}}
    with Proxy(postgres, databases=databases, target={"max_connections": 3}) as proxy:
        pids = set()
        for user in ("tenant_b", "app", "tenant_a", "tenant_b"):
            with connect(proxy, user, "shared") as client:
                assert client.execute(WHO).fetchall() == [("tenant_a", "tenant_a", "tenant_a")]
                pids.add(client.info.backend_pid and client.execute("SELECT 0 + pg_backend_pid()").fetchone())
        assert len(pids) == 1, "clients of several users share the forced user's servers"
        with connect(proxy, "tenant_b", "tenant_b") as client:
            assert client.execute("SELECT session_user").fetchall() == [("tenant_b",)]
        wrong = proxy.dsn("tenant_b", "shared", "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        entry = {"database": "tenant_a", "user": "tenant_a", "password": "old"}
        proxy.databases["shared"] = entry
        assert proxy.reload()["ok"]
        postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tenant_a'")
        with pytest.raises(psycopg.OperationalError, match="tenant_a"):
            connect(proxy, "tenant_b", "shared").execute("SELECT 1")


def test_a_forced_users_password_comes_from_the_target_login(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with Proxy(postgres, databases={"*": {"user": "postgres"}}) as proxy, connect(proxy, "app", "app") as client:
        assert client.execute("SELECT session_user").fetchall() == [("postgres",)]


def test_pool_size_of_a_database(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """It holds for each user of the database, beside the target's limit; the message says which one was hit."""
    databases = {"tenant_a": {"pool_size": 2}, "*": {}}
    with Proxy(postgres, proxy=BORROW, databases=databases, target={"max_connections": 8}) as proxy:
        clients = held(proxy, "tenant_a", "tenant_a", 4)
        assert len(clients) == 2
        others = held(proxy, "tenant_b", "tenant_a", 4)
        assert len(others) == 2
        free = held(proxy, "tenant_b", "tenant_b", 4)
        assert len(free) == 4
        with connect(proxy, "tenant_a", "tenant_a") as late, pytest.raises(psycopg.OperationalError) as caught:
            late.execute("SELECT 1")
        assert caught.value.diag.message_primary == "Timed-out waiting to acquire database connection."
        assert "All 2 server connections" in (caught.value.diag.message_detail or "")
        assert "pool_size of the database" in (caught.value.diag.message_hint or "")
        freed(clients + others + free)
        assert_settles(postgres.dsn(), "tenant_a", 2)


def test_pool_size_of_a_forced_users_alias(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Two aliases of one database with users of their own: each has its own size."""
    databases = {
        "narrow": {"database": "tenant_a", "user": "tenant_a", "password": "tenant_a", "pool_size": 1},
        "wide": {"database": "tenant_a", "user": "tenant_b", "password": "tenant_b", "pool_size": 3},
    }
    with Proxy(postgres, proxy=BORROW, databases=databases, target={"max_connections": 8}) as proxy:
        wide = held(proxy, "app", "wide", 5)
        assert len(wide) == 3
        narrow = held(proxy, "app", "narrow", 5)
        assert len(narrow) == 1
        freed(wide + narrow)


def test_pool_size_of_a_user(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """It holds over all databases."""
    users = [
        {"name": "tenant_a", "password": "tenant_a", "pool_size": 2},
        {"name": "tenant_b", "password": "tenant_b"},
    ]
    with Proxy(postgres, proxy=BORROW, users=users, target={"max_connections": 6}) as proxy:
        first = held(proxy, "tenant_a", "tenant_a", 1)
        second = held(proxy, "tenant_a", "tenant_b", 3)
        assert (len(first), len(second)) == (1, 1)
        others = held(proxy, "tenant_b", "tenant_b", 4)
        assert len(others) == 4
        freed(first + second + others)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(proxy, "app", "app")


def test_a_users_servers_move_between_databases(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A user at its own limit: idle servers of one of its databases make room for another."""
    users = [{"name": "tenant_a", "password": "tenant_a", "pool_size": 2}]
    with Proxy(postgres, users=users, target={"max_connections": 6}) as proxy:
        for database in ("tenant_a", "tenant_b", "tenant_a"):
            clients = held(proxy, "tenant_a", database, 2)
            assert len(clients) == 2
            freed(clients)
        assert_settles(postgres.dsn(), "tenant_a", 2)


def test_minimum_size_is_opened_and_kept(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    databases = {"tenant_a": {"min_pool_size": 3, "pool_size": 4}, "*": {}}
    target = {"max_connections": 8, "server_idle_timeout": 0.5, "max_idle_connections_percent": 0}
    with Proxy(postgres, databases=databases, target=target) as proxy:
        wait_until(lambda: not postgres.backends("tenant_a"), "a pool that nobody has used has no minimum")
        connect(proxy, "tenant_a", "tenant_a").close()
        wait_until(lambda: len(postgres.backends("tenant_a")) == 3, "the minimum is opened")
        connect(proxy, "tenant_b", "tenant_b").close()
        clients = held(proxy, "tenant_a", "tenant_a", 4)
        assert len(clients) == 4
        freed(clients)
        wait_until(lambda: len(postgres.backends("tenant_a")) == 3, "what is above the minimum is closed")
        wait_until(lambda: not postgres.backends("tenant_b"), "a pool without a minimum is closed whole")
        kept = set(postgres.backends("tenant_a"))
        time.sleep(1.2)
        assert set(postgres.backends("tenant_a")) == kept
        postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tenant_a'")
        wait_until(lambda: len(postgres.backends("tenant_a")) == 3, "what is lost is replaced")


@pytest.mark.parametrize("workers", [2])
def test_minimum_size_of_several_workers_keeps_the_limit(
    postgres: Postgres, tenants: tuple[str, ...], workers: int
) -> None:
    """A minimum as large as the limit: however many workers have the pool, the limit holds and all are served."""
    databases = {"*": {"min_pool_size": 3}}
    target = {"max_connections": 3}
    with Proxy(postgres, databases=databases, target=target, top={"workers": workers}) as proxy:
        for _ in range(20):
            with connect(proxy, "tenant_a", "tenant_a") as client:
                client.execute("SELECT 1")
            with connect(proxy, "tenant_b", "tenant_b") as client:
                client.execute("SELECT 1")
            assert len(postgres.backends("tenant_a")) + len(postgres.backends("tenant_b")) <= 3
