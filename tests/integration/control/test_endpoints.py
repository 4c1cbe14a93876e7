"""A proxy's endpoints, each by itself: who comes by one, what its end means, and what one that can't be had breaks."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.control.test_whole_stack import login, token
from tests.support.postgres import Postgres
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        server.add_role("app")
        yield server


@pytest.fixture
def stack(database: Postgres) -> Iterator[Stack]:
    database.sql("ALTER ROLE app PASSWORD 'app'")
    with Stack() as made:
        made.register(database)
        yield made


def test_a_deleted_endpoints_clients_go_and_others_stay(stack: Stack, database: Postgres) -> None:
    first = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    second, third = stack.endpoint("second"), stack.endpoint("third")
    with (
        stack.connect(first, "app", "app") as staying,
        stack.connect(second, "app", "app") as leaving,
        stack.connect(third, "app", "app") as inside,
    ):
        staying.execute("SET application_name = 'stays'")
        leaving.execute("SELECT 1")
        with inside.transaction():
            inside.execute("SELECT 1")
            stack.delete_endpoint("second")
            inside.execute("SELECT 1")
        with pytest.raises(psycopg.errors.AdminShutdown):
            leaving.execute("SELECT 1")
        assert staying.execute("SHOW application_name").fetchone() == ("stays",)
    with pytest.raises(psycopg.OperationalError, match=r"[Cc]onnection refused"):
        stack.connect(second, "app", "app")


def test_endpoints_share_servers(stack: Stack, database: Postgres) -> None:
    """As AWS's do: they are ways to one pool."""
    first = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    second = stack.endpoint("second")
    own = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
    with stack.connect(first, "app", "app") as one, stack.connect(second, "app", "app") as other:
        for _ in range(5):
            one.execute("SELECT 1")
            other.execute("SELECT 1")
        assert database.sql(own) == [(1,)]


def test_a_token_is_for_the_endpoint_that_is_connected_to(stack: Stack, database: Postgres) -> None:
    proxy = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"), iam=True, RequireTLS=True)
    first, second = proxy["Endpoint"], stack.endpoint("second")
    key = login(stack, proxy)
    for endpoint, other in ((first, second), (second, first)):
        with stack.connect(endpoint, "app", token(stack, key, endpoint)) as client:
            assert client.execute("SELECT current_user").fetchone() == ("app",)
        with pytest.raises(psycopg.OperationalError, match='IAM authentication failed for the role "app"'):
            stack.connect(endpoint, "app", token(stack, key, other))
