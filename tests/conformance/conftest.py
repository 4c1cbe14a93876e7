"""Fixtures of the conformance tests: an ordinary role, its tables, one client's work compared on both sides.

Owns `Compare`: the same work by several clients at once, directly and through the churned proxy, gives equal results.
There are more clients than servers, so that no client keeps the server it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

CLIENTS = 12
SERVERS = 5  # of the shared proxy, tests/conftest.py

SCHEMA = """
CREATE TABLE conf_items (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2), added timestamptz);
INSERT INTO conf_items SELECT g, 'item ' || g, g * 1.25, timestamptz '2030-01-01 00:00Z' + g * interval '1 day'
  FROM generate_series(1, 50) g;
CREATE TABLE conf_rows (owner int, id int, body text, PRIMARY KEY (owner, id));
CREATE TYPE conf_mood AS ENUM ('calm', 'wild');
CREATE SCHEMA conf_other;
CREATE TABLE conf_other.who AS SELECT 'other' AS tenant;
CREATE TABLE who AS SELECT 'public' AS tenant;
"""

Work = Callable[[Side, int], object]
"""What one client does; the number is its own, so that its rows are too. Equal results on both sides are equal work."""


@pytest.fixture(scope="session")
def direct(postgres: Postgres) -> Side:
    """Straight at the database as `app`, who owns the tables."""
    postgres.sql("GRANT pg_signal_backend, pg_read_all_stats TO app")
    side = Side("direct", postgres.host, postgres.port, "app", "app", "app", SERVERS)
    with side.login() as client:
        client.query(SCHEMA)
    return side


@pytest.fixture(scope="session")
def proxied(proxy: Proxy, direct: Side) -> Side:
    return Side("proxied", proxy.host, proxy.port, "app", "app", "app", SERVERS)


@pytest.fixture
def churned(proxied: Side) -> Iterator[None]:
    """Others use the same pool meanwhile, and one of them leaves poison behind."""
    with Churn(proxied.url(), rotators=3, pause=0.004):
        yield


@pytest.fixture(scope="session")
def programs(postgres: Postgres) -> Path:
    """Where psql and pgbench of the database's own version are."""
    return postgres.bin_dir


@pytest.fixture
def same_work(direct: Side, proxied: Side, churned: None) -> Callable[[Work], None]:
    """Compares what every client gets; the direct clients run first, each side's all at once."""

    def compare(work: Work) -> None:
        seen = []
        for side in (direct, proxied):
            with ThreadPoolExecutor(CLIENTS) as pool:
                seen.append(list(pool.map(lambda number, side=side: work(side, number), range(CLIENTS))))
        assert seen[1] == seen[0]
        assert any(result is not None for result in seen[0]), "work that returns nothing compares nothing"

    return compare
