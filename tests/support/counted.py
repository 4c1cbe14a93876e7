"""Fixtures of the suites that count server connections at the database; their conftest.py imports them.

Owns the superuser `counted` and its database. The proxy that all suites share never connects as this user, so what
pg_stat_activity shows of it is the tested proxy's own, whichever test ran before.
"""

from __future__ import annotations

import pytest

from tests.support import fixtures
from tests.support.fixtures import SERVERS, direct, superuser
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

__all__ = ["USER", "direct", "proxied_side", "wire_role"]

USER = "counted"


def proxied_side(proxy: Proxy, servers: int = SERVERS) -> Side:
    """The way through any proxy as the user of these suites."""
    return fixtures.proxied_side(proxy, servers, USER)


@pytest.fixture(scope="session")
def wire_role(postgres: Postgres) -> str:
    """The superuser and its database, made by whichever suite comes first (each has this fixture for itself)."""
    return superuser(postgres, USER)
