"""A stream over a socketpair, as a test sees it."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from tests.support.probes import probe
from tidegate.engine.handshakes import Handshakes
from tidegate.engine.loop import Loop

streams = probe("streams")


def hello() -> bytes:
    """What a TLS client says first, to db.test."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="db.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class Ends:
    """A stream with its owner, and the raw socket at the other end."""

    def __init__(self, connecting: bool = False, loop: Loop | None = None) -> None:
        self.loop = loop or Loop()
        self.filled = 0
        self.handshakes: list[Handshakes] = []
        ours, self.peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.owner: Any = streams.Owner(self.loop, ours.detach(), connecting)

    def close(self) -> None:
        """Both ends, and the threads that computed for them: each would keep a loop's descriptors open."""
        for each in self.handshakes:
            each.stop()
        self.owner.close()
        self.peer.close()

    def turn(self) -> list[object]:
        """One turn of the loop; what the owner was told in it."""
        self.owner.events.clear()
        self.loop.run_once()
        return list(self.owner.events)

    def receive(self) -> bytes:
        """What has arrived at the other end."""
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""

    def drain(self, size: int) -> bytes:
        """Receive so many bytes, turning the loop in between."""
        data = b""
        for _ in range(10_000):
            data += self.receive()
            if len(data) >= size:
                return data
            self.loop.run_once()
        pytest.fail(f"{len(data)} bytes of {size}, and no more")

    def fill(self) -> None:
        """Send by the kernel's own means until it takes no more."""
        with socket.fromfd(self.owner.fd, socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.setblocking(False)
            try:
                while True:
                    self.filled += ours.send(b"." * 512)
            except BlockingIOError:
                return
