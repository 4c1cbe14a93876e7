"""Fixtures of the fault tests: a small proxy of their own, and the proof that a fault has left nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import messages as m
from tests.support.counted import USER, direct, proxied_side, wire_role
from tests.support.fixtures import closed_clients, empty_table
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.watch import assert_settles
from tests.support.wire import RawClient

__all__ = ["closed_clients", "direct", "wire_role"]

SERVERS = 3
LOGIN_TIMEOUT = 2.0  # seconds
CUT_OFF = {"57P01", "57P02", "57P03", "08000", "08003", "08006", "08P01"}
"""What a client whose work was cut off may be told: the database's last words, or that the connection is lost."""

Recovered = Callable[[], None]


@pytest.fixture(scope="session")
def faults_table(direct: Side) -> None:
    """A table that stays empty: every fault happens before a COMMIT."""
    with direct.login() as client:
        client.query("CREATE TABLE faults_rows (a int)")


@pytest.fixture(scope="module")
def fragile(postgres: Postgres, wire_role: str, faults_table: None) -> Iterator[Side]:
    """A proxy with few servers, so that one that leaks is missed at once."""
    with Proxy(postgres, proxy={"login_timeout": LOGIN_TIMEOUT}, target={"max_connections": SERVERS}) as proxy:
        yield proxied_side(proxy, SERVERS)


@pytest.fixture(autouse=True)
def empty_rows(direct: Side, faults_table: None) -> None:
    empty_table(direct, "faults_rows")


@pytest.fixture
def bystander(fragile: Side) -> Iterator[RawClient]:
    """A client inside a transaction, which nobody else's fault may disturb; it holds one of the servers."""
    client = fragile.login()
    client.query("BEGIN")
    client.query("CREATE TEMP TABLE faults_bystander ON COMMIT DROP AS SELECT 'whole' AS a")
    yield client
    assert client.value("SELECT a FROM faults_bystander") == "whole"
    client.query("COMMIT")
    client.quit()


@pytest.fixture
def recovered(postgres: Postgres, fragile: Side, bystander: RawClient) -> Recovered:
    """Says that all servers but the bystander's can be used at once, are clean, and that nothing else is left open."""

    def check() -> None:
        holders = [fragile.login() for _ in range(SERVERS - 1)]
        for holder in holders:
            holder.send(m.query("BEGIN"))
        for holder in holders:
            holder.read_ready()
        for holder in holders:
            assert holder.value("SELECT count(*) FROM faults_rows") == "0"
            assert holder.value("SELECT to_regclass('pg_temp.faults_pinned')") is None
            assert holder.value("SELECT count(*) FROM pg_listening_channels()") == "0"
        for holder in holders:
            holder.query("COMMIT")
            holder.quit()
        assert_settles(postgres.dsn(), USER, SERVERS, in_transaction=1)

    return check
