"""pool_size, min_pool_size, max_db_connections with several workers: one number for all, seen at the database."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.churn import Churn
from tests.support.crowd import inside_at_once
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import IN_DATABASE, Watch, assert_settles

Client = psycopg.Connection[tuple[object, ...]]

WORKERS = pytest.mark.parametrize("workers", [2, 4])
USER = "tenant_a"
THREE = ("tenant_a", "tenant_b", "app")
BORROW = {"connection_borrow_timeout": 3}
USERS: list[dict[str, object]] = [{"name": name, "password": name} for name in ("tenant_a", "tenant_b")]


def connect(proxy: Proxy, user: str = USER, database: str = USER) -> Client:
    return psycopg.connect(proxy.dsn(user, database), autocommit=True)


def served_at_once(proxy: Proxy, most: int, *databases: str) -> int:
    """How many of `most` clients can be inside a transaction at the same time."""
    names = databases or (USER,)
    return inside_at_once([connect(proxy, USER, names[number % len(names)]) for number in range(most)])


def waits_in_vain(client: Client, size: int, setting: str) -> None:
    """All `size` server connections are in use: the client gets none, and is told by which setting."""
    with pytest.raises(psycopg.errors.ConnectionException) as caught:
        client.execute("SELECT 1")
    assert f"All {size} server connections" in (caught.value.diag.message_detail or "")
    assert setting in (caught.value.diag.message_hint or "")


@WORKERS
def test_size_of_a_pool(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    databases = {USER: {"pool_size": 3}, "*": {}}
    with (
        Proxy(
            postgres, proxy=BORROW, databases=databases, target={"max_connections": 12}, top={"workers": workers}
        ) as proxy,
        Watch(postgres.dsn(), USER) as watch,
    ):
        for _ in range(3):  # which worker has how many clients and servers is another each time
            assert served_at_once(proxy, 8) == 3
    assert watch.highest == 3


@WORKERS
def test_size_of_a_user_over_databases(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    users = [{**USERS[0], "pool_size": 3}, USERS[1]]
    with (
        Proxy(postgres, proxy=BORROW, users=users, target={"max_connections": 12}, top={"workers": workers}) as proxy,
        Watch(postgres.dsn(), USER) as watch,
    ):
        connect(proxy, USER, "tenant_b").close()
        for _ in range(3):
            assert served_at_once(proxy, 8, "tenant_a", "tenant_b") == 3
        clients = [connect(proxy) for _ in range(8)]
        for number, client in enumerate(clients):
            if number < 3:
                client.execute("BEGIN")
        waits_in_vain(clients[7], 3, "pool_size of the user")
        for client in clients:
            client.close()
    assert watch.highest == 3


@WORKERS
def test_size_of_a_database_over_users(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    """Three users of one database have so many together; another database has its own, and nobody else's is touched."""
    databases = {"tenant_a": {"max_db_connections": 4}, "*": {"max_db_connections": 6}}
    target = {"max_connections": 20}
    with (
        Proxy(postgres, proxy=BORROW, databases=databases, target=target, top={"workers": workers}) as proxy,
        Watch(postgres.dsn(), "tenant_a", count=IN_DATABASE) as watch,
    ):
        for _ in range(3):
            assert inside_at_once([connect(proxy, THREE[number % 3], "tenant_a") for number in range(12)]) == 4
        assert inside_at_once([connect(proxy, THREE[number % 3], "tenant_b") for number in range(12)]) == 6
        clients = [connect(proxy, THREE[number % 3], "tenant_a") for number in range(5)]
        for client in clients[:4]:
            client.execute("BEGIN")
        waits_in_vain(clients[4], 4, "max_db_connections of the database")
        for client in clients:
            client.close()
    assert watch.highest == 4


def test_everybody_is_served_under_the_size_of_a_database(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Three users on two workers under two connections: they move between users and workers, and nobody starves."""
    databases = {"tenant_a": {"max_db_connections": 2}}
    with (
        Proxy(postgres, databases=databases, target={"max_connections": 12}, top={"workers": 2}) as proxy,
        Watch(postgres.dsn(), "tenant_a", count=IN_DATABASE) as watch,
        ThreadPoolExecutor(12) as pool,
    ):

        def visit(user: str) -> None:
            for _ in range(5):
                with connect(proxy, user, "tenant_a") as client:
                    assert client.execute("SELECT session_user").fetchall() == [(user,)]

        list(pool.map(visit, THREE * 4))
    assert watch.highest == 2


def test_a_reload_changes_the_size_of_a_database(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    target = {"max_connections": 12, "max_idle_connections_percent": 100}
    with (
        Proxy(postgres, proxy=BORROW, databases={"tenant_a": {}}, target=target, top={"workers": 2}) as proxy,
        Watch(postgres.dsn(), "tenant_a", count=IN_DATABASE) as watch,
    ):
        for size in (0, 5, 3, 7):
            proxy.databases["tenant_a"] = {"max_db_connections": size}
            assert proxy.reload()["ok"]
            most = size or 9
            if size:
                wait_until(lambda most=most: watch.now <= most, "those too many are closed", 5)  # type: ignore[misc]
            assert inside_at_once([connect(proxy, THREE[number % 3], "tenant_a") for number in range(9)]) == most


@WORKERS
@pytest.mark.parametrize("size", [1, 3])
def test_everybody_is_served_under_a_small_size(
    postgres: Postgres, tenants: tuple[str, ...], workers: int, size: int
) -> None:
    """Clients on all workers, more workers than servers at times: none waits for longer than the turns of the others.

    A turn is at most allocator.MAX_HOLD, however slow logins are.
    """
    databases = {USER: {"pool_size": size}}
    patience = {"connection_borrow_timeout": 3 * workers}
    with (
        Proxy(
            postgres, proxy=patience, databases=databases, target={"max_connections": 12}, top={"workers": workers}
        ) as proxy,
        Watch(postgres.dsn(), USER) as watch,
    ):
        with Churn(proxy.dsn(USER, USER), rotators=4 * workers, poison=["SELECT 1"]):
            time.sleep(2.0)
            wait_until(lambda: proxy.stats()["transactions"] > 200, "work goes on", 30)
        stats = proxy.stats()
        assert stats["borrow_timeouts"] == 0
        assert stats["servers_closed"] < stats["transactions"] / 5, "what costs most is not done for each"
    assert watch.highest == size


def test_size_while_workers_are_killed(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A dead worker's places come free when its servers are gone from the database, not before, and all of them."""
    databases = {USER: {"pool_size": 4}}
    with (
        Proxy(postgres, proxy=BORROW, databases=databases, target={"max_connections": 20}, top={"workers": 3}) as proxy,
        Watch(postgres.dsn(), USER) as watch,
    ):
        for index in (0, 1, 2, 0):
            clients = [connect(proxy) for _ in range(8)]
            for client in clients[:4]:
                client.execute("BEGIN")
                client.pgconn.send_query(b"SELECT pg_sleep(0.5)")
            killed = proxy.kill_worker(index)
            wait_until(lambda killed=killed: len(set(proxy.workers()) - {killed}) == 3, "a new worker")  # type: ignore[misc]
            for client in clients:
                client.close()
            wait_until(lambda: proxy.stats()["budgets"]["main"]["orphans"] == 0, "the dead worker's servers are gone")
            assert served_at_once(proxy, 6) == 4
    assert watch.highest == 4


def test_a_reload_changes_the_size_for_all(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    target = {"max_connections": 12, "max_idle_connections_percent": 100}
    with Proxy(postgres, proxy=BORROW, databases={USER: {}}, target=target, top={"workers": 3}) as proxy:
        assert served_at_once(proxy, 9) == 9
        for size in (5, 2, 7):
            proxy.databases[USER] = {"pool_size": size}
            assert proxy.reload()["ok"]
            wait_until(lambda size=size: len(postgres.backends(USER)) <= size, "those too many are closed", 5)  # type: ignore[misc]
            assert served_at_once(proxy, 9) == size
            assert_settles(postgres.dsn(), USER, size)


@WORKERS
def test_minimum_of_a_pool(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    """A peak's servers are closed down to the minimum, not to one minimum a worker; lost ones are opened again."""
    target = {"max_connections": 12, "max_idle_connections_percent": 100, "server_idle_timeout": 1}
    databases = {USER: {"min_pool_size": 3}}
    with Proxy(postgres, databases=databases, target=target, top={"workers": workers}) as proxy:
        assert served_at_once(proxy, 12) == 12
        wait_until(lambda: len(postgres.backends(USER)) == 3, "those beyond the minimum are closed")
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:
            assert len(postgres.backends(USER)) == 3
            time.sleep(0.05)
        clients = [connect(proxy) for _ in range(4 * workers)]  # so that every worker has a use for the pool
        postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [USER])
        wait_until(lambda: len(postgres.backends(USER)) == 3, "they are opened again")
        proxy.kill_worker(0)
        wait_until(lambda: len(proxy.workers()) == workers, "a new worker")
        wait_until(lambda: proxy.stats()["budgets"]["main"]["orphans"] == 0, "the dead worker's servers are gone")
        wait_until(lambda: len(postgres.backends(USER)) == 3, "also those of a worker that was killed")
        for client in clients:
            client.close()
