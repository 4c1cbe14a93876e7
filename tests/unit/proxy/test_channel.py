"""The worker's end of the control channel, with a supervisor that reads and one that does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tidegate.engine.loop import Loop
from tidegate.proxy.channel import Channel
from tidegate.proxy.control import Decoder, Told


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(Loop(), ours.detach(), lambda _: None, lambda: None, Decoder())
        yield channel, theirs


def test_what_is_offered_arrives(ends: tuple[Channel, socket.socket]) -> None:
    channel, supervisor = ends
    message = Told(totals={"logins": 3})
    assert channel.offer(message)
    assert Decoder().feed(supervisor.recv(65536)) == [message]


@pytest.mark.timeout(20)
def test_a_supervisor_that_does_not_read_is_not_waited_for(ends: tuple[Channel, socket.socket]) -> None:
    channel, supervisor = ends
    message = Told(totals={"x" * 1000: 1})
    taken = 0
    while channel.offer(message):
        taken += 1
        assert taken < 100_000
    assert taken > 10
    decoder = Decoder()
    arrived = 0
    while arrived < taken:
        arrived += len(decoder.feed(supervisor.recv(65536)))
    assert channel.offer(message), "it reads again"
