"""Statistics of two workers through the control socket: what clients did is what the numbers say, and they add up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side, wire_role
from tests.support.fixtures import closed_clients
from tests.support.pages import table
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError

__all__ = ["closed_clients", "wire_role"]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
SERVERS = 6
CLIENTS = 14


@pytest.fixture
def watched(postgres: Postgres, wire_role: str) -> Iterator[Proxy]:
    settings = {"max_client_connections": CLIENTS}
    with Proxy(postgres, proxy=settings, target={"max_connections": SERVERS}, top={"workers": 2}) as proxy:
        yield proxy


def add_up(stats: dict[str, Any]) -> None:
    """Every number of the whole is the sum of the workers' (or the largest), with what dead ones had counted."""
    parts = [*stats["workers"], stats["former_workers"]]
    names = {name for part in parts for name, value in part.items() if isinstance(value, (int, float))}
    for name in names - {"worker", "pid"}:
        found = [part.get(name, 0) for part in parts]
        whole = max(found) if name.endswith("_max") else sum(found)
        assert stats[name] == pytest.approx(whole), name
    assert len(stats["workers"]) == 2


def expect(proxy: Proxy, **numbers: int) -> dict[str, Any]:
    """Soon the statistics have exactly these numbers; a name that is not there counts as 0."""

    def found() -> dict[str, Any]:
        stats = proxy.stats()
        return {name: stats.get(name, 0) for name in numbers}

    try:
        wait_until(lambda: found() == numbers, "the numbers are as expected", 5.0)
    except AssertionError:
        assert found() == numbers
    stats = proxy.stats()
    add_up(stats)
    return stats


def test_pins_by_reason(watched: Proxy) -> None:
    side = proxied_side(watched)
    clients = [side.login() for _ in range(3)]
    for client in clients[:2]:
        client.query("CREATE TEMP TABLE figures (a int)")
    clients[2].query("SELECT setseed(0.5)")
    clients[2].query("CREATE TEMP TABLE figures (a int)")  # it is pinned already
    dedicated = side.login(options="-c log_connections=on")
    numbers = {"pins": 4, "pins_temp_object": 2, "pins_setseed": 1, "pins_startup_option": 1}
    now = {"clients_pinned": 4, "clients_pinned_temp_object": 2, "clients_pinned_setseed": 1}
    stats = expect(watched, **numbers, **now, clients_pinned_startup_option=1, clients=4)
    assert sum(pool["servers"] for pool in stats["pools"]) == stats["servers_held"]
    assert [pool["dedicated"] for pool in stats["pools"]].count(True) == 1
    for client in [*clients, dedicated]:
        client.quit()
    expect(watched, **numbers, clients_pinned=0, clients_pinned_temp_object=0, clients=0)


def test_session_mode_is_a_pin_like_another(postgres: Postgres, wire_role: str) -> None:
    with (
        Proxy(postgres, proxy={"pool_mode": "session"}, top={"workers": 2}) as proxy,
        proxied_side(proxy).login() as client,
    ):
        client.query("SELECT 1")
        expect(proxy, pins=1, pins_session_mode=1, clients_pinned_session_mode=1)


def test_waits(watched: Proxy) -> None:
    """As many as there are servers hold one; two more wait for 0.3 s, one of them gives up."""
    side = proxied_side(watched)
    clients = [side.login() for _ in range(SERVERS + 2)]
    holders, waiting, leaver = clients[:SERVERS], clients[-2], clients[-1]
    for holder in holders:
        holder.query("BEGIN")
    before = watched.stats()
    began = time.monotonic()
    for client in (waiting, leaver):
        client.send(m.query("SELECT 1"))
    expect(watched, clients_waiting=2, servers_lent=SERVERS)
    time.sleep(0.3)
    stats = watched.stats()
    assert 0.3 <= stats["oldest_wait_seconds_max"] <= time.monotonic() - began
    assert stats["borrow_wait_seconds"] == before["borrow_wait_seconds"], "counted when a wait is over"
    leaver.sock.close()
    expect(watched, clients_waiting=1, servers_abandoned=before["servers_abandoned"] + 1)
    holders[0].query("COMMIT")
    waiting.read_ready()
    lasted = time.monotonic() - began
    stats = expect(watched, clients_waiting=0, borrow_waits=before["borrow_waits"] + 2)
    assert 0.3 <= stats["borrow_wait_seconds"] - before["borrow_wait_seconds"] <= lasted
    assert stats["oldest_wait_seconds_max"] == 0


def test_why_sessions_end(watched: Proxy) -> None:
    side = proxied_side(watched)
    inside = [side.login() for _ in range(CLIENTS)]
    with pytest.raises(ServerError, match="too many clients"):
        side.login()
    expect(watched, clients_closed_too_many_clients=1, clients_rejected=1)
    inside[0].quit()
    inside[1].sock.close()
    inside[2].send(b"?\0\0\0\4")
    inside[2].read_to_end()
    expect(watched, clients=CLIENTS - 3, clients_closed_left=1, clients_closed_lost=1, clients_closed_protocol_error=1)
    wrong = Side("wrong", side.host, side.port, USER, "nonsense", side.database, SERVERS)
    with pytest.raises(ServerError, match="password authentication failed"):
        wrong.login()
    broken = RawClient(side.host, side.port, 5.0)
    broken.send(b"\0\0\0\1")
    broken.read_to_end()
    inside[3].cancel()
    expect(
        watched,
        clients_closed_login_refused=1,
        clients_closed_protocol_error=2,
        clients_closed_cancel_request=1,
        clients_closed_too_many_clients=1,
        logins=CLIENTS,
        logins_failed=1,
        clients_accepted=CLIENTS + 4,
    )


def test_why_servers_end(watched: Proxy, postgres: Postgres) -> None:
    """Every server that was opened and is gone has a reason, and each is counted once."""
    side = proxied_side(watched)
    clients = [side.login() for _ in range(3)]
    for client in clients:
        client.query("BEGIN")
    opened = watched.stats()["servers_opened"]
    assert opened >= 3
    expect(watched, servers_opened=opened, servers_held=opened, servers_closed=0)
    postgres.sql("SELECT pg_terminate_backend(%s)", [int(clients[0].value("SELECT 0 + pg_backend_pid()") or 0)])
    clients[0].read_to_end()
    clients[1].query("COMMIT")
    clients[1].query("SELECT setseed(0.5)")  # its server cannot be made like new
    clients[1].quit()
    expect(watched, servers_closed=2, servers_closed_lost=1, servers_closed_unclean=1, clients_closed_server_lost=1)


def test_servers_that_could_not_log_in(postgres: Postgres, wire_role: str) -> None:
    with Proxy(postgres, proxy={"init_query": "SELECT no_such_function()"}, top={"workers": 2}) as proxy:
        with pytest.raises(ServerError, match="no_such_function"):
            proxied_side(proxy).login()
        stats = expect(proxy, clients_waiting=0, servers_held=0, servers_opened=0, servers_failed_clients=1)
        assert stats["servers_closed"] == stats["servers_failed"] == stats["servers_closed_login_failed"] == 1
        assert stats["clients_closed_login_refused"] == 1


def test_totals_outlive_their_workers(watched: Proxy) -> None:
    """What was counted more than a second before a worker is killed is told to the supervisor, asked or not."""
    side = proxied_side(watched)
    pids = watched.workers()
    for _ in range(30):
        with side.login() as client:
            client.query("SELECT 1")
    time.sleep(3)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(watched.workers()) - set(pids)) == 2, "new workers")
    numbers = {"clients_accepted": 30, "logins": 30, "queries": 30, "clients_closed_left": 30}
    stats = expect(watched, **numbers, clients=0)
    assert stats["former_workers"]["logins"] == 30
    assert stats["bytes_sent"] > 0
    with side.login() as client:
        client.query("SELECT 1")
        expect(watched, logins=31, queries=31, clients=1)


def test_a_worker_that_hangs_counts_with_what_it_told_last(watched: Proxy) -> None:
    with proxied_side(watched).login() as client:
        client.query("SELECT 1")
    before = watched.stats()
    pid = before["workers"][0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        stats = watched.stats()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [worker["worker"] for worker in stats["workers"]] == [1]
    assert (stats["logins"], stats["queries"]) == (before["logins"], before["queries"]) == (1, 1)


def test_the_page_has_every_number_and_no_other(postgres: Postgres, wire_role: str) -> None:
    """docs/operations.md, the names that are there from the start."""
    listed = [name for names, *_ in table(PAGE, "name") for name in names if not name.endswith("_REASON")]
    reasons = ("clients_closed_", "servers_closed_", "pins_", "clients_pinned_")
    with Proxy(postgres, target={"max_connections": 2}, top={"workers": 2}) as proxy:
        names = {name for name in proxy.stats() if not name.startswith(reasons)}
    assert sorted(listed) == sorted(names - {"ok"})
