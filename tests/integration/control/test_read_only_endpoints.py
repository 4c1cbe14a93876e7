"""Endpoints with TargetRole READ_ONLY, from boto3 to a client: reads pass, writes are refused, nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import ReadOnlySqlTransaction

from tests.support.postgres import Postgres
from tests.support.stack import Stack, login, token
from tests.support.tidegate import wait_until

INSERT = "INSERT INTO notes VALUES ('written')"


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        server.add_role("app")
        server.sql("CREATE TABLE notes (note text)")
        server.sql("GRANT ALL ON notes TO app")
        yield server


@pytest.fixture
def stack(database: Postgres) -> Iterator[Stack]:
    database.sql("ALTER ROLE app PASSWORD 'app'")
    database.sql("TRUNCATE notes")
    with Stack() as made:
        made.register(database)
        yield made


def make_proxy(stack: Stack, database: Postgres, **settings: Any) -> dict[str, Any]:
    return stack.proxy("main", stack.role(), stack.secret(database, "app", "app"), **settings)


def make_reader(stack: Stack, name: str = "reader") -> str:
    """A READ_ONLY endpoint that is available; where it is."""
    return stack.endpoint(name, TargetRole="READ_ONLY")


def configure(stack: Stack, **pool: Any) -> None:
    stack.client("rds").modify_db_proxy_target_group(
        DBProxyName="main", TargetGroupName="default", ConnectionPoolConfig=pool
    )


def test_it_reads_and_refuses_writes(stack: Stack, database: Postgres) -> None:
    writer = make_proxy(stack, database)["Endpoint"]
    reader = make_reader(stack)
    with stack.connect(writer, "app", "app") as writing, stack.connect(reader, "app", "app") as reading:
        writing.execute(INSERT)
        for _ in range(3):
            assert reading.execute("SELECT note FROM notes").fetchall() == [("written",)]
            with pytest.raises(ReadOnlySqlTransaction):
                reading.execute(INSERT)
            writing.execute("SELECT 1")
        for back in ("RESET default_transaction_read_only", "RESET ALL", "DISCARD ALL"):
            reading.execute(back)
            with pytest.raises(ReadOnlySqlTransaction):
                reading.execute(INSERT)
        writing.execute(INSERT)
        assert reading.execute("SELECT count(*) FROM notes").fetchone() == (2,)


def test_a_client_may_have_its_own_way(stack: Stack, database: Postgres) -> None:
    """The target is a writer: what keeps sessions from writing is their default, and theirs to change."""
    make_proxy(stack, database)
    reader = make_reader(stack)
    with stack.connect(reader, "app", "app") as client, stack.connect(reader, "app", "app") as other:
        client.execute("SET default_transaction_read_only = off")
        client.execute(INSERT)
        with pytest.raises(ReadOnlySqlTransaction):
            other.execute(INSERT)
        client.execute(INSERT)
    with stack.connect(reader, "app", "app", options="-c default_transaction_read_only=off") as client:
        client.execute(INSERT)


def test_drivers_see_what_it_is(stack: Stack, database: Postgres) -> None:
    """libpq goes by the parameter that the login reports."""
    writer = make_proxy(stack, database)["Endpoint"]
    reader = make_reader(stack)
    for endpoint, wanted, other in ((reader, "read-only", "read-write"), (writer, "read-write", "read-only")):
        for _ in range(2):
            with stack.connect(endpoint, "app", "app", target_session_attrs=wanted) as client:
                assert client.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.OperationalError, match="session is"):
                stack.connect(endpoint, "app", "app", target_session_attrs=other)


def test_iam_tokens(stack: Stack, database: Postgres) -> None:
    """Tokens for the endpoint's own host; the policy names the proxy, which both endpoints are of."""
    proxy = make_proxy(stack, database, iam=True, RequireTLS=True)
    reader, key = make_reader(stack), login(stack, proxy)
    with stack.connect(reader, "app", token(stack, key, reader)) as client:
        assert client.execute("SELECT current_user").fetchone() == ("app",)
        with pytest.raises(ReadOnlySqlTransaction):
            client.execute(INSERT)
    with stack.connect(proxy["Endpoint"], "app", token(stack, key, proxy["Endpoint"])) as client:
        client.execute(INSERT)
    stack.client("iam").delete_user_policy(UserName="fn", PolicyName="db")
    with pytest.raises(psycopg.OperationalError, match='IAM authentication failed for the role "app"'):
        stack.connect(reader, "app", token(stack, key, reader))
    with pytest.raises(psycopg.OperationalError, match="requires TLS"):
        stack.connect(reader, "app", "x", sslmode="disable")


def test_others_notice_nothing_of_its_coming_and_going(stack: Stack, database: Postgres) -> None:
    writer = make_proxy(stack, database)["Endpoint"]
    with stack.connect(writer, "app", "app") as writing, stack.connect(writer, "app", "app") as inside:
        writing.execute("SET application_name = 'stays'")
        with inside.transaction():
            inside.execute(INSERT)
            first = make_reader(stack, "first")
            with stack.connect(first, "app", "app") as reading:
                reading.execute("SET application_name = 'reads'")
                make_reader(stack, "second")
                stack.delete_endpoint("second")
                assert reading.execute("SHOW application_name").fetchone() == ("reads",)
                writing.execute(INSERT)
                stack.delete_endpoint("first")
                with pytest.raises(psycopg.OperationalError):
                    reading.execute("SELECT 1")
            inside.execute(INSERT)
        assert writing.execute("SHOW application_name").fetchone() == ("stays",)
        assert writing.execute("SELECT count(*) FROM notes").fetchone() == (3,)
    with pytest.raises(psycopg.OperationalError, match=r"[Cc]onnection refused"):
        stack.connect(first, "app", "app")


def test_init_query_is_for_both_and_for_clients_that_are_connected(stack: Stack, database: Postgres) -> None:
    writer = make_proxy(stack, database)["Endpoint"]
    reader = make_reader(stack)
    with stack.connect(writer, "app", "app") as writing, stack.connect(reader, "app", "app") as reading:
        for query, timeout in (("SET lock_timeout = 7000 -- ms", "7s"), ("SET lock_timeout = 8000;", "8s"), ("", "0")):
            configure(stack, InitQuery=query)
            for client in (writing, reading):
                wait_until(
                    lambda client=client, timeout=timeout: (
                        client.execute("SHOW lock_timeout").fetchone() == (timeout,)  # type: ignore[misc]
                    ),
                    "InitQuery acts",
                )
            writing.execute(INSERT)
            with pytest.raises(ReadOnlySqlTransaction):
                reading.execute(INSERT)
        configure(stack, InitQuery="RESET ALL; SET default_transaction_read_only = off; SET lock_timeout = 9000")
        wait_until(lambda: reading.execute("SHOW lock_timeout").fetchone() == ("9s",), "InitQuery acts")
        with pytest.raises(ReadOnlySqlTransaction):
            reading.execute(INSERT)


def test_the_limit_of_connections_is_one_for_all_endpoints(stack: Stack, database: Postgres) -> None:
    writer = make_proxy(stack, database)["Endpoint"]
    reader = make_reader(stack)
    configure(stack, MaxConnectionsPercent=1, MaxIdleConnectionsPercent=1, ConnectionBorrowTimeout=1)

    def waits_in_vain() -> bool:
        with stack.connect(reader, "app", "app") as reading:
            try:
                reading.execute("SELECT 1")
            except psycopg.errors.ConnectionException:
                return True
            return False

    with stack.connect(writer, "app", "app") as writing, stack.connect(reader, "app", "app") as staying:
        with writing.transaction():
            writing.execute("SELECT 1")
            wait_until(waits_in_vain, "the writer has the only connection", 10)
        assert staying.execute("SELECT 1").fetchone() == (1,)


def test_it_is_there_after_a_kill(stack: Stack, database: Postgres) -> None:
    make_proxy(stack, database)
    reader = make_reader(stack)
    stack.kill()
    stack.start()
    wait_until(lambda: stack.serves("main"), "it serves again", 30)
    with stack.connect(reader, "app", "app") as client, pytest.raises(ReadOnlySqlTransaction):
        client.execute(INSERT)
