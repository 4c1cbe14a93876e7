"""The shared budget under fire: processes that take and give slots while others of them are killed.

A stand-in database counts its open connections by itself; that count, not the budget's own, is held to the limit.
"""

from __future__ import annotations

import mmap
import os
import random
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.children import Children
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.slot_table import format_region, region_size

LIMIT = 12
WORKERS = 4
SLOTS = 64


class CountingDatabase:
    """Accepts connections, counts them, and closes each some time after its client's end has closed.

    Like a backend, a connection outlives its client's socket: it counts until this side has closed it.
    """

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.ports: set[int] = set()
        self.most = 0
        self.total = 0
        self.passes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        while not self._stop.is_set():
            for key, _ in selector.select(0.002):
                if key.fileobj is self.listener:
                    self._accept_all(selector)
                elif isinstance(key.fileobj, socket.socket) and not self._read(key.fileobj):
                    selector.unregister(key.fileobj)
                    self.ports.discard(key.data)
                    key.fileobj.close()
            self.passes += 1
        for key in list(selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        selector.close()

    def _accept_all(self, selector: selectors.BaseSelector) -> None:
        while True:
            try:
                connection, (_, port) = self.listener.accept()
            except BlockingIOError:
                return
            self.ports.add(port)
            self.total += 1
            self.most = max(self.most, len(self.ports))
            selector.register(connection, selectors.EVENT_READ, port)

    def wait_for_backlog(self) -> None:
        """Return once every connection made before the call has been counted."""
        wanted = self.passes + 2
        while self.passes < wanted:
            time.sleep(0.001)

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        try:
            return connection.recv(16)
        except ConnectionResetError:  # its client was killed
            return b""

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def database() -> Iterator[CountingDatabase]:
    database = CountingDatabase()
    yield database
    database.stop()


def churn_connections(memory: mmap.mmap, worker: int, port: int) -> None:
    """A worker's life until it is killed: open under a slot, close, wait for the other end, free the slot."""
    os.closerange(3, 1024)  # a copy of the database's sockets would keep them open
    budget, pick = SharedBudget(memory, 0, worker), random.Random(os.getpid())
    open_now: list[tuple[int, socket.socket]] = []
    while True:
        if len(open_now) < 8 and pick.random() < 0.6 and (slot := budget.acquire()) >= 0:
            connection = socket.socket()
            connection.bind(("127.0.0.1", 0))
            budget.note(slot, 0, connection.getsockname()[1])
            connection.connect(("127.0.0.1", port))
            open_now.append((slot, connection))
        elif open_now:
            slot, connection = open_now.pop(pick.randrange(len(open_now)))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
            connection.close()
            budget.free(slot)
        budget.report(waiting=pick.choice((0, 0, 3)), idle=len(open_now) // 2)


def recover(keeper: BudgetKeeper, worker: int, database: CountingDatabase) -> None:
    """What the supervisor does after a crash: free a slot once its backend is gone."""
    deadline = time.monotonic() + 10
    pending = keeper.orphan(worker)
    database.wait_for_backlog()
    while pending:
        assert time.monotonic() < deadline, f"backends never went away: {pending}"
        # Port 0: killed between acquire and note, so before connect.
        gone = [one for one in pending if one[3] not in database.ports]
        for target, slot, _, _ in gone:
            assert keeper.reclaim(target, slot)
        pending = [one for one in pending if one not in gone]
        time.sleep(0.001)


def make_budget() -> tuple[mmap.mmap, BudgetKeeper]:
    memory = mmap.mmap(-1, region_size(1, WORKERS, SLOTS))
    format_region(memory, 1, WORKERS, SLOTS)
    keeper = BudgetKeeper(memory)
    keeper.set_limit(0, LIMIT)
    return memory, keeper


def assert_whole(memory: mmap.mmap, keeper: BudgetKeeper) -> None:
    """Everything is free again, and it is exactly the limit."""
    assert (keeper.used(0), keeper.orphans(0)) == (0, 0)
    survivor = SharedBudget(memory, 0, 0)
    assert [survivor.acquire() for _ in range(LIMIT + 1)].count(-1) == 1, "a slot was lost or made up"


def test_the_limit_holds_and_no_slot_is_lost_while_workers_are_killed(
    database: CountingDatabase, children: Children
) -> None:
    memory, keeper = make_budget()
    pick = random.Random(3)

    def body(worker: int) -> None:
        churn_connections(memory, worker, database.port)

    for worker in range(WORKERS):
        children.start(worker, body)
    rounds = 0
    while rounds < 60 or database.total <= 500:
        assert rounds < 600, "the workers do not get anything done"
        rounds += 1
        time.sleep(pick.uniform(0.005, 0.03))
        victim = pick.randrange(WORKERS)
        children.kill(victim)
        recover(keeper, victim, database)
        children.start(victim, body)
    for worker in range(WORKERS):
        children.kill(worker)
        recover(keeper, worker, database)

    assert database.most <= LIMIT
    assert_whole(memory, keeper)


def churn_slots(memory: mmap.mmap, claims: mmap.mmap, worker: int) -> None:
    """Take and free as fast as possible; every slot is claimed in a second table that must be empty before."""
    budget, pick = SharedBudget(memory, 0, worker), random.Random(os.getpid())
    mine: list[int] = []
    while True:
        if len(mine) < LIMIT and pick.random() < 0.55 and (slot := budget.acquire()) >= 0:
            if claims[slot]:
                os._exit(42)
            claims[slot] = worker + 1
            mine.append(slot)
        elif mine:
            slot = mine.pop(pick.randrange(len(mine)))
            if claims[slot] != worker + 1:
                os._exit(42)
            claims[slot] = 0
            budget.free(slot)
        if worker == 0 and pick.random() < 0.01:
            budget.limit = pick.choice((3, LIMIT, 2 * LIMIT))


def test_no_slot_is_ever_held_twice_while_the_limit_changes_and_workers_are_killed(children: Children) -> None:
    memory, keeper = make_budget()
    claims = mmap.mmap(-1, SLOTS)
    pick = random.Random(4)

    def body(worker: int) -> None:
        churn_slots(memory, claims, worker)

    def kill(worker: int) -> None:
        children.kill(worker)
        for target, slot, _, _ in keeper.orphan(worker):
            claims[slot] = 0
            assert keeper.reclaim(target, slot)

    for worker in range(WORKERS):
        children.start(worker, body)
    for _ in range(80):
        time.sleep(pick.uniform(0.002, 0.02))
        assert keeper.used(0) <= 2 * LIMIT
        victim = pick.randrange(WORKERS)
        kill(victim)
        children.start(victim, body)
    for worker in range(WORKERS):
        kill(worker)
    keeper.set_limit(0, LIMIT)
    assert_whole(memory, keeper)
