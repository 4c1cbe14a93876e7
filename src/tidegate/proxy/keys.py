"""Cancel keys: which client a CancelRequest means, without a table of secrets.

Owns the making and checking of BackendKeyData (PostgreSQL documentation, "Canceling Requests in Progress"). Refuses to
cancel.

The pid that a client sees is made of its worker's number (7 bits) and its place in that worker (24 bits). The key is a
keyed BLAKE2 hash (RFC 7693) of the pid and a generation counter, at a third of an HMAC's cost: nothing is stored a
client but four bytes, and a key of a client that left does not fit the next one in its place.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay

PLACES = 1 << 24


class CancelKeys:
    """The keys of one worker's clients."""

    def __init__(self, worker: int, secret: bytes) -> None:
        self._worker = worker
        self._secret = secret
        # By place. A list: with thousands of idle clients a dict and its numbers would weigh as much as what it finds.
        self._clients: list[Relay | None] = [None]
        self._free: list[int] = []
        self._generation = 0

    def issue(self, client: Relay, size: int) -> tuple[int, bytes]:
        """(pid, key of `size` bytes) for a client that has logged in."""
        if self._free:
            place = self._free.pop()
        else:
            place = len(self._clients)
            if place >= PLACES:
                raise OverflowError("too many clients for one worker")
            self._clients.append(None)
        self._generation = (self._generation + 1) & 0xFFFFFFFF
        client.ident, client.generation = place, self._generation
        self._clients[place] = client
        pid = self._worker << 24 | place
        return pid, self._key(pid, self._generation)[:size]

    def revoke(self, client: Relay) -> None:
        """The client has left."""
        if self._clients[client.ident] is client:
            self._clients[client.ident] = None
            self._free.append(client.ident)

    def find(self, pid: int, key: bytes) -> Relay | None:
        """The client that this pid and key were issued to, if it is still here."""
        place = pid & (PLACES - 1)
        client = self._clients[place] if place < len(self._clients) else None
        if client is None or len(key) not in (4, 32):
            return None
        expected = self._key(pid, client.generation)[: len(key)]
        return client if hmac.compare_digest(expected, key) else None

    def _key(self, pid: int, generation: int) -> bytes:
        about = pid.to_bytes(4, "big") + generation.to_bytes(4, "big")
        return hashlib.blake2b(about, digest_size=32, key=self._secret).digest()


def worker_of(pid: int) -> int:
    """The number of the worker whose client has this pid."""
    return pid >> 24
