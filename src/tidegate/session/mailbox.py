"""The notifications that wait for a client, told by two connections in two pieces of one order.

Owns that order while a client's channels pass from its server to the shared listener. Refuses to know when the client
may hear them, and connections: messages are NotificationResponses as they will be sent.

PostgreSQL keeps one order of all notifications, and each connection hears what it listens to in that order. While
channels pass over, the shared listener tells what is sent to the client's former channels, and the client's server
tells its new ones, up to the fence. What of the one comes before what of the other? So the server is made to listen to
the former channels, too (`doubled`): what it tells is then, from its LISTEN to the fence, all there is, in order. The
listener has told the same of the former channels, at its own time, and perhaps more from before; so the last ones that
it told ahead of the fence take their places among the others.
"""

from __future__ import annotations

from collections.abc import Set

_NAME = 9  # bytes of a NotificationResponse ahead of its channel: kind, length, pid


def channel_of(message: bytes) -> bytes | None:
    """Of a NotificationResponse; None for any other message."""
    return message[_NAME : message.index(b"\0", _NAME)] if message[:1] == b"A" else None


class Mailbox:
    """`most`: bytes that may wait; if they are more, `lost` (a message that says so) takes their place."""

    def __init__(self, most: int, lost: bytes) -> None:
        self._most, self._lost = most, lost
        self._size = 0
        self._waiting: list[bytes] = []
        self._by_server: list[tuple[bytes, bool]] = []
        self._behind: list[bytes] = []
        self._heard_fence = False
        self.server_is_done = False
        """The fence has come by the server: what that says from now on is the listener's to say."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def heard(self, message: bytes) -> None:
        """The shared listener tells this, or the proxy itself."""
        (self._behind if self._heard_fence else self._waiting).append(message)
        self._grew(message)

    def told(self, message: bytes, doubled: bool) -> None:
        """The client's server tells this; `doubled`: and so does the listener."""
        self._by_server.append((message, doubled))
        self._grew(message)

    def listener_passed_fence(self) -> None:
        """What the listener tells now comes behind all that the server tells."""
        self._heard_fence = True
        if self.server_is_done:
            self._merge()

    def server_passed_fence(self) -> None:
        """The server has told all that it has to tell."""
        self.server_is_done = True
        if self._heard_fence:
            self._merge()

    def settle(self) -> None:
        """Nothing passes over any more."""
        self._merge()
        self._heard_fence = self.server_is_done = False

    def drop(self, channels: Set[bytes]) -> None:
        """Forget what was sent to these."""
        self._waiting = [each for each in self._waiting if channel_of(each) not in channels]
        self._by_server = [each for each in self._by_server if channel_of(each[0]) not in channels]

    def take(self) -> list[bytes]:
        """All that can be told now, in order; it no longer waits."""
        waiting, self._waiting = self._waiting, []
        self._size = 0
        return waiting

    def _grew(self, message: bytes) -> None:
        self._size += len(message)
        if self._size > self._most:
            self._waiting = [self._lost]
            self._by_server, self._behind = [], []
            self._size = 0

    def _merge(self) -> None:
        first = len(self._waiting) - sum(doubled for _, doubled in self._by_server)
        twice = self._waiting[max(first, 0) :]
        if [each[_NAME:] for each in twice] == [each[_NAME:] for each, doubled in self._by_server if doubled]:
            # In the listener's words, which knows the senders.
            del self._waiting[first:]
            told = iter(twice)
            self._waiting += [next(told) if doubled else each for each, doubled in self._by_server]
        else:
            self._waiting += [each for each, doubled in self._by_server if not doubled]
        self._waiting += self._behind
        self._by_server, self._behind = [], []
