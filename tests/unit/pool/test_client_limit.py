"""The count of clients in one process: its limit, what a dead worker leaves, what memory it accepts."""

from __future__ import annotations

import mmap
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pool.client_limit import MAX_PROXIES, ClientLimit, clients_size, format_clients

WORKERS = 3


def make_memory(proxies: int = 1) -> mmap.mmap:
    memory = mmap.mmap(-1, clients_size(proxies, WORKERS))
    format_clients(memory, proxies, WORKERS)
    return memory


def make_limits() -> list[ClientLimit]:
    memory = make_memory()
    return [ClientLimit(memory, 0, worker) for worker in range(WORKERS)]


def test_one_worker_may_have_all_clients() -> None:
    one, other, _ = make_limits()
    assert [one.admit(5) for _ in range(6)] == [True] * 5 + [False]
    assert not other.admit(5)
    one.leave()
    assert other.admit(5)
    assert (one.here(), other.here(), one.everywhere()) == (4, 1, 5)


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, WORKERS - 1), st.booleans()), max_size=60),
)
def test_refuses_exactly_at_the_limit(most: int, events: list[tuple[int, bool]]) -> None:
    limits, here = make_limits(), [0] * WORKERS
    for worker, comes in events:
        if comes:
            room = sum(here) < most
            assert limits[worker].admit(most) is room
            here[worker] += room
        elif here[worker]:
            limits[worker].leave()
            here[worker] -= 1
        assert [limit.here() for limit in limits] == here
        assert limits[0].everywhere() == sum(here)


def test_a_limit_that_was_lowered_lets_nobody_in_until_enough_have_gone() -> None:
    one, other, _ = make_limits()
    assert all(one.admit(4) for _ in range(4))
    for _ in range(3):
        assert not other.admit(2)
        one.leave()
    assert other.admit(2)
    assert not other.admit(2)
    assert other.admit(3)


def test_a_dead_workers_clients_are_forgotten_and_no_others() -> None:
    memory = make_memory()
    one, other, supervisor = (ClientLimit(memory, 0, worker) for worker in (0, 1, 1))
    assert all(limit.admit(9) for limit in (one, other, other))
    supervisor.forget()
    assert (one.here(), other.here(), one.everywhere()) == (1, 0, 1)


def test_a_client_that_was_not_let_in_cannot_leave() -> None:
    one, other, _ = make_limits()
    assert one.admit(1)
    with pytest.raises(ValueError, match="worker 1 has no client of proxy 0"):
        other.leave()
    assert one.everywhere() == 1


def test_proxies_are_counted_apart() -> None:
    memory = make_memory(proxies=2)
    first, second = ClientLimit(memory, 0, 0), ClientLimit(memory, 1, 0)
    assert first.admit(1)
    assert second.admit(1)
    assert not first.admit(1)
    assert (first.here(), second.here()) == (1, 1)


@pytest.mark.parametrize(("proxies", "workers"), [(0, 1), (1, 0), (1, 257), (MAX_PROXIES + 1, 1), (-1, 1)])
def test_shapes_outside_the_bounds_are_refused(proxies: int, workers: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        clients_size(proxies, workers)


@pytest.mark.parametrize(("proxy", "worker"), [(-1, 0), (1, 0), (0, -1), (0, WORKERS)])
def test_numbers_outside_the_memory_are_refused(proxy: int, worker: int) -> None:
    with pytest.raises(ValueError, match=r"no proxy|no worker"):
        ClientLimit(make_memory(), proxy, worker)


def test_memory_that_is_no_count_is_refused() -> None:
    size = clients_size(1, WORKERS)
    with pytest.raises(ValueError, match="the memory has"):
        format_clients(bytearray(size - 1), 1, WORKERS)
    memory = make_memory()
    with pytest.raises(ValueError, match="shorter than its header says"):
        ClientLimit(memoryview(memory)[: size - 1], 0, 0)
    with pytest.raises(ValueError, match="aligned to 64 bytes and hold its header"):
        ClientLimit(memoryview(memory)[8:], 0, 0)
    memory[:4] = struct.pack("=I", 0)
    with pytest.raises(ValueError, match="layout version 1"):
        ClientLimit(memory, 0, 0)
    with pytest.raises((BufferError, TypeError)):
        ClientLimit(b"read-only", 0, 0)  # type: ignore[arg-type]
