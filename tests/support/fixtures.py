"""Fixtures of the suites that compare a direct session with a proxied one; each suite's conftest.py imports them.

Owns the superuser `wire` and its database, on both sides. A superuser, because a direct session that sets every setting,
loads libraries and opens replication connections needs to be one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

__all__ = ["USER", "churned", "direct", "proxied", "wire_role"]

USER = "wire"
SERVERS = 5  # of the shared proxy (tests/conftest.py); on the direct side, how many sessions stand for them


def proxied_side(proxy: Proxy, servers: int = SERVERS) -> Side:
    """The way through any proxy as the user of these suites."""
    return Side("proxied", proxy.host, proxy.port, USER, USER, USER, servers)


@pytest.fixture(scope="session")
def wire_role(postgres: Postgres) -> str:
    """The superuser and its database, once for the run."""
    postgres.add_role(USER, "SUPERUSER REPLICATION")
    postgres.sql(f"CREATE DATABASE {USER} OWNER {USER}")
    return USER


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
