"""What streams write in one turn of the loop leaves at its end: with io_uring, without, and where it is taken away."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from tests.unit.engine.ends import Ends
from tidegate.engine.loop import Loop
from tidegate.engine.outbox import Outbox

ENTRIES = 128  # of one batch

REFUSALS = (errno.ENOSYS, errno.EPERM)
"""Why this machine may have no io_uring: an old kernel, or a rule against it."""


@pytest.fixture(params=["io_uring", "send", "io_uring that broke"])
def loop(request: pytest.FixtureRequest) -> Loop:
    """A loop that sends by a ring, by calls, or by a ring whose descriptor is gone, as is noticed at its first use."""
    made = Loop()
    if request.param != "send":
        before = descriptors()
        error = made.outbox.with_ring()
        if error:
            assert error in REFUSALS  # then what is tested is how a loop goes on without
        elif request.param == "io_uring that broke":
            (ring,) = descriptors() - before
            os.close(ring)
            assert os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) == ring
    return made


def descriptors() -> set[int]:
    """Those of this process that an io_uring has."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "io_uring" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(int(name))
        except FileNotFoundError:  # the listing's own
            continue
    return found


@pytest.fixture(params=[1, 2, 3, 20, ENTRIES, ENTRIES + 1, 300])
def many(request: pytest.FixtureRequest, loop: Loop) -> Iterator[list[Ends]]:
    """Streams of one loop; more than fit into one batch among the numbers."""
    made = [Ends(loop=loop) for _ in range(request.param)]
    loop.run_once()
    yield made
    for ends in made:
        ends.close()


def test_each_gets_its_own_at_the_end_of_the_turn(many: list[Ends], loop: Loop) -> None:
    for round_ in range(3):
        for number, ends in enumerate(many):
            ends.owner.write_soon(b"%d of %d" % (number, round_))
        assert many[-1].receive() == b""
        loop.run_once()
        for number, ends in enumerate(many):
            assert ends.receive() == b"%d of %d" % (number, round_)
            assert not ends.owner.kept


def test_order_of_one_stream(many: list[Ends], loop: Loop) -> None:
    """Soon, at once, soon again, a long one: always in the order in which they were written."""
    for ends in many:
        ends.owner.write_soon(b"1")
        ends.owner.write(b"2")
        ends.owner.write_soon(b"3")
        ends.owner.write_soon(b"4")
        ends.owner.write_soon(b"5" * 20000)
        ends.owner.write_soon(b"6")
    for ends in many:
        assert ends.drain(20005) == b"1234" + b"5" * 20000 + b"6"


def test_what_the_kernel_does_not_take_is_kept(many: list[Ends], loop: Loop) -> None:
    """Some of a batch are full already, some fill up in it, and the others are not disturbed."""
    full = many[::2]
    for ends in full:
        ends.fill()
    for ends in many:
        ends.owner.write_soon(b"small")
    loop.run_once()
    for ends in many[1::2]:
        assert ends.receive() == b"small"
    for ends in full:
        assert ends.owner.kept == 5
        assert ends.drain(ends.filled + 5)[ends.filled :] == b"small"


def test_a_part_is_taken(many: list[Ends], loop: Loop) -> None:
    pieces = [bytes([number % 251]) * 8000 for number in range(20)]
    for piece in pieces:
        for ends in many[:20]:
            ends.owner.write_soon(piece)
        loop.run_once()
    for ends in many[:20]:
        assert ends.drain(160_000) == b"".join(pieces)


def test_those_that_left_are_told_and_the_others_served(many: list[Ends], loop: Loop) -> None:
    for ends in many[::3]:
        ends.peer.close()
    for ends in many:
        ends.owner.write_soon(b"x")
    loop.run_once()
    loop.run_once()
    for number, ends in enumerate(many):
        if number % 3:
            assert ends.receive() == b"x"
            assert not ends.owner.broken
        else:
            assert ends.owner.broken
            assert "hung up" in ends.owner.events


@pytest.mark.parametrize("end", ["close", "end_writing"])
def test_the_last_words_leave_before_the_end(many: list[Ends], loop: Loop, end: str) -> None:
    for ends in many:
        ends.owner.write_soon(b"goodbye")
        getattr(ends.owner, end)()
        assert ends.receive() == b"goodbye"
        assert ends.receive() == b""


def test_a_reused_descriptor_gets_nothing_of_the_one_before(loop: Loop) -> None:
    first, second = Ends(loop=loop), Ends(loop=loop)
    old = first.owner.fd
    for ends in (first, second):
        ends.owner.write_soon(b"old")
    first.owner.close()
    ours, peer = socket.socketpair()
    assert old in (ours.fileno(), peer.fileno())
    loop.run_once()
    for end in (ours, peer):
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(10)
    ours.close()
    peer.close()
    second.owner.close()


def test_settled_means_offered(loop: Loop) -> None:
    ends = Ends(loop=loop)
    loop.run_once()
    ends.fill()
    ends.owner.write_soon(b"abc")
    assert ends.owner.kept == 0
    ends.owner.settle()
    assert ends.owner.kept == 3
    ends.owner.close()


def test_a_ring_can_be_given_up_and_taken_again() -> None:
    outbox = Outbox()
    before = descriptors()
    for _ in range(3):
        error = outbox.with_ring()
        assert outbox.with_ring() == error
        if error:
            assert error in REFUSALS
            continue
        assert len(descriptors() - before) == 1
        outbox.without_ring()
        assert descriptors() == before
