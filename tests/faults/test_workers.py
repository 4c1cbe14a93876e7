"""Several workers under one limit: a storm is served whole, a killed worker takes only its own clients with it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import Watch, assert_settles
from tests.support.wire import ConnectionEnded, RawClient, ServerError, rows

CLIENTS = 300
LIMIT = 20


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_storm(postgres: Postgres, wire_role: str, workers: int) -> None:
    """300 at once, each connects, logs in by SCRAM, runs a transaction and leaves; then all over again."""
    barrier = threading.Barrier(CLIENTS)

    def visit(side: Side, number: int) -> str | None:
        barrier.wait(30)
        with side.login(timeout=40) as client:
            client.query("BEGIN")
            value = client.value(f"SELECT {number} FROM pg_sleep(0.01)")
            client.query("COMMIT")
            return value

    with Proxy(postgres, target={"max_connections": LIMIT}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, LIMIT)
        with Watch(postgres.dsn(), USER) as watch, ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(2):
                served = list(pool.map(lambda number: visit(side, number), range(CLIENTS)))
                assert served == [str(number) for number in range(CLIENTS)]
        assert len(proxy.workers()) == workers
    assert watch.looks > 10
    assert 1 < watch.highest <= LIMIT


def same_answers(client: RawClient, number: int) -> object:
    """A little of everything that a session carries."""
    client.query(f"SET work_mem = '{number + 5}MB'")
    client.ask(m.parse("SELECT $1::int * 2", "double"), m.sync())
    seen: list[object] = []
    for i in range(10):
        seen.append(rows(client.ask(m.run_prepared("double", [str(i)]))))
        seen.append(client.value("SHOW work_mem"))
        seen.append(rows(client.ask(m.batch("SELECT $1::text", [f"{number}/{i}"]))))
    return seen


@pytest.mark.parametrize("workers", [2, 4])
def test_same_answers_under_the_same_limit(direct: Side, postgres: Postgres, workers: int) -> None:
    clients = 24

    def work(side: Side, number: int) -> object:
        with side.login() as client:
            return same_answers(client, number)

    with (
        Proxy(postgres, target={"max_connections": 3}, top={"workers": workers}) as proxy,
        ThreadPoolExecutor(clients) as pool,
    ):
        side = proxied_side(proxy, 3)
        expected = [work(direct, number) for number in range(clients)]
        wait_until(lambda: not postgres.backends(USER), "the direct sessions have ended")
        with Watch(postgres.dsn(), USER) as watch:
            assert list(pool.map(lambda number: work(side, number), range(clients))) == expected
        assert watch.highest <= 3


def test_cancel_lands_on_any_worker(postgres: Postgres, wire_role: str) -> None:
    """The kernel gives the cancel connection to any of them; it is passed on."""
    with Proxy(postgres, target={"max_connections": 2}, top={"workers": 4}) as proxy:
        side = proxied_side(proxy, 2)
        with side.login() as client:
            for _ in range(12):
                client.send(m.query("SELECT pg_sleep(10)"))
                time.sleep(0.05)
                client.cancel()
                assert [reply.kind for reply in client.read_ready()].count("E") == 1


def test_one_worker_uses_what_the_others_leave(postgres: Postgres, wire_role: str) -> None:
    """All clients of one moment may sit on one worker: it gets the whole limit, the idle ones' slots included."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": 4}) as proxy:
        side = proxied_side(proxy, 4)
        for _ in range(6):
            clients = [side.login() for _ in range(4)]
            for client in clients:
                client.query("BEGIN")
            for client in clients:
                client.quit()
        assert_settles(postgres.dsn(), USER, 4)


def ask(client: RawClient) -> bool:
    """Whether the client is still there; its answer is right if so."""
    try:
        assert client.value("SELECT 'same'") == "same"
    except (ConnectionEnded, ConnectionError, ServerError):
        return False
    return True


def wait_for_two_workers(proxy: Proxy, killed: int) -> None:
    wait_until(lambda: len(set(proxy.workers()) - {killed}) == 2, "a new worker")


def wait_for_more(served: list[int], count: int) -> None:
    enough = len(served) + count
    wait_until(lambda: len(served) > enough, "work goes on")


def test_killed_worker(postgres: Postgres, wire_role: str) -> None:
    """kill -9 of a worker under load, three times: the other's clients undisturbed, the limit kept, the slots back."""
    limit = 6
    stop = threading.Event()
    served: list[int] = []

    def busy(side: Side) -> None:
        while not stop.is_set():
            try:
                with side.login() as client:
                    while not stop.is_set():
                        client.query("SELECT pg_sleep(0.003)")
                        served.append(1)
            except (ConnectionEnded, ConnectionError, ServerError):
                continue  # its worker was the one: come again

    with Proxy(postgres, target={"max_connections": limit}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy, limit)
        threads = [threading.Thread(target=busy, args=(side,)) for _ in range(10)]
        with Watch(postgres.dsn(), USER) as watch:
            for thread in threads:
                thread.start()
            try:
                for index in (0, 1, 0):
                    sitters = [side.login() for _ in range(30)]
                    for sitter in sitters:
                        sitter.query("SET work_mem = '7MB'")
                    killed = proxy.kill_worker(index)
                    alive = [sitter for sitter in sitters if ask(sitter)]
                    assert 0 < len(alive) < len(sitters)
                    assert all(sitter.value("SHOW work_mem") == "7MB" for sitter in alive)
                    wait_for_two_workers(proxy, killed)
                    wait_for_more(served, 50)
                    for sitter in sitters:
                        sitter.quit()
            finally:
                stop.set()
                for thread in threads:
                    thread.join(20)
        assert watch.highest <= limit
        holders = [side.login() for _ in range(limit)]
        for holder in holders:
            holder.query("BEGIN")
        for holder in holders:
            holder.quit()
        assert_settles(postgres.dsn(), USER, limit)


def test_killed_worker_amid_transactions(postgres: Postgres, wire_role: str) -> None:
    """What its clients had open is rolled back by the database; the other worker may use those slots afterwards."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy, 4)
        clients = [side.login() for _ in range(4)]
        for client in clients:
            client.query("BEGIN")
            client.query("SELECT pg_advisory_xact_lock_shared(4)")
        proxy.kill_worker(0)
        survivors = [client for client in clients if ask(client)]
        for survivor in survivors:
            survivor.query("COMMIT")
            survivor.quit()
        with side.login() as after:
            after.query("BEGIN")
            after.query("SELECT pg_advisory_xact_lock(4)")
            after.query("COMMIT")
        assert_settles(postgres.dsn(), USER, 4)


def test_backlog_survives_its_worker(postgres: Postgres, wire_role: str) -> None:
    """The supervisor holds the listening sockets: who connects while the only worker is dead is served by the next."""
    with Proxy(postgres, target={"max_connections": 2}) as proxy:
        side = proxied_side(proxy, 2)
        side.login().quit()
        proxy.kill_worker()
        with side.login() as client:
            assert client.value("SELECT 1") == "1"
