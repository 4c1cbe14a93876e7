"""Fixtures of the suites that compare a direct session with a proxied one; each suite's conftest.py imports them.

Owns the superuser `wire` and its database, on both sides. A superuser, because a direct session that sets every
setting, loads libraries and opens replication connections needs to be one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import OPENED, ServerError

__all__ = ["USER", "churned", "closed_clients", "direct", "empty_table", "proxied", "wire_role"]

USER = "wire"
SERVERS = 5  # of the shared proxy (tests/conftest.py); on the direct side, how many sessions stand for them

END_HOLDERS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
WHERE relation = '{table}'::regclass AND pid <> pg_backend_pid()"""


def superuser(postgres: Postgres, name: str) -> str:
    """Have this role and a database of its name; returns the name."""
    if not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
        postgres.add_role(name, "SUPERUSER REPLICATION")
        postgres.sql(f"CREATE DATABASE {name} OWNER {name}")
    return name


def proxied_side(proxy: Proxy, servers: int = SERVERS, user: str = USER) -> Side:
    """The way through any proxy as the user of these suites."""
    return Side("proxied", proxy.host, proxy.port, user, user, user, servers)


def empty_table(direct: Side, table: str) -> None:
    """Truncate it; a lock that an earlier, failed test left behind goes first, so that one failure stays one."""
    with direct.login() as client:
        client.query("SET lock_timeout = '2s'")
        try:
            client.query(f"TRUNCATE {table}")
        except ServerError as error:
            if error.sqlstate != "55P03":
                raise
            client.query(END_HOLDERS.format(table=table))
            client.query(f"TRUNCATE {table}")


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    """No client outlives its test, however that ended."""
    yield
    for client in list(OPENED):
        client.sock.close()


@pytest.fixture(scope="session")
def wire_role(postgres: Postgres) -> str:
    """The superuser and its database, made by whichever suite comes first (each has this fixture for itself)."""
    return superuser(postgres, USER)


@pytest.fixture(scope="session")
def direct(postgres: Postgres, wire_role: str) -> Side:
    """Straight at the database."""
    return Side("direct", postgres.host, postgres.port, wire_role, wire_role, wire_role, SERVERS)


@pytest.fixture(scope="session")
def proxied(proxy: Proxy, wire_role: str) -> Side:
    """Through the shared proxy: defaults, pass-through logins, five servers."""
    return proxied_side(proxy)


@pytest.fixture
def churned(proxied: Side) -> Iterator[None]:
    """Others use the same pool meanwhile: servers go round, and one client leaves poison behind."""
    with Churn(proxied.url(), rotators=3, pause=0.004):
        yield
