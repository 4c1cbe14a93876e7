"""The count of clients under fire: processes that let clients in and out while others of them are killed."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import time

from tests.support.children import Children
from tidegate.pool.client_limit import ClientLimit, clients_size, format_clients

WORKERS = 4
LIMIT = 7
LOCK = 64
"""Offset of the first proxy's lock (layout version 1)."""


def make_memory() -> mmap.mmap:
    memory = mmap.mmap(-1, clients_size(1, WORKERS))
    format_clients(memory, 1, WORKERS)
    return memory


def test_the_last_place_is_given_once_and_never_to_nobody(children: Children) -> None:
    """Each of the workers asks LIMIT times, all at once: together they get LIMIT, in every round."""
    for _ in range(40):
        memory, gate = make_memory(), mmap.mmap(-1, 1)

        def body(worker: int, memory: mmap.mmap = memory, gate: mmap.mmap = gate) -> None:
            limit = ClientLimit(memory, 0, worker)
            while not gate[0]:
                pass
            os._exit(sum(limit.admit(LIMIT) for _ in range(LIMIT)))

        for worker in range(WORKERS):
            children.start(worker, body)
        gate[0] = 1
        assert sum(children.wait(worker) for worker in range(WORKERS)) == LIMIT


def churn(limit: ClientLimit, most_seen: mmap.mmap) -> None:
    """A worker's life until it is killed; the most that it ever saw is left behind."""
    pick, mine = random.Random(os.getpid()), 0
    while True:
        if pick.random() < 0.6:
            mine += limit.admit(LIMIT)
        elif mine:
            limit.leave()
            mine -= 1
        if limit.here() != mine:
            os._exit(42)
        most_seen[limit.worker] = max(most_seen[limit.worker], mine)


def test_nothing_is_lost_or_made_up_while_workers_are_killed(children: Children) -> None:
    memory, most_seen, pick = make_memory(), mmap.mmap(-1, WORKERS), random.Random(5)
    supervisor = [ClientLimit(memory, 0, worker) for worker in range(WORKERS)]

    def body(worker: int) -> None:
        churn(ClientLimit(memory, 0, worker), most_seen)

    for worker in range(WORKERS):
        children.start(worker, body)
    for _ in range(100):
        time.sleep(pick.uniform(0.001, 0.01))
        assert supervisor[0].everywhere() <= LIMIT
        victim = pick.randrange(WORKERS)
        children.kill(victim)
        supervisor[victim].forget()
        children.start(victim, body)
    for worker in range(WORKERS):
        children.kill(worker)
        supervisor[worker].forget()
    assert max(most_seen[:]) > LIMIT // 2, "the workers did not get anything done"
    assert supervisor[0].everywhere() == 0
    assert [supervisor[0].admit(LIMIT) for _ in range(LIMIT + 1)].count(True) == LIMIT


def test_the_lock_of_a_killed_worker_opens_by_itself(children: Children) -> None:
    """Killed inside admit(), before the supervisor knows of it: the others go on."""
    memory, ready = make_memory(), mmap.mmap(-1, 1)
    lock = ctypes.c_char.from_buffer(memory, LOCK)

    def body(worker: int) -> None:
        assert ctypes.CDLL(None).pthread_mutex_lock(ctypes.byref(lock)) == 0
        ready[0] = 1
        time.sleep(60)

    children.start(1, body)
    while not ready[0]:
        time.sleep(0.001)

    def other(worker: int) -> None:
        limit = ClientLimit(memory, 0, worker)
        os._exit(17 if limit.admit(LIMIT) and limit.admit(LIMIT) else 1)

    children.start(2, other)
    time.sleep(0.05)
    assert os.waitpid(children.pids[2], os.WNOHANG) == (0, 0), "the lock does not lock"
    children.kill(1)
    assert children.wait(2) == 17
    assert ClientLimit(memory, 0, 0).everywhere() == 2
