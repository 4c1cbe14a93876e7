"""One generator process of the storm: opens its share of the clients at once and follows them all on one epoll.

Owns the clients' sockets and their times. Refuses to judge: it prints what happened to each client as one JSON array a
line, `[connect seconds, total seconds, error]`, then `null` at the end of each wave. A wave starts with each line on
standard input; the end of standard input ends the process. Its arguments are one JSON object (`Orders`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass

from tidegate.demo.client import TERMINATE, ClientError, Conversation, Login

Report = tuple[float | None, float | None, str]
"""Seconds to ReadyForQuery after login, seconds to the end of the transaction, and the error ("" on success)."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What one generator process does in each wave: each client runs `statements`, one after the other.

    `linger` is how many seconds a client that was served stays connected before it closes, as a function does while it
    works on, or is frozen. `timeout` is how many seconds it is ready to wait for its transaction.
    """

    login: Login
    clients: int
    statements: tuple[str, ...]
    linger: float
    timeout: float

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """The reverse of to_json()."""
        data = json.loads(text)
        return cls(Login(**data["login"]), data["clients"], tuple(data["statements"]), data["linger"], data["timeout"])


class Client:
    """One connection attempt from connect() to close()."""

    def __init__(self, orders: Orders) -> None:
        self.conversation = Conversation(orders.login, orders.statements)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connect_time: float | None = None
        self.started = time.monotonic()
        code = self.socket.connect_ex((orders.login.host, orders.login.port))
        self.error = "" if code in (0, errno.EINPROGRESS) else os.strerror(code)
        self.connected = False

    def on_event(self) -> bool:
        """Do what can be done now; true when the client has finished or failed."""
        try:
            if not self.connected:
                self._check_connected()
                self.socket.sendall(self.conversation.start())
                return False
            return self._receive()
        except ClientError as error:
            self.error = error.reason
        except OSError as error:
            self.error = error.strerror or str(error)
        return True

    def report(self) -> Report:
        """What happened up to now."""
        total = time.monotonic() - self.started if not self.error else None
        return self.connect_time, total, self.error

    def close(self) -> None:
        """Say goodbye and close; a server that has closed already is no failure any more."""
        if not self.error:
            with contextlib.suppress(OSError):
                self.socket.send(TERMINATE)
        self.socket.close()

    def _check_connected(self) -> None:
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self.connected = True

    def _receive(self) -> bool:
        data = self.socket.recv(16384)
        if not data:
            raise ClientError("the server closed the connection")
        answer = self.conversation.feed(data)
        if self.connect_time is None and self.conversation.logged_in:
            self.connect_time = time.monotonic() - self.started
        # Requests are a few dozen bytes to a socket whose peer waits for them: they fit its buffer.
        if answer:
            self.socket.sendall(answer)
        return self.conversation.done


class Wave:
    """All clients at once. run() returns when each has closed or run out of patience."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._poll = select.epoll()
        self._busy: dict[int, Client] = {}
        # Oldest first; all linger equally long, so the first is the next to close.
        self._lingering: deque[tuple[float, Client]] = deque()
        self._reports: list[Report] = []

    def run(self) -> None:
        """Connect them all, follow them, print their reports as they come in."""
        for _ in range(self._orders.clients):
            self._open()
        deadline = time.monotonic() + self._orders.timeout
        while self._busy and (now := time.monotonic()) < deadline:
            for descriptor, _ in self._poll.poll(max(0.0, self._next_time(deadline) - now)):
                self._on_event(descriptor)
            self._close_lingering(time.monotonic())
            self._print()
        for client in self._busy.values():
            client.error = f"no answer within {self._orders.timeout:g} s"
            self._reports.append(client.report())
            client.close()
        self._print()
        self._poll.close()
        while self._lingering:
            time.sleep(max(0.0, self._lingering[0][0] - time.monotonic()))
            self._close_lingering(time.monotonic())

    def _open(self) -> None:
        client = Client(self._orders)
        if client.error:
            self._reports.append(client.report())
            client.close()
            return
        self._busy[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLOUT)

    def _on_event(self, descriptor: int) -> None:
        client = self._busy[descriptor]
        was_connected = client.connected
        if not client.on_event():
            if not was_connected:
                self._poll.modify(descriptor, select.EPOLLIN)
            return
        self._poll.unregister(descriptor)
        del self._busy[descriptor]
        self._reports.append(client.report())
        if client.error:
            client.close()
        else:
            self._lingering.append((time.monotonic() + self._orders.linger, client))

    def _next_time(self, deadline: float) -> float:
        return min(deadline, self._lingering[0][0]) if self._lingering else deadline

    def _close_lingering(self, now: float) -> None:
        while self._lingering and self._lingering[0][0] <= now:
            self._lingering.popleft()[1].close()

    def _print(self) -> None:
        if self._reports:
            sys.stdout.write("".join(json.dumps(report) + "\n" for report in self._reports))
            sys.stdout.flush()
            self._reports.clear()


def main() -> None:
    """A wave for each line on standard input."""
    orders = Orders.from_json(sys.argv[1])
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        try:
            Wave(orders).run()
        except OSError as error:
            sys.exit(f"tidegate demo: the clients could not be made: {error.strerror or error}")
        print("null", flush=True)


if __name__ == "__main__":
    main()
