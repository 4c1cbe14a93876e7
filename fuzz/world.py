"""The proxy's own sessions in one thread: real loop, gate, pool and relay; socketpairs where TCP would be.

Owns one worker without listeners and supervisor, its clients, its databases, and the rules that hold whatever they
send. Refuses to make inputs. A rule that is broken is a `Finding`.

The rules: nothing raises, nothing is logged as an error, everything comes to rest. What a client receives are whole
messages, none with another client's words in it. The database gets nothing but messages. While only the database's
script has spoken, a client that is still connected can end what it began and is answered. In the end no server is
lent, each has the settings that the proxy believes it has, and no descriptor is open.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import socket
import sys
import traceback
from contextlib import suppress
from functools import cache
from typing import Any

from fuzz.database import Database
from fuzz.steps import Do, Step
from tests.support import messages as m
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.verifiers import CleartextCache, ExchangeKeys, Secret
from tidegate.config.model import (
    AuthMethod,
    Config,
    DatabaseConfig,
    PoolMode,
    ProxyConfig,
    TargetConfig,
    UserConfig,
)
from tidegate.errors import CloseReason
from tidegate.pool.budget import LocalBudget
from tidegate.pool.client_limit import ClientLimit, clients_size, format_clients
from tidegate.proxy.cancel import Cancels
from tidegate.proxy.certificates import Certificates
from tidegate.proxy.context import Context
from tidegate.proxy.control import Message
from tidegate.proxy.database_logins import DatabaseLogins
from tidegate.proxy.gate import Gate
from tidegate.proxy.keys import CancelKeys
from tidegate.proxy.login import ClientLogin
from tidegate.proxy.relay import Relay
from tidegate.proxy.target import Target
from tidegate.proxy.worker import Worker
from tidegate.session.pins import PinReason
from tidegate.wire.postgres.replies import OutOfStep

SERVERS = 2  # fewer than clients, so that some wait
SMALL_BUFFER = 8192  # bytes: what the kernel takes from the proxy at once
LATER = 10.0  # seconds after everybody has left, by when the proxy must have noticed
TURNS = 20_000  # more without coming to rest is a hang
BACKEND_KINDS = frozenset(b"RKSZCDTtENA123nsIGHWdcVv")
MARK = re.compile(rb"@(\d)@")
LOG = logging.getLogger("tidegate")


class Finding(Exception):
    """A rule that does not hold."""


class Budget(LocalBudget):
    """The budget of a lone worker, with what a target asks of a shared one."""

    def note(self, slot: int, pid: int, port: int) -> None:
        """Nobody looks for orphans here."""


class FuzzedWorker(Worker):
    """A worker whose sockets are the world's."""

    def __init__(self, config: Config, network: Network) -> None:
        self.index, self.workers = 0, 1
        self.config = config
        self.context = Context(config)
        self.loop = self.context.loop
        self.counters = self.context.counters
        self.log = LOG
        self.cleartext = CleartextCache()
        self.cancel_keys = CancelKeys(0, bytes(32))
        self.cancels = Cancels(self)
        self.pins_by_reason: dict[PinReason, int] = {}
        self.unpins_by_reason: dict[PinReason, int] = {}
        self.closed_by_reason: dict[CloseReason, int] = {}
        self.servers_closed_by_reason: dict[CloseReason, int] = {}
        self.set_outcomes: dict[bytes, tuple[str, bytes]] = {}
        self.lingering: set[Relay] = set()
        self._secrets: dict[str, Secret] = {}
        self.certificates = Certificates()
        self.database_logins = DatabaseLogins(
            lambda: self.config, lambda: self.loop.now, self.wall_clock, self.tell_supervisor
        )
        target = config.targets[0]
        self.exchange_keys = {target.name: ExchangeKeys(bytes(32))}
        self.targets = {target.name: Target(self.context, self, target, Budget(SERVERS), network, 0)}
        clients = mmap.mmap(-1, clients_size(len(config.proxies), self.workers))
        format_clients(clients, len(config.proxies), self.workers)
        self.gates = {
            proxy.name: Gate(self, proxy, self.targets[target.name], ClientLimit(clients, number, self.index))
            for number, proxy in enumerate(config.proxies)
        }

    def tell_supervisor(self, message: Message) -> None:
        """There is none, and no other worker that would want to know."""


class Network:
    """In place of `proxy.address.Address`: every connection gets a database of its own."""

    def __init__(self) -> None:
        self.databases: list[Database] = []

    def connect(self, owner: Any) -> None:
        """Connect a server, or a cancel request."""
        ours, theirs = pair()
        self.databases.append(Database(theirs, len(self.databases) + 1))
        owner.open(ours.detach())

    def failed(self) -> None:
        """There is no other address to try."""

    def local_port(self, server: object) -> int:
        """Nobody looks for orphans here."""
        return 0


class Peer:
    """A client's end: what it sent, what it received."""

    def __init__(self, sock: socket.socket, relay: Relay) -> None:
        self.sock = sock
        self.relay = relay
        self.sent = bytearray()
        self.received = bytearray()
        self.deaf = self.closed = self.left = False
        self._out = bytearray()

    def send(self, data: bytes) -> None:
        """Queue bytes for the proxy."""
        if not self.closed and not self.left:
            self.sent += data
            self._out += data

    def leave(self, politely: bool) -> None:
        """Close, or the sending half only."""
        self.left = True
        if politely:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        elif not self.closed:
            self.closed = True
            self.sock.close()

    def pump(self) -> bool:
        """Send and receive what can be; whether anything moved."""
        moved = False
        while self._out and not self.closed:
            try:
                sent = self.sock.send(self._out, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()
                break
            del self._out[:sent]
            moved = True
        while not self.deaf and not self.closed:
            try:
                data = self.sock.recv(1 << 20)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            moved = True
            if not data:
                self.closed = True
                self.sock.close()
            self.received += data
        return moved


class World:
    """One input's proxy. `run` plays the steps, `end` looks at what is left."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        self.network = Network()
        self.worker = FuzzedWorker(configuration(), self.network)
        self.gate = self.worker.gates["main"]
        self.target = self.worker.targets["db"]
        self.peers: dict[int, Peer] = {}
        self.muted = False
        self.scripted = True

    def log_in(self) -> None:
        """Four clients come in, whom the gate trusts."""
        for who in range(4):
            self.peer(who).send(m.startup({"user": "trusting", "database": "app"}))
        self.settle()

    def run(self, steps: list[Step]) -> None:
        """Play an input."""
        for step in steps:
            self.play(step)
            if not step.hold:
                self.settle()
        self.settle()

    def play(self, step: Step) -> None:
        """One step."""
        if step.do is Do.SEND:
            self.peer(step.who).send(step.payload)
        elif step.do is Do.LEAVE:
            self.peer(step.who).leave(bool(step.payload))
        elif step.do is Do.DEAFEN:
            self.peer(step.who).deaf = not step.payload
        elif step.do is Do.MUTE:
            self.muted = not step.payload
        elif self.network.databases:
            database = self.network.databases[step.who % len(self.network.databases)]
            self.scripted = False
            if step.do is Do.REPLY:
                database.say(step.payload)
            else:
                database.close()

    def peer(self, who: int) -> Peer:
        """A client, connected when first used."""
        found = self.peers.get(who)
        if found is None:
            ours, theirs = pair()
            relay = Relay(self.worker.context, self.gate)
            relay.login = ClientLogin(self.gate, relay, self.worker.loop.now)
            self.gate.clients[relay] = None
            relay.open(ours.detach())
            found = self.peers[who] = Peer(theirs, relay)
        return found

    def settle(self) -> None:
        """Turn the loop until nothing moves any more."""
        quiet = 0
        for _ in range(TURNS):
            moved = self.worker.loop.run_once()
            for database in self.network.databases:
                database.muted = self.muted
                moved = database.pump() or moved
                if database.broken and database.scripted:
                    raise Finding(f"the database was sent {database.broken}")
            for peer in self.peers.values():
                moved = peer.pump() or moved
            quiet = 0 if moved else quiet + 1
            if quiet == 2:
                break
        else:
            raise Finding("it never comes to rest")
        if self.errors:
            raise Finding("\n".join(self.errors))

    # --- the end -------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Check what must hold at rest, then send everybody home and check again."""
        self.muted = False
        for peer in self.peers.values():
            peer.deaf = False
        self.settle()
        for who, peer in self.peers.items():
            self._check_received(who, peer)
        if self.scripted:
            self._check_answers()
        for peer in self.peers.values():
            peer.leave(False)
        self.settle()
        for client in list(self.gate.clients):
            client.check(self.worker.loop.now + LATER)
        self.settle()
        for database in self.network.databases:
            if not database.scripted:
                database.close()
        self.settle()
        self._check_pools()
        self.target.shut()
        self.settle()
        if self.target.servers or self.target.budget.held():
            raise Finding(f"{len(self.target.servers)} servers are left of closed databases")

    def close(self) -> None:
        """Close whatever a finding has left open."""
        for peer in self.peers.values():
            peer.leave(False)
            with suppress(Exception):
                peer.relay.leave(CloseReason.CLIENT_LOST)
        for database in self.network.databases:
            database.close()

    def _check_answers(self) -> None:
        """Whoever is still connected and not within a message ends what it began, and must be answered."""
        waiting = []
        for peer in self.peers.values():
            if not peer.closed and not peer.left and peer.relay.login is None and at_boundary(bytes(peer.sent)):
                waiting.append(peer)
            else:
                peer.leave(False)  # it may hold a server that others wait for
        self.settle()
        # Whoever holds a server first: it may be pinned, and others wait for it.
        for peer in sorted(waiting, key=lambda peer: not peer.relay.server_pid):
            mark = len(peer.received)
            peer.send(m.copy_fail("end") + m.sync() + m.query("ROLLBACK"))
            self.settle()
            said = bytes(peer.received[mark:])
            if not peer.closed and not said.endswith(m.message("C", b"ROLLBACK\0") + m.message("Z", b"I")):
                raise Finding(f"a client got no answer to its last query, but {said[-200:]!r}")
            peer.leave(False)
            self.settle()

    def _check_received(self, who: int, peer: Peer) -> None:
        received = bytes(peer.received)
        if self.scripted and not peer.closed:
            _, rest = frames(received)
            if rest:
                raise Finding(f"client {who} received what is no message: {rest[:80]!r}")
        foreign = set(MARK.findall(received)) - set(MARK.findall(bytes(peer.sent)))
        if foreign and self.scripted:
            raise Finding(f"client {who} received what was said for {foreign}")

    def _check_pools(self) -> None:
        for pool in self.target.pool_stats():
            if pool["lent"] or pool["waiting"] or pool["opening"]:
                raise Finding(f"nobody is connected, but: {pool}")
        by_pid = {database.pid: database for database in self.network.databases}
        for server in self.target.servers:
            database = by_pid.get(server.pid)
            if database is None or not database.scripted or database.closed:
                continue
            believed, session = dict(server.applied.values), database.session
            wrong = [name for name, value in believed.items() if session.value(name.encode()) != value]
            if wrong or not session.own.keys() <= believed.keys() or session.status != "I":
                raise Finding(f"a server has {session.own}, status {session.status}, but the proxy believes {believed}")

    def features(self) -> set[object]:
        """What happened, coarsely: inputs that show something new are kept."""
        found: set[object] = {("closed", reason) for reason in self.worker.closed_by_reason}
        found |= {("server", reason) for reason in self.worker.servers_closed_by_reason}
        for name, value in self.worker.counters.as_dict().items():
            found.add((name, int(value).bit_length()))
        for peer in self.peers.values():
            previous = 0
            for kind, body in frames(bytes(peer.received))[0]:
                found.add((previous, kind))
                if kind == ord("E"):
                    found.add(body[:60])
                previous = kind
        return found


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Whole messages at the start of a client's bytes, and what follows them; answers to SSLRequest are skipped."""
    found = []
    at = 0
    while data[at : at + 1] == b"N" and data[at + 1 : at + 2] in (b"", b"N", b"R", b"E", b"v"):
        at += 1
    while at + 5 <= len(data):
        end = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
        if data[at] not in BACKEND_KINDS or end > len(data) or end < at + 5:
            break
        found.append((data[at], data[at + 5 : end]))
        at = end
    return found, data[at:]


def at_boundary(sent: bytes) -> bool:
    """Whether a client's bytes end with a whole message, after its login."""
    at = 0
    while at + 8 <= len(sent) and int.from_bytes(sent[at + 4 : at + 8], "big") in (80877103, 80877104):
        at += 8
    at += int.from_bytes(sent[at : at + 4], "big")
    while at + 5 <= len(sent):
        at += 1 + int.from_bytes(sent[at + 1 : at + 5], "big")
    return at == len(sent) and b"replication\0" not in sent


def pair() -> tuple[socket.socket, socket.socket]:
    """The proxy's end, with little room, and the other."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@cache
def configuration() -> Config:
    """Users of every kind of secret, a pool mode of each kind, few servers."""
    verifier = ScramKeys.from_password("secret", b"0123456789abcdef").text()
    return Config(
        proxies=(
            ProxyConfig(
                name="main",
                listen=(),
                target="db",
                max_prepared_statements=2,
                databases={
                    "app": DatabaseConfig(),
                    "session": DatabaseConfig(pool_mode=PoolMode.SESSION),
                },
            ),
        ),
        targets=(TargetConfig(name="db", host="127.0.0.1", user="postgres", max_connections=SERVERS),),
        users=(
            UserConfig(name="plain", password="secret", auth_method=AuthMethod.PASSWORD),
            UserConfig(name="scram", password=verifier),
            UserConfig(name="md5", password="md5" + "0" * 32, auth_method=AuthMethod.MD5),
            UserConfig(name="trusting", auth_method=AuthMethod.TRUST),
        ),
    )


class ErrorLog(logging.Handler):
    """Lines of severity error, with their tracebacks."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world
        self._errors = world.errors

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one. That a database is out of step is worth a line, and no finding if it was made to be."""
        if record.exc_info and isinstance(record.exc_info[1], OutOfStep) and not self._world.scripted:
            return
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self._errors.append(f"{record.getMessage()}\n{trace}")


def play(steps: list[Step], logged_in: bool) -> set[object]:
    """Run one input in a world of its own; Finding if a rule is broken. Returns what happened."""
    before = open_descriptors()
    errors: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda seen: errors.append(f"ignored: {seen.exc_value!r} in {seen.object!r}")
    world = World(errors)
    LOG.handlers[:] = [ErrorLog(world)]
    LOG.propagate = False
    try:
        if logged_in:
            world.log_in()
        world.run(steps)
        world.end()
        features = world.features()
    finally:
        sys.unraisablehook = hook
        LOG.handlers.clear()
        world.close()
    left = open_descriptors() - before - 2  # the loop's own
    if left > 0:
        raise Finding(f"{left} descriptors are left open")
    return features


def open_descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))
