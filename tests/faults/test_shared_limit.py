"""The limit of server connections over several workers: learnt from the database, lowered and raised by a reload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side, all_servers_held
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import Watch
from tests.support.wire import RawClient, ServerError

CLIENTS = 24
STORM = 80
RESERVED = 3  # superuser_reserved_connections


def usable(postgres: Postgres) -> int:
    return postgres.max_connections - RESERVED


def held(proxy: Proxy) -> list[int]:
    return [worker["servers_held"] for worker in proxy.stats()["workers"]]


def limit_of(proxy: Proxy) -> int:
    """The limit, which every worker must know to be the same."""
    stats = proxy.stats()
    limit: int = stats["budgets"]["main"]["limit"]
    assert [worker["servers_limit_max"] for worker in stats["workers"]] == [limit] * len(stats["workers"])
    return limit


@contextmanager
def load(side: Side) -> Iterator[Callable[[int], None]]:
    """Clients with a transaction after another; yields a wait for so many more of them. No client may see an error."""
    stop = threading.Event()
    served: list[int] = []

    def run(client: RawClient) -> None:
        with client:
            while not stop.is_set():
                assert client.value("SELECT 7 FROM pg_sleep(0.003)") == "7"
                served.append(7)

    def wait_for_more(count: int) -> None:
        enough = len(served) + count
        wait_until(lambda: len(served) >= enough, "work goes on")

    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [pool.submit(run, side.login()) for _ in range(CLIENTS)]
        try:
            yield wait_for_more
        finally:
            stop.set()
            for one in runs:
                one.result(20)


@pytest.fixture(scope="module")
def small() -> Iterator[Postgres]:
    """A database with few connections, of which a role that is no superuser can have 37."""
    with Postgres(max_connections=40) as server:
        server.start()
        server.add_role(USER)
        server.sql(f"CREATE DATABASE {USER} OWNER {USER}")
        yield server


@pytest.mark.parametrize("workers", [2, 4])
def test_learnt_limit_holds_while_workers_start(small: Postgres, workers: int) -> None:
    """All workers come to one limit, whichever of them learns it, and a storm at the start does not exceed it."""
    expected = usable(small) * 50 // 100 - workers
    barrier = threading.Barrier(STORM)

    def visit(side: Side) -> str | None:
        barrier.wait(30)
        with side.login(timeout=40) as client:
            return client.value("SELECT 1 FROM pg_sleep(0.02)")

    settings = {"max_connections_percent": 50}
    with Watch(small.dsn(), USER) as watch, Proxy(small, target=settings, top={"workers": workers}) as proxy:
        side = proxied_side(proxy)
        with ThreadPoolExecutor(STORM) as pool:
            assert list(pool.map(lambda _: visit(side), range(STORM))) == ["1"] * STORM
        assert limit_of(proxy) == expected
        assert sum(held(proxy)) <= expected
        killed = proxy.kill_worker(0)
        wait_until(lambda: len(set(proxy.workers()) - {killed}) == workers, "a new worker")
        with ThreadPoolExecutor(STORM) as pool:
            assert list(pool.map(lambda _: visit(side), range(STORM))) == ["1"] * STORM
        assert limit_of(proxy) == expected
    assert 2 < watch.highest <= expected


def test_reload_lowers_the_limit_under_load(small: Postgres) -> None:
    """Both workers come down to it, neither at the expense of the other, and no client notices; then up again."""
    with Proxy(small, target={"max_connections": 12}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy)
        with load(side) as wait_for_more:
            wait_until(lambda: sum(held(proxy)) == 12, "all connections are in use")
            wait_for_more(200)
            proxy.target["max_connections"] = 4
            assert proxy.reload()["ok"]
            wait_until(lambda: len(small.backends(USER)) <= 4, "the database sees the lower limit")
            with Watch(small.dsn(), USER) as watch:
                wait_for_more(300)
                wait_until(lambda: held(proxy) == [2, 2], "equal parts")
            assert watch.highest <= 4
            assert limit_of(proxy) == 4
            proxy.target["max_connections"] = 10
            assert proxy.reload()["ok"]
            wait_until(lambda: sum(held(proxy)) == 10, "the higher limit is used")
            wait_for_more(200)
        closed = proxy.stats()
    # One that is moving to the other worker when the limit is lowered was given up for that.
    assert closed["servers_closed_excess"] + closed["servers_closed_made_room"] >= 8
    assert closed["servers_closed_excess"] > 0


def test_reload_lowers_the_limit_of_idle_workers(small: Postgres) -> None:
    """Nobody comes and nobody waits: workers look by themselves, and keep equal parts."""
    with Proxy(small, target={"max_connections": 12}, top={"workers": 2}) as proxy:
        # As many clients as connections: nobody queues, so no worker gives any up for the other.
        with all_servers_held(proxied_side(proxy, 12)) as holders:
            for holder in holders:
                holder.query("COMMIT")
        before = held(proxy)
        assert sum(before) == 12
        proxy.target["max_connections"] = 4
        assert proxy.reload()["ok"]
        wait_until(lambda: len(small.backends(USER)) <= 4, "the database sees the lower limit")
        wait_until(lambda: sum(held(proxy)) == 4, "no more were closed than had to be")
        assert max(held(proxy)) <= max(2, 4 - min(before))


def test_reload_changes_the_percentage(small: Postgres) -> None:
    """A new percentage takes effect though every connection is open already and none has to be opened."""
    with Proxy(small, target={"max_connections_percent": 50}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy)
        with load(side) as wait_for_more:
            wait_until(lambda: sum(held(proxy)) == usable(small) * 50 // 100 - 2, "all connections are in use")
            wait_for_more(100)
            proxy.target["max_connections_percent"] = 20
            assert proxy.reload()["ok"]
            wait_until(lambda: len(small.backends(USER)) <= usable(small) * 20 // 100 - 2, "it came down")
            assert limit_of(proxy) == usable(small) * 20 // 100 - 2
            proxy.target.update(max_connections=3)
            del proxy.target["max_connections_percent"]
            assert proxy.reload()["ok"]
            wait_until(lambda: len(small.backends(USER)) <= 3, "it came down to an absolute limit")
            proxy.target.update(max_connections_percent=20)
            del proxy.target["max_connections"]
            assert proxy.reload()["ok"]
            assert limit_of(proxy) == usable(small) * 20 // 100 - 2
            wait_for_more(100)


def test_database_comes_back_smaller() -> None:
    """Started again with a lower max_connections, it is asked anew, and no worker stays with the old limit."""
    with Postgres(max_connections=40) as server:
        server.start()
        server.add_role(USER)
        server.sql(f"CREATE DATABASE {USER} OWNER {USER}")
        with Proxy(server, target={"max_connections_percent": 100}, top={"workers": 2}) as proxy:
            side = proxied_side(proxy)
            with load(side):
                wait_until(lambda: sum(held(proxy)) > 12, "connections beyond what it will have")
            assert limit_of(proxy) == usable(server) - 2
            server.stop()
            server.settings["max_connections"] = 12
            server.start()
            wait_until(lambda: proxy.stats()["servers_held"] == 0, "it is noticed that the old ones are gone")
            with Watch(server.dsn(), USER) as watch, load(side) as wait_for_more:
                wait_for_more(300)
                assert limit_of(proxy) == 12 - RESERVED - 2
                wait_until(lambda: sum(held(proxy)) == 12 - RESERVED - 2, "the lower limit is used")
            assert watch.highest <= 12 - RESERVED


def test_connections_whose_init_query_hangs_count_until_they_have_ended(postgres: Postgres, wire_role: str) -> None:
    """Given up after server_login_timeout, they are cancelled; what goes on at the database is not forgotten."""
    hangs = {"init_query": "SELECT pg_sleep(60)", "connection_borrow_timeout": 5}
    with Watch(postgres.dsn(), USER) as watch:
        with Proxy(postgres, proxy=hangs, target={"max_connections": 2, "server_login_timeout": 1}) as proxy:
            side = proxied_side(proxy)
            with ThreadPoolExecutor(4) as pool:
                refusals = [login.exception(30) for login in [pool.submit(side.login) for _ in range(4)]]
            assert [type(refusal) for refusal in refusals] == [ServerError] * 4
            assert proxy.stats()["servers_failed"] >= 2
            wait_until(lambda: proxy.stats()["servers_held"] == 0, "what was begun is given up, and cancelled")
        assert watch.highest == 2
        wait_until(lambda: watch.now == 0, "the last one has ended")
