"""The worker's end of the control channel, on the worker's own loop.

Owns reading and writing of its bytes and descriptors. Refuses to know what a message is for (`worker`).
"""

from __future__ import annotations

import array
import select
import socket
from collections.abc import Callable

from tidegate.engine.loop import Loop, Watch
from tidegate.proxy.control import MAX_FDS, Decoder, Message, encode

CHUNK = 65536  # bytes


class Channel:
    """`received` is called with each message, `ended` once the supervisor's end is closed."""

    def __init__(
        self, loop: Loop, fd: int, received: Callable[[Message], None], ended: Callable[[], None], decoder: Decoder
    ) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._received = received
        self._ended = ended
        self._decoder = decoder
        self._room = select.poll()
        self._room.register(fd, select.POLLOUT)
        self._watch = Watch(loop, fd, self._readable)

    def send(self, message: Message) -> None:
        """Send a message; the supervisor reads at once, so this does not wait in practice."""
        data, _ = encode(message)
        try:
            self._socket.sendall(data)
        except OSError:
            self._end()

    def offer(self, message: Message) -> bool:
        """Send a message if the socket has room for it now; whether it had.

        A supervisor that is stopped, or swapped out, must not stop the worker. A socket that takes bytes at all takes
        what is far smaller than its buffer (unix_writable: at most a quarter is used).
        """
        if not self._room.poll(0):
            return False
        self.send(message)
        return True

    def _readable(self) -> None:
        fds = array.array("i")
        try:
            data, ancillary, _, _ = self._socket.recvmsg(CHUNK, socket.CMSG_SPACE(MAX_FDS * fds.itemsize))
        except OSError:
            data, ancillary = b"", []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        if not data:
            self._end()
            return
        for message in self._decoder.feed(data, fds):
            self._received(message)

    def _end(self) -> None:
        self._watch.close()
        self._ended()
