"""The loop: timers, handlers that fail, descriptors that are reused. Sockets here are socketpairs, nothing else."""

from __future__ import annotations

import functools
import logging
import os
import socket
from collections.abc import Iterator

import pytest

from tidegate.engine.loop import Loop, Watch

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def run_due(loop: Loop) -> None:
    """Every timer due by now is called within two turns."""
    loop.run_once()
    loop.run_once()


def test_timers_go_by_their_time_not_their_order(loop: Loop) -> None:
    called: list[int] = []
    for at in (3, 1, 2):
        loop.call_at(loop.now - 10 + at, lambda at=at: called.append(at))  # type: ignore[misc]
    run_due(loop)
    assert called == [1, 2, 3]


def test_a_timer_is_not_called_before_its_time(loop: Loop) -> None:
    loop.call_later(3600, lambda: pytest.fail("an hour too early"))
    run_due(loop)


def test_a_timer_is_called_once(loop: Loop) -> None:
    called: list[int] = []
    loop.call_later(0, lambda: called.append(1))
    run_due(loop)
    run_due(loop)
    assert called == [1]


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    timer = loop.call_later(0, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    timer.cancel()
    assert timer.cancelled
    run_due(loop)


def test_a_timer_may_cancel_another_that_is_due_at_once(loop: Loop) -> None:
    loop.call_at(loop.now - 2, lambda: second.cancel())
    second = loop.call_at(loop.now - 1, lambda: pytest.fail("it was cancelled"))
    run_due(loop)


def test_a_timer_that_asks_for_the_next_turn_lets_the_loop_go_on(loop: Loop, pair: Pair) -> None:
    """Each turn it is called once; what else the loop has to do is done in between."""
    ours, theirs = pair
    called: list[str] = []

    def again() -> None:
        called.append("timer")
        loop.call_later(0, again)

    def readable() -> None:
        called.append("event")
        ours.recv(100)

    Watch(loop, ours.fileno(), readable)
    theirs.send(b"x")
    again()
    loop.run_once()
    loop.run_once()
    assert called.count("timer") == 3
    assert called.count("event") == 1


def test_a_timer_that_fails_is_logged_and_the_others_are_called(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    called: list[int] = []
    loop.call_at(loop.now - 2, lambda: 1 // 0)
    loop.call_at(loop.now - 1, lambda: called.append(1))
    with caplog.at_level(logging.ERROR):
        run_due(loop)
    assert called == [1]
    assert [record.message for record in caplog.records] == ["a timer failed"]


def test_run_ends_with_stop(loop: Loop) -> None:
    called: list[int] = []
    loop.call_later(0, lambda: called.append(1))
    loop.call_later(0.001, loop.stop)
    loop.run()
    assert called == [1]


def test_the_clock_is_read_once_a_turn(loop: Loop) -> None:
    before = loop.now
    assert loop.now == before
    loop.run_once()
    assert loop.now > before


def test_at_rest_no_handler_is_called(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(loop, ours.fileno(), lambda: ours.recv(100))
    assert not loop.run_once()
    theirs.send(b"x")
    assert loop.run_once()
    assert not loop.run_once()
    watch.close()


def test_a_handler_that_raises_ends_neither_loop_nor_neighbour(
    loop: Loop, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = pair
    called: list[bytes] = []

    def broken() -> None:
        theirs.recv(100)
        raise RuntimeError("as planned")

    bad = Watch(loop, theirs.fileno(), broken)
    good = Watch(loop, ours.fileno(), lambda: called.append(ours.recv(100)))
    ours.send(b"to the bad one")
    theirs.send(b"to the good one")
    with caplog.at_level(logging.ERROR):
        loop.run_once()
    assert called == [b"to the good one"]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["as planned"]
    bad.close()
    good.close()


def test_a_closed_watch_is_called_no_more_and_its_descriptor_stays_open(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(loop, ours.fileno(), lambda: pytest.fail("it was closed"))
    theirs.send(b"x")
    watch.close()
    watch.close()
    assert not loop.run_once()
    assert ours.recv(100) == b"x"


def test_a_watch_may_close_itself_when_it_is_called(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    called: list[int] = []

    def once() -> None:
        called.append(1)
        watch.close()

    watch = Watch(loop, ours.fileno(), once)
    theirs.send(b"x")
    loop.run_once()
    loop.run_once()
    assert called == [1]


def test_a_reused_descriptor_gets_no_event_of_the_one_before(loop: Loop) -> None:
    """Two are ready in one batch. The first closes the second, whose number a new socket then gets."""
    first, first_peer = socket.socketpair()
    second, second_peer = socket.socketpair()
    fresh: list[socket.socket] = []
    watches: list[Watch] = []
    ends = {first.fileno(): (first, second), second.fileno(): (second, first)}

    def whoever_is_first(mine: int) -> None:
        if fresh:
            pytest.fail("the event was meant for a socket that is closed")
        _, other = ends[mine]
        number = other.fileno()
        for watch in watches:
            if watch.fd == number:
                watch.close()
        other.close()
        new = socket.socketpair()
        fresh.extend(new)
        assert number in (new[0].fileno(), new[1].fileno())
        reused = next(end for end in new if end.fileno() == number)
        watches.append(Watch(loop, reused.fileno(), lambda: pytest.fail("nothing was sent to the new socket")))
        ends[mine][0].recv(100)

    watches.extend(
        Watch(loop, sock.fileno(), functools.partial(whoever_is_first, sock.fileno())) for sock in (first, second)
    )
    first_peer.send(b"x")
    second_peer.send(b"x")
    loop.run_once()
    assert fresh
    loop.run_once()
    for sock in (first, second, first_peer, second_peer, *fresh):
        sock.close()


def test_the_table_grows_with_the_descriptors(loop: Loop, pair: Pair) -> None:
    ours, theirs = pair
    high = 5000
    os.dup2(ours.fileno(), high)
    try:
        called: list[bytes] = []
        watch = Watch(loop, high, lambda: called.append(os.read(high, 100)))
        theirs.send(b"x")
        loop.run_once()
        assert called == [b"x"]
        watch.close()
    finally:
        os.close(high)


def test_a_descriptor_that_epoll_does_not_take_is_refused(loop: Loop) -> None:
    with pytest.raises(OSError):
        Watch(loop, 999_999, lambda: None)
