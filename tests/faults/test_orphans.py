"""What a killed worker leaves at the database counts until it is gone, whatever the proxy's own login may see of it.

A role that is neither a superuser nor in pg_read_all_stats sees little more of other roles' backends than process ids
(pg_stat_get_activity in PostgreSQL's pgstatfuncs.c).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import Watch, assert_settles
from tests.support.wire import ConnectionEnded, RawClient

LIMIT = 4
CLIENTS = 12
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(2.5)'"
LONG = m.query("SELECT pg_sleep(2)")

SETUP = {
    "superuser": (),
    "orphans_table": ("GRANT SELECT ON pg_catalog.pg_authid TO orphans_table",),
    "orphans_query": (
        "CREATE FUNCTION orphans_auth(who text, OUT name text, OUT verifier text) LANGUAGE sql SECURITY DEFINER"
        " SET search_path = pg_catalog AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = who'",
        "REVOKE EXECUTE ON FUNCTION orphans_auth FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION orphans_auth TO orphans_query",
    ),
}
"""What each of the proxy's own logins is given."""


@pytest.fixture(params=SETUP)
def target(postgres: Postgres, wire_role: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a target with that login."""
    name = str(request.param)
    if name != "superuser" and not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
        postgres.add_role(name)
        for statement in SETUP[name]:
            postgres.sql(statement)
    login = {} if name == "superuser" else {"user": name, "password": name}
    query = {"auth_query": "SELECT * FROM public.orphans_auth($1)"} if name == "orphans_query" else {}
    return {"max_connections": LIMIT, **login, **query}


@pytest.fixture
def proxy(postgres: Postgres, target: dict[str, Any]) -> Iterator[Proxy]:
    with Proxy(postgres, target=target, top={"workers": 2}) as proxy:
        yield proxy


def kill_a_holder(proxy: Proxy) -> None:
    """SIGKILL a worker that holds server connections."""
    holders = [worker["pid"] for worker in proxy.stats()["workers"] if worker["servers_held"]]
    os.kill(holders[0], signal.SIGKILL)
    wait_until(lambda: not {holders[0]} & set(proxy.workers()) and len(proxy.workers()) == 2, "a new worker")


def press(side: Side, postgres: Postgres, proxy: Proxy) -> None:
    """More clients than there may be connections, until the dead worker's are gone; then all connections are of use."""
    with ExitStack() as stack:
        clients: list[RawClient] = [stack.enter_context(side.login()) for _ in range(CLIENTS)]
        for client in clients:
            client.send(m.query("SELECT pg_sleep(0.5)"))
        for client in clients:
            client.read_ready()
        wait_until(lambda: proxy.stats()["budgets"]["main"]["orphans"] == 0, "all slots are back", 6)
        for client in clients[:LIMIT]:
            client.query("BEGIN")
        for client in clients[:LIMIT]:
            client.query("COMMIT")
    assert_settles(postgres.dsn(), USER, LIMIT)


def come_and_go(side: Side) -> None:
    """A client that may be one of the killed worker's."""
    with suppress(ConnectionEnded, ConnectionError):
        side.login().quit()


@pytest.mark.parametrize("replication", ["false", "database"])
def test_they_count_until_they_are_gone(postgres: Postgres, proxy: Proxy, replication: str) -> None:
    side = proxied_side(proxy, LIMIT)
    with Watch(postgres.dsn(), USER) as watch:
        clients = [side.login(replication=replication) for _ in range(LIMIT)]
        for client in clients:
            client.send(LONG)
        wait_until(lambda: watch.highest == LIMIT, "all connections are in use")
        kill_a_holder(proxy)
        for client in clients:
            client.quit()
        press(side, postgres, proxy)
    assert watch.highest == LIMIT


def test_one_that_ran_init_query(postgres: Postgres, target: dict[str, Any]) -> None:
    """Its process id is known by then: its slot is back as soon as it is gone, without a login's time."""
    with (
        Watch(postgres.dsn(), USER) as watch,
        Proxy(postgres, proxy={"init_query": "SELECT pg_sleep(2.5)"}, target=target, top={"workers": 2}) as proxy,
    ):
        side = proxied_side(proxy, LIMIT)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(CLIENTS):
                pool.submit(come_and_go, side)
            wait_until(lambda: postgres.sql(RUNNING) == [(LIMIT,)], "init_query runs on all connections")
            kill_a_holder(proxy)
        press(side, postgres, proxy)
    assert watch.highest <= LIMIT
