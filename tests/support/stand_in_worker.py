"""A stand-in for the relay worker: speaks the control channel, and answers each client's line with who it is.

Run by `stand_in_serve`. Owns no database: `take` takes a slot of the shared budget for a backend that is as alive as
the file ALIVE_FILE says. Refuses to be fast.

Lines of a client: `who` -> {"worker": N, "pid": N, "proxy": NAME}; `take PID PORT` -> {"slot": N}; `hold` -> {}, the
client is in a transaction; `end` -> {}, it is no longer.
"""

from __future__ import annotations

import json
import mmap
import os
import selectors
import socket
import sys
import time
from typing import Any

from tidegate.config.model import Config
from tidegate.pool.shared_budget import SharedBudget
from tidegate.proxy.boot import Boot, Listener
from tidegate.proxy.control import (
    Configure,
    Configured,
    Decoder,
    Message,
    Ready,
    Reclaim,
    Reclaimed,
    Stats,
    StatsReply,
    Stop,
    StopMode,
    Stopped,
    encode,
)


class StandIn:
    """One worker process."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.decoder = Decoder()
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel, selectors.EVENT_READ, self.heard)
        self.listeners: dict[str, socket.socket] = {}
        self.busy: set[socket.socket] = set()
        self.clients: set[socket.socket] = set()
        self.stop_at: float | None = None
        self.served = 0

    def run(self) -> None:
        while self.stop_at is None or (self.busy and time.monotonic() < self.stop_at):
            for key, _ in self.selector.select(0.01):
                key.data(key.fileobj)
        for client in list(self.clients):
            self.drop(client)
        self.say(Stopped())

    def say(self, message: Message) -> None:
        self.channel.sendall(encode(message)[0])

    def heard(self, channel: socket.socket) -> None:
        data, fds, _, _ = socket.recv_fds(channel, 65536, 250)
        if not data:
            os._exit(0)
        for message in self.decoder.feed(data, fds):
            self.obey(message)

    def obey(self, message: Message) -> None:
        if isinstance(message, Boot):
            self.boot(message)
        elif isinstance(message, Configure):
            self.configure(message)
        elif isinstance(message, Stats):
            stats = {"served": self.served, "clients_max": len(self.clients), "pools": [{"pool": "p", "servers": 1}]}
            self.say(StatsReply(round=message.round, stats=stats))
        elif isinstance(message, Reclaim):
            with open(os.environ["ALIVE_FILE"], encoding="ascii") as file:
                alive = {int(word) for word in file.read().split()}
            gone = tuple(one.slot for one in message.slots if (one.pid or one.port) not in alive)
            self.say(Reclaimed(round=message.round, target=message.target, slots=gone))
        elif isinstance(message, Stop):
            now = time.monotonic()
            self.stop_at = now + message.seconds if message.mode is StopMode.GRACEFUL else now
            self.unlisten(list(self.listeners))

    def boot(self, boot: Boot) -> None:
        if os.environ.get("FAIL_AT_START"):
            sys.exit(3)
        self.number = boot.worker
        self.budget = SharedBudget(mmap.mmap(boot.budget_fd, 0), boot.targets["main"], boot.worker)
        Config.from_dict(boot.config)
        self.listen(boot.listeners)
        key = min(map(len, boot.mock_keys.values()))
        print(f"stand-in started with a key of {key}", file=sys.stderr, flush=True)
        self.say(Ready(pid=os.getpid()))

    def configure(self, message: Configure) -> None:
        self.unlisten(message.removed)
        self.listen(message.added)
        refused = Config.from_dict(message.config).proxies[0].init_query == "refuse"
        self.say(Configured(round=message.round, error="refused as told" if refused else ""))

    def listen(self, listeners: tuple[Listener, ...]) -> None:
        for one in listeners:
            listener = self.listeners[one.address] = socket.socket(fileno=one.fd)
            self.selector.register(listener, selectors.EVENT_READ, lambda at, proxy=one.proxy: self.accept(at, proxy))

    def unlisten(self, addresses: Any) -> None:
        for address in addresses:
            listener = self.listeners.pop(address)
            self.selector.unregister(listener)
            listener.close()

    def accept(self, listener: socket.socket, proxy: str) -> None:
        if listener.fileno() < 0:  # closed by a message that was read in the same turn
            return
        try:
            client, _ = listener.accept()
        except BlockingIOError:  # a shared Unix socket: another worker was first
            return
        self.clients.add(client)
        self.selector.register(client, selectors.EVENT_READ, lambda at: self.serve(at, proxy))

    def drop(self, client: socket.socket) -> None:
        self.selector.unregister(client)
        self.clients.discard(client)
        self.busy.discard(client)
        client.close()

    def serve(self, client: socket.socket, proxy: str) -> None:
        words = client.recv(100).decode().split()
        if not words:
            self.drop(client)
        elif words[0] == "hold":
            self.busy.add(client)
            client.sendall(b"{}\n")
        elif words[0] == "end":
            self.busy.discard(client)
            client.sendall(b"{}\n")
        elif words[0] == "take":
            slot = self.budget.acquire()
            if slot >= 0:
                self.budget.note(slot, int(words[1]), int(words[2]))
            client.sendall(json.dumps({"slot": slot}).encode() + b"\n")
        else:
            self.served += 1
            answer = {"worker": self.number, "pid": os.getpid(), "proxy": proxy}
            client.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    StandIn(socket.socket(fileno=int(sys.argv[1]))).run()
