"""What a login is answered with: learnt from the database by one worker, known to all, and to one that starts later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.counted import USER, proxied_side, wire_role
from tests.support.fixtures import closed_clients
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import ConnectionEnded, RawClient

__all__ = ["closed_clients", "wire_role"]

WORKERS = 4
DRIVER = {"DateStyle": "german, dmy", "client_encoding": "utf-8", "TimeZone": "utc"}
"""In other words than the server's, so that one has to be asked."""


@pytest.fixture
def proxy(postgres: Postgres, wire_role: str) -> Iterator[Proxy]:
    """One server, and nobody waits for it for long."""
    settings = {"connection_borrow_timeout": 2}
    with Proxy(postgres, proxy=settings, target={"max_connections": 1}, top={"workers": WORKERS}) as proxy:
        yield proxy


def logins_by_worker(proxy: Proxy) -> list[int]:
    return [worker["logins"] for worker in proxy.stats()["workers"]]


def log_in_everywhere(proxy: Proxy, side: Side) -> None:
    """Until each worker has had a login, all with a driver's start-up parameters."""
    before = logins_by_worker(proxy)
    for _ in range(30):
        for _ in range(WORKERS):
            with side.login(DRIVER) as client:
                assert client.parameters["DateStyle"] == "German, DMY"
                assert client.parameters["TimeZone"] == "UTC"
        if all(now > then for now, then in zip(logins_by_worker(proxy), before, strict=True)):
            return
    raise AssertionError(f"not every worker had a login: {logins_by_worker(proxy)}")


def alive(client: RawClient) -> bool:
    try:
        return client.value("SELECT 1") == "1"
    except (ConnectionEnded, ConnectionError):
        return False


def test_login_at_a_worker_that_has_served_nobody(proxy: Proxy) -> None:
    side = proxied_side(proxy, 1)
    with side.login(DRIVER) as holder:
        holder.query("BEGIN")
        log_in_everywhere(proxy, side)
        holder.query("COMMIT")


def test_login_at_a_worker_that_was_restarted(proxy: Proxy) -> None:
    side = proxied_side(proxy, 1)
    side.login(DRIVER).quit()
    for index in range(WORKERS):
        pid = proxy.kill_worker(index)
        wait_until(lambda pid=pid: len(set(proxy.workers()) - {pid}) == WORKERS, "a new worker")  # type: ignore[misc]
    with side.login() as holder:
        holder.query("BEGIN")
        log_in_everywhere(proxy, side)
        holder.query("COMMIT")


def test_a_changed_parameter_is_told(postgres: Postgres, proxy: Proxy) -> None:
    """The next fresh server says so, and a new login at any worker hears it, though it has no server."""
    side = proxied_side(proxy, 1)
    side.login().quit()

    def all_hear() -> bool:
        told = []
        for _ in range(3 * WORKERS):
            with side.login() as client:
                told.append(client.parameters["IntervalStyle"])
        return set(told) == {"iso_8601"}

    postgres.sql(f"ALTER ROLE {USER} SET intervalstyle = 'iso_8601'")
    try:
        postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [USER])
        with side.login() as holder:
            holder.query("BEGIN")
            wait_until(all_hear, "the supervisor tells the other workers")
            holder.query("COMMIT")
    finally:
        postgres.sql(f"ALTER ROLE {USER} RESET intervalstyle")


def test_what_init_query_sets_is_known(postgres: Postgres, wire_role: str) -> None:
    """A client at a worker that never opened a server is greeted with it, and returns to it."""
    settings = {"connection_borrow_timeout": 2, "init_query": "SET datestyle = 'german, dmy'; SET work_mem = '7MB'"}
    with Proxy(postgres, proxy=settings, target={"max_connections": 1}, top={"workers": WORKERS}) as proxy:
        side = proxied_side(proxy, 1)
        with side.login() as holder:
            holder.query("BEGIN")
            clients = [side.login() for _ in range(4 * WORKERS)]
            assert {client.parameters["DateStyle"] for client in clients} == {"German, DMY"}
            holder.query("COMMIT")
        for client in clients:
            client.query("SET work_mem = '9MB'")
            client.query("RESET work_mem")
            assert client.value("SHOW work_mem") == "7MB"
            client.quit()
