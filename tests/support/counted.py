"""Fixtures of the suites that count server connections at the database; their conftest.py imports them.

Owns the superuser `counted` and its database. The proxy that all suites share never connects as this user, so what
pg_stat_activity shows of it is the tested proxy's own, whichever test ran before.
"""

from __future__ import annotations

import pytest

from tests.support.fixtures import SERVERS, superuser
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

__all__ = ["USER", "direct", "proxied_side", "wire_role"]

USER = "counted"


def proxied_side(proxy: Proxy, servers: int = SERVERS) -> Side:
    """The way through any proxy as the user of these suites."""
    return Side("proxied", proxy.host, proxy.port, USER, USER, USER, servers)


@pytest.fixture(scope="session")
def wire_role(postgres: Postgres) -> str:
    """The superuser and its database, made by whichever suite comes first (each has this fixture for itself)."""
    return superuser(postgres, USER)


@pytest.fixture(scope="session")
def direct(postgres: Postgres, wire_role: str) -> Side:
    """Straight at the database."""
    return Side("direct", postgres.host, postgres.port, wire_role, wire_role, wire_role, SERVERS)
