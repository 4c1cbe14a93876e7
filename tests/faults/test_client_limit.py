"""max_client_connections over several workers: exact, whole after a kill -9, and changed by a reload."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.counted import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError

LIMIT = 9
WORKERS = 4
COMERS = 40


@pytest.fixture
def limited(postgres: Postgres, wire_role: str) -> Iterator[Proxy]:
    proxy = {"max_client_connections": LIMIT}
    with Proxy(postgres, proxy=proxy, target={"max_connections": 2}, top={"workers": WORKERS}) as server:
        yield server


def come(side: Side) -> RawClient | None:
    """A client that was let in, or None if the proxy was full."""
    try:
        return side.login()
    except ServerError as refused:
        if refused.sqlstate != "53300":
            raise
        return None


def come_at_once(side: Side, count: int) -> list[RawClient]:
    with ThreadPoolExecutor(count) as pool:
        return [client for client in pool.map(lambda _: come(side), range(count)) if client is not None]


def by_worker(proxy: Proxy) -> list[int]:
    return [worker["clients"] for worker in proxy.stats()["workers"]]


def counted(proxy: Proxy) -> int:
    count: int = proxy.stats()["proxies"]["main"]["clients"]
    return count


def leave(proxy: Proxy, clients: list[RawClient]) -> None:
    """All of them, and the proxy has noticed."""
    left = counted(proxy) - len(clients)
    for client in clients:
        client.quit()
    wait_until(lambda: counted(proxy) == left, "clients that have left are not counted")


def test_exactly_the_limit_comes_in_wherever_it_lands(limited: Proxy) -> None:
    """The kernel spreads them as it likes: some worker has more than its part, and nobody is refused for that."""
    side = proxied_side(limited)
    uneven, rounds = False, 0
    while rounds < 5 or not uneven:
        assert rounds < 50, "the test never saw what it is about"
        rounds += 1
        inside = come_at_once(side, COMERS)
        assert len(inside) == LIMIT == counted(limited)
        uneven = uneven or max(by_worker(limited)) > -(-LIMIT // WORKERS)
        assert come(side) is None
        assert all(client.value("SELECT 1") == "1" for client in inside)
        leave(limited, inside[:3])
        again = [come(side) for _ in range(3)]
        assert None not in again
        assert come(side) is None
        leave(limited, [*inside[3:], *filter(None, again)])


def test_connections_that_say_nothing_keep_nobody_out(limited: Proxy) -> None:
    side = proxied_side(limited)
    silent = [side.open() for _ in range(2 * LIMIT)]
    inside = come_at_once(side, LIMIT)
    assert len(inside) == LIMIT
    assert come(side) is None
    for connection in silent:
        connection.sock.close()


def test_cancel_requests_need_no_place(limited: Proxy) -> None:
    side = proxied_side(limited)
    inside = come_at_once(side, LIMIT)
    for client in inside:
        client.cancel()
    assert counted(limited) == LIMIT
    leave(limited, inside)


def test_refused_logins_give_their_place_back(limited: Proxy) -> None:
    """Wrong passwords, and connections that break off in the midst of a login."""
    side = proxied_side(limited)
    wrong = Side("wrong", side.host, side.port, side.user, "nonsense", side.database, side.servers)
    for _ in range(2 * LIMIT):
        with pytest.raises(ServerError) as refused:
            wrong.login()
        assert refused.value.sqlstate == "28P01"
    wait_until(lambda: counted(limited) == 0, "refused logins are not counted")
    inside = come_at_once(side, COMERS)
    assert len(inside) == LIMIT


def test_a_killed_workers_clients_are_no_longer_counted(limited: Proxy) -> None:
    side = proxied_side(limited)
    inside = come_at_once(side, COMERS)
    assert len(inside) == LIMIT
    spread = by_worker(limited)
    victim = spread.index(max(spread))
    killed = limited.kill_worker(victim)
    wait_until(lambda: len(set(limited.workers()) - {killed}) == WORKERS, "a new worker")
    assert counted(limited) == LIMIT - spread[victim]
    successors = come_at_once(side, COMERS)
    assert len(successors) == spread[victim]
    assert counted(limited) == LIMIT


def test_reload_changes_the_limit(limited: Proxy) -> None:
    """Lowered, nobody is thrown out and nobody comes in until enough have left; raised, more come at once."""
    side = proxied_side(limited)
    inside = come_at_once(side, LIMIT)
    limited.proxy["max_client_connections"] = 4
    assert limited.reload()["ok"]
    assert all(client.value("SELECT 1") == "1" for client in inside)
    leave(limited, inside[4:])
    assert come(side) is None
    leave(limited, inside[3:4])
    fourth = come(side)
    assert fourth is not None
    assert come(side) is None
    limited.proxy["max_client_connections"] = 12
    assert limited.reload()["ok"]
    more = come_at_once(side, COMERS)
    assert len(more) == 8
    assert counted(limited) == 12


def test_a_proxy_that_was_removed_and_came_back_still_counts_its_clients(limited: Proxy) -> None:
    side = proxied_side(limited)
    inside = come_at_once(side, LIMIT)
    limited.proxy["name"] = "interim"
    assert limited.reload()["ok"]
    others = come_at_once(side, COMERS)
    assert len(others) == LIMIT, "another proxy, at the same address, has a count of its own"
    assert limited.stats()["proxies"] == {"main": {"clients": LIMIT}, "interim": {"clients": LIMIT}}
    limited.proxy["name"] = "main"
    assert limited.reload()["ok"]
    assert come(side) is None
    leave(limited, inside[:1])
    assert come(side) is not None
    assert all(client.value("SELECT 1") == "1" for client in [*inside[1:], *others])
