"""The `io_uring` setting: the same answers with it and without, also where it is switched while clients work."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import messages as m
from tests.support.counted import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import rows
from tidegate.engine.outbox import Outbox

CLIENTS = 40
LONG = 100_000  # bytes; more than waits for the end of a turn
ALLOWED = Outbox().with_ring() == 0  # else, on this machine, the setting changes nothing


def has_ring(pid: int) -> bool:
    """As /proc shows the process."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "io_uring" in os.readlink(f"/proc/{pid}/fd/{name}"):
                return True
        except FileNotFoundError:  # closed meanwhile
            continue
    return False


def work(side: Side, number: int, enough: threading.Event) -> int:
    """Short and long answers, pipelined and alone; each must be this client's own."""
    turns = 0
    with side.login() as client:
        while not enough.is_set() or not turns:
            turns += 1
            assert client.value(f"SELECT {number} * {turns}") == str(number * turns)
            batch = [m.batch("SELECT $1::text", [f"{number}/{turns}/{each}"]) for each in range(3)]
            client.send(*batch)
            for each in range(3):
                assert rows(client.read_ready()) == [(f"{number}/{turns}/{each}".encode(),)]
            long = client.value(f"SELECT repeat('{number % 10}', {LONG})")
            assert long == str(number % 10) * LONG
    return turns


@pytest.mark.parametrize("chosen", [True, False])
def test_many_clients(postgres: Postgres, wire_role: str, chosen: bool) -> None:
    settings = {"io_uring": chosen, "workers": 2}
    enough = threading.Event()
    enough.set()
    with Proxy(postgres, target={"max_connections": 5}, top=settings) as proxy:
        assert [has_ring(pid) for pid in proxy.workers()] == [chosen and ALLOWED] * 2
        assert ("io_uring is not to be had here" in proxy.stderr()) == (chosen and not ALLOWED)
        side = proxied_side(proxy, 5)
        with ThreadPoolExecutor(CLIENTS) as pool:
            assert list(pool.map(lambda number: work(side, number, enough), range(CLIENTS))) == [1] * CLIENTS


def test_switched_while_clients_work(postgres: Postgres, wire_role: str) -> None:
    enough = threading.Event()
    with Proxy(postgres, target={"max_connections": 5}) as proxy, ThreadPoolExecutor(CLIENTS) as pool:
        side = proxied_side(proxy, 5)
        (worker,) = proxy.workers()
        try:
            working = [pool.submit(work, side, number, enough) for number in range(CLIENTS)]
            for chosen in (False, True) * 5:
                before = proxy.stats()["transactions"]
                proxy.top["io_uring"] = chosen
                assert proxy.reload()["ok"]
                assert has_ring(worker) == (chosen and ALLOWED)
                wait_until(lambda before=before: proxy.stats()["transactions"] > before + CLIENTS, "they work on")  # type: ignore[misc]
        finally:
            enough.set()
        assert all(done.result(30) > 0 for done in working)
