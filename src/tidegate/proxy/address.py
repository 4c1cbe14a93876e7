"""Where a target is: its address, resolved without ever stopping the relay, and sockets connected to it.

Owns name resolution and connect(). Refuses to speak on what it connects.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tidegate.config.model import TargetConfig
    from tidegate.proxy.server import Server

FIRST_WAIT = 0.5  # seconds that a new target's name may hold up the loop; later ones are connected to when found
FRESH_FOR = 30.0  # seconds a resolved name is used before it is looked up again (in another thread)
# For idle connections; those with data under way have `proxy.unreachable` (`engine.reach`: why not TCP_USER_TIMEOUT).
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))

Resolved = tuple[int, Any]  # address family, sockaddr


class Opened(Protocol):
    """What a connection is made for: a server, or a cancel request."""

    def open(self, fd: int, /) -> None: ...


class Address:
    """The address of one target. `clock` gives seconds of the loop."""

    def __init__(self, config: TargetConfig, clock: Callable[[], float]) -> None:
        self.config = config
        self._clock = clock
        self._found: list[Resolved] = []
        self._next = 0
        self._looked_up_at = 0.0
        self._busy = threading.Lock()
        first = threading.Thread(target=self._resolve, daemon=True)
        first.start()
        first.join(FIRST_WAIT)

    def connect(self, stream_owner: Opened) -> None:
        """Begin to connect; `stream_owner.open(fd)` gets the socket."""
        stream_owner.open(self.socket().detach())

    def socket(self) -> socket.socket:
        """A non-blocking socket whose connect() has begun; a failure shows as an event of the socket."""
        if self._clock() - self._looked_up_at > FRESH_FOR:
            self._look_up_again()
        if not self._found:
            # An unresolvable name: a socket that fails at once keeps one way of failing.
            return _connected(socket.AF_INET, ("127.0.0.1", 0))
        family, address = self._found[self._next % len(self._found)]
        return _connected(family, address)

    def failed(self) -> None:
        """A connection could not be made: the next one takes the next address."""
        self._next += 1
        self._looked_up_at = 0.0

    def local_port(self, server: Server) -> int:
        """The port that the database sees this server's connection come from; 0 on a Unix socket."""
        if self.config.host.startswith("/"):
            return 0
        name: Any = socket.socket(fileno=os.dup(server.fileno())).getsockname()
        return int(name[1])

    def _look_up_again(self) -> None:
        self._looked_up_at = self._clock()
        if not self.config.host.startswith("/") and not self._busy.locked():
            threading.Thread(target=self._resolve, daemon=True).start()

    def _resolve(self) -> None:
        host, port = self.config.host, self.config.port
        if host.startswith("/"):
            path = host if not os.path.isdir(host) else os.path.join(host, f".s.PGSQL.{port}")
            self._found = [(socket.AF_UNIX, path)]
            self._looked_up_at = self._clock()
            return
        with self._busy:
            try:
                answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return  # the last known addresses stay; without any, opening fails and is retried
            finally:
                self._looked_up_at = self._clock()
            self._found = [(int(family), address) for family, _, _, _, address in answers]


def _connected(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if family != socket.AF_UNIX:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    error = made.connect_ex(address)
    if error not in (0, errno.EINPROGRESS, errno.EAGAIN) and family == socket.AF_UNIX:
        # A Unix socket fails at once and leaves a socket that polls as hung up: the same event as a refused TCP one.
        return made
    return made
