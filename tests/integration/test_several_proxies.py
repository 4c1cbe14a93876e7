"""Several proxies of one target: each treats its clients by its own settings, and servers are shared where they fit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres, dsn
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient

Client = psycopg.Connection[tuple[object, ...]]
SECOND = "second"


def two(postgres: Postgres, first: dict[str, Any], second: dict[str, Any], **others: Any) -> Proxy:
    """Proxies `main` and `second` of the same target with these settings."""
    table = {"name": SECOND, "listen": ["127.0.0.1:0"], "target": "main", **second}
    return Proxy(postgres, proxy=first, proxies=[table], **others)


def connect(proxy: Proxy, name: str = "main", user: str = "tenant_a", password: str | None = None) -> Client:
    return psycopg.connect(dsn("127.0.0.1", proxy.port_of(name), user, user, password), autocommit=True)


def reload(proxy: Proxy, first: dict[str, Any] | None = None, second: dict[str, Any] | None = None) -> None:
    proxy.proxy.update(first or {})
    proxy.proxies = [{**proxy.proxies[0], **(second or {})}]
    assert proxy.reload()["ok"]


def one(client: Client, sql: str) -> object:
    row = client.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def seconds_until_error(client: Client, match: str) -> float:
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match=match):
        client.execute("SELECT 1")
    return time.monotonic() - began


# connection_borrow_timeout


def test_each_ones_own_borrow_timeout(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """In one queue, whoever stands in front."""
    settings = {"connection_borrow_timeout": 4}, {"connection_borrow_timeout": 1}
    with two(postgres, *settings, target={"max_connections": 1}) as proxy, connect(proxy) as holder:
        holder.execute("BEGIN")
        waits: dict[str, float] = {}

        def wait(name: str) -> None:
            with connect(proxy, name) as client:
                waits[name] = seconds_until_error(client, f"in use for {4 if name == 'main' else 1} seconds")

        threads = [threading.Thread(target=wait, args=(name,)) for name in ("main", SECOND)]
        for thread in threads:
            thread.start()
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        assert 0.9 < waits[SECOND] < 2.5
        assert 3.9 < waits["main"] < 6


@pytest.mark.parametrize("workers", [1, 2])
def test_a_borrow_timeout_that_is_reloaded(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    settings = {"connection_borrow_timeout": 60}, {"connection_borrow_timeout": 60}
    top = {"workers": workers}
    with (
        two(postgres, *settings, target={"max_connections": 1}, top=top) as proxy,
        connect(proxy) as holder,
        connect(proxy) as patient,
        connect(proxy, SECOND) as hasty,
    ):
        holder.execute("BEGIN")
        reload(proxy, second={"connection_borrow_timeout": 1})
        assert seconds_until_error(hasty, "Timed-out waiting") < 3
        reload(proxy, first={"connection_borrow_timeout": 2}, second={"connection_borrow_timeout": 60})
        assert 1.9 < seconds_until_error(patient, "Timed-out waiting") < 5


# init_query

SEVEN = {"init_query": "SET work_mem = '7MB'"}
NINE = {"init_query": "SET work_mem = '9MB'"}


@pytest.mark.parametrize("workers", [1, 2])
def test_each_ones_own_init_query(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    """Also while servers go round and move between the two."""
    settings = {"target": {"max_connections": 3}, "top": {"workers": workers}}
    with (
        two(postgres, SEVEN, NINE, **settings) as proxy,
        Churn(proxy.dsn("tenant_a", "tenant_a"), rotators=2),
        Churn(dsn("127.0.0.1", proxy.port_of(SECOND), "tenant_a", "tenant_a"), rotators=2),
        connect(proxy) as first,
        connect(proxy, SECOND) as second,
    ):
        for _ in range(20):
            assert one(first, "SHOW work_mem") == "7MB"
            assert one(second, "SHOW work_mem") == "9MB"
            second.execute("SET work_mem = '1MB'; RESET work_mem")


@pytest.mark.parametrize("both", [{}, SEVEN], ids=["none", "the same"])
def test_servers_are_shared_where_it_is_the_same(
    postgres: Postgres, tenants: tuple[str, ...], both: dict[str, str]
) -> None:
    with two(postgres, both, both) as proxy, connect(proxy) as first, connect(proxy, SECOND) as second:
        assert one(first, "SELECT 0 + pg_backend_pid()") == one(second, "SELECT 0 + pg_backend_pid()")
        assert len(postgres.backends("tenant_a")) == 1
    with two(postgres, both, NINE) as proxy, connect(proxy) as first, connect(proxy, SECOND) as second:
        assert one(first, "SELECT 0 + pg_backend_pid()") != one(second, "SELECT 0 + pg_backend_pid()")


def test_side_effects_stay_apart(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """What no replay could bring to a server: it is its own."""
    postgres.sql("DROP SEQUENCE IF EXISTS begun", database="tenant_a")
    postgres.sql("CREATE SEQUENCE begun", user="tenant_a", database="tenant_a")
    init = {"init_query": "SELECT nextval('begun')"}
    with two(postgres, {}, init) as proxy, connect(proxy) as first, connect(proxy, SECOND) as second:
        for _ in range(3):
            assert one(second, "SELECT currval('begun')") == 1
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                first.execute("SELECT currval('begun')")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_init_query_that_is_reloaded(postgres: Postgres, tenants: tuple[str, ...], workers: int) -> None:
    """Clients that are in have the new one with their next transaction; the other proxy's servers stay."""
    with (
        two(postgres, SEVEN, NINE, target={"max_connections": 6}, top={"workers": workers}) as proxy,
        connect(proxy) as idle,
        connect(proxy) as busy,
        connect(proxy, SECOND) as other,
    ):
        idle.execute("SET maintenance_work_mem = '5MB'")
        assert one(idle, "SHOW work_mem") == "7MB"
        kept = one(other, "SELECT 0 + pg_backend_pid()")
        busy.execute("BEGIN")
        old = one(busy, "SELECT 0 + pg_backend_pid()")
        reload(proxy, first={"init_query": "SET work_mem = '11MB'; SET maintenance_work_mem = '6MB'"})
        assert one(busy, "SHOW work_mem") == "7MB"
        busy.execute("COMMIT")
        assert [one(client, "SHOW work_mem") for client in (idle, busy, other)] == ["11MB", "11MB", "9MB"]
        assert one(idle, "SHOW maintenance_work_mem") == "5MB"
        idle.execute("RESET maintenance_work_mem")
        assert one(idle, "SHOW maintenance_work_mem") == "6MB"
        wait_until(lambda: old not in postgres.backends("tenant_a"), "the old server is closed")
        assert one(other, "SELECT 0 + pg_backend_pid()") == kept


def test_a_client_that_waits_gets_the_new_one(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with two(postgres, SEVEN, NINE, target={"max_connections": 1}) as proxy, connect(proxy) as waiting:
        with connect(proxy) as holder:
            holder.execute("BEGIN")
            shown: list[object] = []
            thread = threading.Thread(target=lambda: shown.append(one(waiting, "SHOW work_mem")))
            thread.start()
            wait_until(lambda: proxy.stats()["clients_waiting"] == 1, "it waits")
            reload(proxy, first={"init_query": "SET work_mem = '11MB'"})
            holder.execute("COMMIT")
            thread.join()
        assert shown == ["11MB"]


def test_a_start_up_value_outlives_a_reload(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with (
        two(postgres, SEVEN, NINE) as proxy,
        psycopg.connect(proxy.dsn("tenant_a", "tenant_a") + "?options=-c%20work_mem%3D7MB", autocommit=True) as client,
    ):
        reload(proxy, first={"init_query": "SET work_mem = '11MB'"})
        assert one(client, "SHOW work_mem") == "7MB"
        client.execute("DISCARD ALL")
        assert one(client, "SHOW work_mem") == "7MB"


def test_reloads_under_load(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """To and fro, with clients of both proxies at work; nothing fails, and the last one holds for everyone."""
    with two(postgres, SEVEN, SEVEN, target={"max_connections": 4}) as proxy:
        with (
            Churn(proxy.dsn("tenant_a", "tenant_a"), rotators=3),
            Churn(dsn("127.0.0.1", proxy.port_of(SECOND), "tenant_a", "tenant_a"), rotators=3),
            connect(proxy) as client,
        ):
            for size in (8, 9, 7, 8):
                reload(proxy, first={"init_query": f"SET work_mem = '{size}MB'"})
                for _ in range(20):
                    assert one(client, "SHOW work_mem") == f"{size}MB"
                    assert len(postgres.backends("tenant_a")) <= 4
            reload(proxy, first={"init_query": ""})
            default = postgres.sql("SHOW work_mem")[0][0]
            assert one(client, "SHOW work_mem") == default
        reload(proxy, second={"init_query": ""})
        wait_until(
            lambda: {pool["servers"] for pool in proxy.stats()["pools"]} <= {1, 2, 3, 4}, "the old pools are gone", 5
        )


def test_a_failing_init_query_is_one_proxys_own(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with two(postgres, {}, {"init_query": "SELECT 1/0"}) as proxy:
        for _ in range(3):
            with pytest.raises(psycopg.OperationalError, match="division by zero"):
                connect(proxy, SECOND)
            with connect(proxy) as client:
                client.execute("SELECT 1")
        reload(proxy, second={"init_query": ""})
        connect(proxy, SECOND).close()


# The other settings


def test_each_ones_own_pool_mode(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    settings = {"pool_mode": "transaction"}, {"pool_mode": "session"}
    with (
        two(postgres, *settings, target={"max_connections": 2}) as proxy,
        connect(proxy, SECOND) as session,
        connect(proxy) as first,
        connect(proxy) as other,
    ):
        held = one(session, "SELECT 0 + pg_backend_pid()")
        pids = {one(client, "SELECT 0 + pg_backend_pid()") for client in (first, other) for _ in range(3)}
        assert held not in pids
        assert len(pids) == 1
        assert one(session, "SELECT 0 + pg_backend_pid()") == held


def test_each_ones_own_way_to_log_in(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A client that is trusted has shown no password, and takes none away from those who have."""
    with two(postgres, {"auth_method": "scram-sha-256"}, {"auth_method": "trust"}) as proxy:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(proxy, password="wrong")
        with connect(proxy) as known:
            known.execute("BEGIN")
            with connect(proxy, SECOND, password="wrong") as trusted, connect(proxy) as later:
                trusted.execute("SELECT 1")
                later.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(proxy, password="wrong")


def test_each_ones_own_limit_of_clients(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with two(postgres, {"max_client_connections": 2}, {"max_client_connections": 3}) as proxy:
        clients = [connect(proxy, name) for name in ("main", "main", SECOND, SECOND, SECOND)]
        for name, limit in (("main", 2), (SECOND, 3)):
            with pytest.raises(psycopg.OperationalError, match=f"proxy {name} has reached its limit of {limit} "):
                connect(proxy, name)
        for client in clients:
            client.close()


def ended_after(client: Client) -> Callable[[float], bool]:
    """Whether the client's session has ended within so many seconds from now."""

    def ended(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if client.pgconn.socket < 0:
                return True
            try:
                client.pgconn.consume_input()
            except psycopg.OperationalError:
                return True
            if client.pgconn.status == psycopg.pq.ConnStatus.BAD:
                return True
            time.sleep(0.05)
        return False

    return ended


@pytest.mark.parametrize(
    ("setting", "statement"), [("idle_client_timeout", "SELECT 1"), ("idle_in_transaction_timeout", "BEGIN")]
)
def test_each_ones_own_idle_timeouts(
    postgres: Postgres, tenants: tuple[str, ...], setting: str, statement: str
) -> None:
    with (
        two(postgres, {setting: 60}, {setting: 1}) as proxy,
        connect(proxy) as stays,
        connect(proxy, SECOND) as goes,
    ):
        stays.execute(statement.encode())
        goes.execute(statement.encode())
        assert ended_after(goes)(6)
        assert not ended_after(stays)(1.5)
        stays.execute("SELECT 1")


def test_each_ones_own_login_timeout(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    with two(postgres, {"login_timeout": 60}, {"login_timeout": 1}) as proxy:
        waits, ends = (RawClient("127.0.0.1", proxy.port_of(name)) for name in ("main", SECOND))
        ends.read_to_end()
        waits.login("tenant_a", "tenant_a", "tenant_a")


def test_each_ones_own_number_of_prepared_statements(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    most = {"main": 2, SECOND: 5}
    with two(postgres, {"max_prepared_statements": 2}, {"max_prepared_statements": 5}) as proxy:
        for name, limit in most.items():
            with connect(proxy, name) as client:
                for number in range(8):
                    client.execute(f"SELECT {number}".encode(), prepare=True)
                kept = one(client, "SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%count%'")
                assert kept == limit


def served_at_once(proxy: Proxy, name: str, most: int) -> int:
    clients = [connect(proxy, name) for _ in range(most)]
    served = 0
    try:
        for client in clients:
            client.execute("BEGIN")
            served += 1
    except psycopg.errors.ConnectionException:
        return served
    finally:
        for client in clients:
            client.close()
    return served


def test_each_ones_own_pool_size(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    settings = {"connection_borrow_timeout": 2}
    databases = {"tenant_a": {"pool_size": 2}}
    with two(postgres, settings, settings, databases=databases, target={"max_connections": 5}) as proxy:
        for _ in range(2):
            assert served_at_once(proxy, "main", 5) == 2
            assert served_at_once(proxy, SECOND, 5) == 5
        proxy.databases["tenant_a"] = {"pool_size": 3}
        reload(proxy)
        assert served_at_once(proxy, "main", 5) == 3
