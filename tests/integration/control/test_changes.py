"""What changes by the API mean to clients: those who come from then on, and those who are connected and stay.

One stack and one proxy, `main`, serve all tests; each leaves the settings as they were.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Postgres
from tests.support.stack import Stack, login, token
from tests.support.tidegate import wait_until

Client = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        server.add_role("app")
        server.add_role("other")
        yield server


@pytest.fixture(scope="module")
def stack(database: Postgres) -> Iterator[Stack]:
    with Stack() as made:
        made.register(database)
        made.proxy("main", made.role(), made.secret(database, "app", "app"))
        yield made


@pytest.fixture(scope="module")
def endpoint(stack: Stack) -> str:
    return str(stack.described("main")["Endpoint"])


@pytest.fixture
def connected(stack: Stack, endpoint: str) -> Iterator[Client]:
    """A client that is there before the change, and must have its session after it."""
    with stack.connect(endpoint, "app", "app") as client:
        client.execute("SET application_name = 'stays'")
        yield client
        assert client.execute("SHOW application_name").fetchone() == ("stays",)


def modify(stack: Stack, **settings: Any) -> None:
    """ModifyDBProxy, and wait until it is so."""
    stack.client("rds").modify_db_proxy(DBProxyName="main", **settings)
    wait_until(lambda: stack.described("main")["Status"] == "available", "the change is applied", 10)


@contextmanager
def modified(stack: Stack, before: dict[str, Any], **settings: Any) -> Iterator[None]:
    """These settings, and those of before at the end."""
    modify(stack, **settings)
    try:
        yield
    finally:
        modify(stack, **before)


def pool(stack: Stack, **settings: Any) -> None:
    stack.client("rds").modify_db_proxy_target_group(
        DBProxyName="main", TargetGroupName="default", ConnectionPoolConfig=settings
    )


def refused(stack: Stack, endpoint: str, user: str, password: str, **options: Any) -> str:
    """Why a login is refused."""
    with pytest.raises(psycopg.OperationalError) as refusal:
        stack.connect(endpoint, user, password, **options).close()
    return str(refusal.value)


def works(stack: Stack, endpoint: str, user: str, password: str, **options: Any) -> None:
    with stack.connect(endpoint, user, password, **options) as client:
        assert client.execute("SELECT current_user").fetchone() == (user,)


# ModifyDBProxy


def test_require_tls(stack: Stack, endpoint: str, connected: Client) -> None:
    """Clients in clear that are connected stay."""
    with stack.connect(endpoint, "app", "app", sslmode="disable") as plain:
        with modified(stack, {"RequireTLS": False}, RequireTLS=True):
            assert "requires TLS" in refused(stack, endpoint, "app", "app", sslmode="disable")
            works(stack, endpoint, "app", "app")
            assert plain.execute("SELECT 1").fetchone() == (1,)
        works(stack, endpoint, "app", "app", sslmode="disable")


def test_idle_client_timeout(stack: Stack, endpoint: str) -> None:
    """It holds for who is connected; who is in a transaction is not idle."""
    with stack.connect(endpoint, "app", "app") as idle, stack.connect(endpoint, "app", "app") as busy:
        with busy.transaction(), modified(stack, {"IdleClientTimeout": 1800}, IdleClientTimeout=1):
            busy.execute("SELECT 1")
            ended = select.select([idle.fileno()], [], [], 10)[0]
            assert ended, "it was to be closed after a second"
            with pytest.raises(psycopg.OperationalError):
                idle.execute("SELECT 1")
            busy.execute("SELECT 1")
        assert busy.execute("SELECT 1").fetchone() == (1,)


def test_auth_entries_come_and_go(stack: Stack, endpoint: str, database: Postgres, connected: Client) -> None:
    before = stack.described("main")["Auth"]
    other = stack.entry(stack.secret(database, "other", "other"))
    assert "no credentials" in refused(stack, endpoint, "other", "other")
    with modified(stack, {"Auth": before}, Auth=[*before, other]):
        works(stack, endpoint, "app", "app")
        with stack.connect(endpoint, "other", "other") as newcomer:
            newcomer.execute("SELECT 1")
            modify(stack, Auth=[other])
            assert "no credentials" in refused(stack, endpoint, "app", "app")
            assert connected.execute("SELECT current_user").fetchone() == ("app",)
            modify(stack, Auth=before)
            assert newcomer.execute("SELECT current_user").fetchone() == ("other",)
    assert "no credentials" in refused(stack, endpoint, "other", "other")
    works(stack, endpoint, "app", "app")


def test_iam_is_required_and_is_not(stack: Stack, endpoint: str, connected: Client) -> None:
    before = stack.described("main")["Auth"]
    key = login(stack, stack.described("main"))
    with modified(stack, {"Auth": before}, Auth=[{**before[0], "IAMAuth": "REQUIRED"}]):
        assert "IAM authentication failed" in refused(stack, endpoint, "app", "app")
        works(stack, endpoint, "app", token(stack, key, endpoint))
        assert connected.execute("SELECT current_user").fetchone() == ("app",)
    works(stack, endpoint, "app", "app")
    assert "password authentication failed" in refused(stack, endpoint, "app", token(stack, key, endpoint))


# ModifyDBProxyTargetGroup


def test_init_query(stack: Stack, endpoint: str, connected: Client) -> None:
    def timeout(client: Client) -> object:
        (value,) = client.execute("SHOW lock_timeout").fetchone() or (None,)
        return value

    for query, told in (("SET lock_timeout = 7000", "7s"), ("", "0")):
        pool(stack, InitQuery=query)
        wait_until(lambda told=told: timeout(connected) == told, "who is connected has it")  # type: ignore[misc]
        with stack.connect(endpoint, "app", "app") as newcomer:
            assert timeout(newcomer) == told


def test_connection_borrow_timeout(stack: Stack, endpoint: str, connected: Client) -> None:
    """How long a client waits for the one connection that there is."""

    def ask() -> object:
        with stack.connect(endpoint, "app", "app") as client:
            return client.execute("SELECT 1").fetchone()

    def waits_in_vain() -> bool:
        try:
            return ask() is None
        except psycopg.errors.ConnectionException:
            return True

    pool(stack, MaxConnectionsPercent=1, MaxIdleConnectionsPercent=1, ConnectionBorrowTimeout=1)
    try:
        with ThreadPoolExecutor() as threads:
            with connected.transaction():
                connected.execute("SELECT 1")
                wait_until(waits_in_vain, "a second is all", 10)
                pool(stack, MaxConnectionsPercent=1, MaxIdleConnectionsPercent=1, ConnectionBorrowTimeout=60)
                asked: list[Future[object]] = []

                def waits_for_longer() -> bool:
                    asked.append(threads.submit(ask))
                    return not wait(asked[-1:], timeout=3).done

                wait_until(waits_for_longer, "a second is not all any more", 20)
            assert asked[-1].result(10) == (1,)
    finally:
        pool(stack, MaxConnectionsPercent=100, MaxIdleConnectionsPercent=50, ConnectionBorrowTimeout=120)


# Endpoints and targets


def test_a_second_endpoint_and_its_new_name(stack: Stack, connected: Client) -> None:
    second = stack.endpoint("second")
    works(stack, second, "app", "app")
    assert "password authentication failed" in refused(stack, second, "app", "wrong")
    with stack.connect(second, "app", "app") as client:
        client.execute("SET application_name = 'second'")
        stack.client("rds").modify_db_proxy_endpoint(DBProxyEndpointName="second", NewDBProxyEndpointName="renamed")
        wait_until(lambda: stack.endpoints()["renamed"]["Status"] == "available", "it has its new name", 10)
        assert stack.endpoints()["renamed"]["Endpoint"] == second
        assert client.execute("SHOW application_name").fetchone() == ("second",)
        works(stack, second, "app", "app")
    stack.delete_endpoint("renamed")


def test_clients_wait_for_a_target(stack: Stack, connected: Client) -> None:
    rds = stack.client("rds")
    asked: list[Future[object]] = []
    with ThreadPoolExecutor() as threads:

        def waits() -> bool:
            asked.append(threads.submit(lambda: connected.execute("SELECT 'served'").fetchone()))
            return not wait(asked[-1:], 1).done

        rds.deregister_db_proxy_targets(DBProxyName="main", DBInstanceIdentifiers=["db"])
        wait_until(waits, "the client waits", 10)
        rds.register_db_proxy_targets(DBProxyName="main", DBInstanceIdentifiers=["db"])
        assert asked[-1].result(10) == ("served",)
    wait_until(lambda: stack.serves("main"), "it is well again", 10)
