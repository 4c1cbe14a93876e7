"""`lending = "rotate"`: a client's transactions never run twice in a row on one server, and none waits for ever."""

from __future__ import annotations

import itertools

import pytest

from tests.support.churn import Churn
from tests.support.counted import proxied_side
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy

TRANSACTIONS = 20
PID = "SELECT 0 + pg_backend_pid()"


def pids(proxy: Proxy, servers: int) -> list[str | None]:
    """The servers of one client's transactions, in order."""
    with proxied_side(proxy, servers).login() as client:
        return [client.value(PID) for _ in range(TRANSACTIONS)]


@pytest.mark.parametrize("servers", [1, 2, 5])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("audit", [0.0, 1.0], ids=["", "audited"])
def test_no_client_gets_the_server_it_had_last(
    postgres: Postgres, wire_role: str, servers: int, workers: int, audit: float
) -> None:
    """Nor does it go on there while its last transaction is audited."""
    with Proxy(
        postgres,
        proxy={"lending": "rotate", "session_audit": audit},
        target={"max_connections": servers},
        top={"workers": workers},
    ) as proxy:
        with Churn(proxied_side(proxy, servers).url(), rotators=2, poison=("SET DateStyle = 'German'",)):
            for had in (pids(proxy, servers), pids(proxy, servers)):
                assert all(one != later for one, later in itertools.pairwise(had)), had
        stats = proxy.stats()
        assert stats["stays"] == 0
        assert stats["moves"] >= 2 * (TRANSACTIONS - 1)


def test_a_client_that_sets_something_moves_on(postgres: Postgres, wire_role: str) -> None:
    """What it has set is asked for where it was; its next statement waits for that, and takes it along."""
    with Proxy(postgres, proxy={"lending": "rotate"}, target={"max_connections": 3}) as proxy:
        with proxied_side(proxy, 3).login() as client:
            for number in range(1, TRANSACTIONS):
                before = client.value(f"SELECT pg_backend_pid() FROM set_config('work_mem', '{number}MB', false)")
                assert client.value(PID) != before
                assert client.value("SHOW work_mem") == f"{number}MB"
            client.query("CREATE TEMP TABLE lending_temp (a int)")
            pinned = client.value(PID)
            assert client.value(PID) == pinned
            client.query("DROP TABLE lending_temp")
            assert client.value(PID) != pinned
        assert proxy.stats()["stays"] == 0


def test_servers_that_others_are_pinned_to_are_not_waited_for(postgres: Postgres, wire_role: str) -> None:
    with Proxy(postgres, proxy={"lending": "rotate"}, target={"max_connections": 2}) as proxy:
        with proxied_side(proxy, 2).login() as pinned:
            pinned.query("CREATE TEMP TABLE lending_pin (a int)")
            own = pinned.value(PID)
            had = pids(proxy, 2)
            assert own not in had
            assert len(set(had)) == TRANSACTIONS, "each was closed and replaced"
            assert pinned.value(PID) == own, "what is pinned stays"
        stats = proxy.stats()
        assert stats["servers_closed_spurned"] >= TRANSACTIONS - 1
        assert stats["stays"] == 0


def test_by_default_a_lone_client_keeps_its_server(postgres: Postgres, wire_role: str) -> None:
    with Proxy(postgres, target={"max_connections": 2}) as proxy:
        assert len(set(pids(proxy, 2))) == 1
        stats = proxy.stats()
        assert (stats["moves"], stats["stays"]) == (0, stats["borrows"] - 1)
