"""A relay worker: one process, one epoll loop.

Owns the worker's parts and its answers to the supervisor: configuration, statistics, stopping. Refuses to do anything
slow: whatever would stop the loop belongs to the supervisor or to another thread.
"""

from __future__ import annotations

import argparse
import json
import logging
import mmap
import os
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping

from tidegate.auth.verifiers import CleartextCache, ExchangeKeys, Plain, Secret, parse_secret
from tidegate.config.model import Config, ProxyConfig
from tidegate.engine.loop import Loop, Watch, ignore_interrupts
from tidegate.engine.tls_context import TlsContext
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.pool.client_limit import ClientLimit
from tidegate.proxy.boot import Boot
from tidegate.proxy.boot import Listener as BootListener
from tidegate.proxy.cancel import Cancels
from tidegate.proxy.certificates import Certificates
from tidegate.proxy.channel import Channel
from tidegate.proxy.context import Context
from tidegate.proxy.control import (
    CatalogueChanged,
    Configure,
    Configured,
    CredentialLooked,
    Decoder,
    Message,
    Ready,
    Reclaim,
    Stats,
    StatsReply,
    Stop,
    StopMode,
    Stopped,
    TokenVerdict,
    Told,
)
from tidegate.proxy.database_logins import DatabaseLogins
from tidegate.proxy.figures import collect, totals
from tidegate.proxy.gate import Gate
from tidegate.proxy.iam_logins import IamLogins
from tidegate.proxy.identity import Signals
from tidegate.proxy.keys import CancelKeys
from tidegate.proxy.learnt import Learnt
from tidegate.proxy.listener import Listener
from tidegate.proxy.logs import LOG, set_up
from tidegate.proxy.pinned import pinned_sessions
from tidegate.proxy.relay import Relay
from tidegate.proxy.targets import Targets
from tidegate.proxy.vacating import Vacancies
from tidegate.session.pins import PinReason

TICK = 0.1  # seconds between two looks at those who wait
SWEEP = 1.0  # seconds between two looks at everyone else
LEAVE_PERIOD = 0.02  # seconds between two looks at the server connections, while they are being closed
LEAVE_LIMIT = 2.0  # seconds beyond the limit of a stop that the database may take to close them
UNSAID_KEPT = 10_000  # messages for a supervisor that does not read; what is lost costs another worker a question
SET_OUTCOMES_KEPT = 4096


class Worker:
    """One relay process."""

    def __init__(self, boot: Boot, control_fd: int, decoder: Decoder) -> None:
        self.index = boot.worker
        self.workers = boot.workers
        self.config = Config.from_dict(boot.config)
        self.context = Context(self.config)
        self.loop: Loop = self.context.loop
        self.counters = self.context.counters
        self.log = LOG
        self.exchange_keys: dict[str, ExchangeKeys] = {}
        self.cleartext = CleartextCache()
        # A secret of this process alone: it counts its clients from 1, as the worker did that it may have replaced.
        self.cancel_keys = CancelKeys(boot.worker, secrets.token_bytes(32))
        self.cancels = Cancels(self)
        self.vacancies = Vacancies(self)
        self.signals = Signals(self)
        self.pins_by_reason: dict[PinReason, int] = {}
        self.unpins_by_reason: dict[PinReason, int] = {}
        self.closed_by_reason: dict[CloseReason, int] = {}
        self.servers_closed_by_reason: dict[CloseReason, int] = {}
        self.set_outcomes: dict[bytes, tuple[str, bytes]] = {}
        self.lingering: set[Relay] = set()
        self._secrets: dict[tuple[str, bool], Secret] = {}
        self.certificates = Certificates()
        self.gates: dict[str, Gate] = {}
        self.listeners: dict[str, Listener] = {}
        self.database_logins = DatabaseLogins(
            lambda: self.config, lambda: self.loop.now, self.wall_clock, self.tell_supervisor
        )
        self.iam_logins = IamLogins(self.loop, self.tell_supervisor, self._log_refusal)
        self.targets = Targets(self, mmap.mmap(boot.budget_fd, 0), self.tell_supervisor)
        self._counts = mmap.mmap(boot.clients_fd, 0)
        self._wake_fds = boot.wake_fds
        self._peers = [socket.socket(fileno=fd) for fd in boot.peer_fds]
        self._inbox = socket.socket(fileno=boot.inbox_fd)
        self._stopping_at: float | None = None
        self._leaving = False
        self._cancelled = False
        self._swept_at = 0.0
        self._told: dict[str, int | float] = {}
        self._unsaid: deque[Message] = deque(maxlen=UNSAID_KEPT)
        self._take_config(boot)
        for one in boot.learnt:
            self.targets.learnt(one)
        self._channel = Channel(self.loop, control_fd, self.received, self._abandoned, decoder)
        Watch(self.loop, self._wake_fds[self.index], self._woken)
        Watch(self.loop, boot.inbox_fd, self._peer_spoke)
        self._listen(boot.listeners)

    def run(self) -> None:
        """Serve until told to stop."""
        self._channel.send(Ready(pid=os.getpid()))
        self._tick()
        self.loop.run()
        self.context.handshakes.stop()

    # --- configuration -----------------------------------------------------------------------------------------------

    def _take_config(self, message: Boot | Configure) -> None:
        config = self.config
        set_up(config.log_level, config.log_format, f"worker {self.index}", debugged=config.debugged)
        self.context.verbose = LOG.isEnabledFor(logging.DEBUG)
        self._choose_ring()
        self._secrets.clear()
        self._take_mock_keys(message.mock_keys)
        self.database_logins.configure(message.aws_keys)
        self.targets.configure(message.targets)
        for proxy in self.config.proxies:
            limit = ClientLimit(self._counts, message.proxies[proxy.name], self.index)
            gate = self.gates.get(proxy.name)
            if gate is None:
                self.gates[proxy.name] = Gate(self, proxy, self.targets[proxy.target], limit)
            else:
                gate.configure(proxy, self.targets[proxy.target], limit)
        self.targets.regroup()

    def _take_mock_keys(self, mock_keys: dict[str, str]) -> None:
        """Targets whose key is the same keep what was derived with it."""
        known = {ring.mock_key: ring for ring in self.exchange_keys.values()}
        for name, text in mock_keys.items():
            key = bytes.fromhex(text)
            self.exchange_keys[name] = known[key] = known.get(key) or ExchangeKeys(key)

    def tls_of(self, proxy: ProxyConfig) -> TlsContext | None:
        """What the clients of a proxy meet that ask for TLS."""
        return self.certificates.of_proxy(proxy, self.exchange_keys[proxy.target].mock_key)

    def secret_of(self, text: str, plain: bool) -> Secret:
        """A listed user's password or verifier, parsed once. `plain`: it is a password, whatever it looks like."""
        known = self._secrets.get((text, plain))
        if known is None:
            known = self._secrets[text, plain] = Plain(text) if plain else parse_secret(text)
        return known

    @staticmethod
    def _log_refusal(user: str, reason: str) -> None:
        LOG.warning("IAM token for user %s refused: %s", json.dumps(user), reason)

    def _listen(self, listeners: tuple[BootListener, ...]) -> None:
        for one in listeners:
            self.listeners[one.address] = Listener(self.context, self.gates[one.proxy], one.fd)

    def _configure(self, message: Configure) -> None:
        error = ""
        try:
            self.config = self.context.config = Config.from_dict(message.config)
            for address in message.removed:
                if address in self.listeners:
                    self._stop_listening(address)
            for name in message.ended:
                self._end_proxy(name)
            self._take_config(message)
            self._listen(message.added)
        except (ValueError, KeyError, TypeError, OSError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        self._channel.send(Configured(round=message.round, error=error))

    def _end_proxy(self, name: str) -> None:
        gate = self.gates.pop(name, None)
        for client in list(gate.clients) if gate is not None else ():
            client.refuse(
                PgError("terminating connection due to administrator command", Sqlstate.ADMIN_SHUTDOWN, "FATAL"),
                CloseReason.SHUTDOWN,
            )

    def _stop_listening(self, address: str) -> None:
        """Give up this worker's copy of a socket: while any is open, the kernel lets clients connect to nobody."""
        listener = self.listeners.pop(address)
        descriptor = listener.fd
        listener.close()
        os.close(descriptor)

    # --- the supervisor's messages -----------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """One message of the supervisor."""
        if isinstance(message, Configure):
            self._configure(message)
        elif isinstance(message, Stats):
            self._tell_totals()
            stats = {"pinned": pinned_sessions(self)} if message.pinned else collect(self)
            self._channel.send(StatsReply(round=message.round, stats=stats))
        elif isinstance(message, Stop):
            self._stop(message)
        elif isinstance(message, TokenVerdict):
            self.iam_logins.told(message)
        elif isinstance(message, CredentialLooked):
            self.database_logins.looked(message)
        elif isinstance(message, Learnt):
            self.targets.learnt(message)
        elif isinstance(message, CatalogueChanged):
            self.targets.catalogue_changed(message)
        elif isinstance(message, Reclaim):
            reclaimer = self.targets.reclaimer(message.target)
            if reclaimer is not None:
                reclaimer.ask(message)

    def _tell_totals(self) -> None:
        """What the supervisor goes on counting with should this process be killed."""
        found = totals(self)
        if found != self._told and self._channel.offer(Told(totals=found)):
            self._told = found

    def tell_supervisor(self, message: Message) -> None:
        """Send one message, now or as soon as the supervisor reads again."""
        self._unsaid.append(message)
        self._say()

    def _say(self) -> None:
        while self._unsaid and self._channel.offer(self._unsaid[0]):
            self._unsaid.popleft()

    def _abandoned(self) -> None:
        self.log.error("the supervisor has ended; so does this worker")
        self.loop.stop()

    # --- stopping ----------------------------------------------------------------------------------------------------

    def _stop(self, message: Stop) -> None:
        """No new clients; idle ones are told and closed, transactions may end until the limit."""
        seconds = message.seconds if message.mode is StopMode.GRACEFUL else 0.0
        self._stopping_at = self.loop.now + seconds
        self.context.draining = True
        for address in list(self.listeners):
            self._stop_listening(address)
        self._drain()

    def _drain(self) -> None:
        assert self._stopping_at is not None
        late = self.loop.now >= self._stopping_at
        for gate in self.gates.values():
            for client in list(gate.clients):
                if late or client.is_idle:
                    client.refuse(
                        PgError(
                            "terminating connection due to administrator command", Sqlstate.ADMIN_SHUTDOWN, "FATAL"
                        ),
                        CloseReason.SHUTDOWN,
                    )
        if not any(gate.clients for gate in self.gates.values()) and not self._leaving:
            self._leaving = True
            self.targets.shut()
            self.loop.call_later(LEAVE_PERIOD, self._leave)

    def _leave(self) -> None:
        """End once the database has closed every server connection, but wait no longer than may be."""
        assert self._stopping_at is not None
        over = self.loop.now - self._stopping_at
        if self.targets.have_servers and over < LEAVE_LIMIT:
            if over >= 0 and not self._cancelled:
                # A backend reads Terminate only when its statement has ended, which nobody waits for any more.
                self._cancelled = True
                self.targets.cancel_statements(self.cancels)
            self.loop.call_later(LEAVE_PERIOD, self._leave)
            return
        self._tell_totals()
        self._channel.send(Stopped())
        self.loop.stop()

    # --- time --------------------------------------------------------------------------------------------------------

    @staticmethod
    def wall_clock() -> float:
        """Seconds since the epoch, for VALID UNTIL."""
        return time.time()

    def _tick(self) -> None:
        self.loop.call_later(TICK, self._tick)  # first: whatever fails below, the next tick comes
        self.targets.tick()
        now = self.loop.now
        if now - self._swept_at >= SWEEP:
            self._swept_at = now
            for gate in self.gates.values():
                for client in list(gate.clients):
                    self._check(client, now)
            for client in list(self.lingering):
                self._check(client, now)
            self.targets.check(now)
            self.vacancies.check()
            self.database_logins.check(now)
            self._tell_totals()
            self._say()
        if self._stopping_at is not None:
            self._drain()
        self.context.to_servers.flush_all()
        self.context.to_clients.flush_all()

    @staticmethod
    def _check(client: Relay, now: float) -> None:
        """Have a client look at its time limits; one that fails ends, and the others have theirs."""
        try:
            client.check(now)
        except Exception as error:
            LOG.error("internal error in a client session", exc_info=error)
            client.leave(CloseReason.INTERNAL_ERROR)

    def _choose_ring(self) -> None:
        if not self.config.io_uring:
            self.loop.outbox.without_ring()
        elif error := self.loop.outbox.with_ring():
            LOG.info("io_uring is not to be had here (%s): each send is a system call", os.strerror(error))

    # --- other workers -----------------------------------------------------------------------------------------------

    def _woken(self) -> None:
        """Another worker waits for a slot, or has freed one."""
        os.eventfd_read(self._wake_fds[self.index])
        self.targets.act()

    def wake(self, workers: Iterable[int]) -> None:
        """Have other workers look at the budget."""
        for index in workers:
            if index != self.index:
                os.eventfd_write(self._wake_fds[index], 1)

    def tell(self, index: int, message: Mapping[str, object], quietly: bool = False) -> None:
        """Send a datagram to another worker's inbox; one that is lost costs a cancel request.

        quietly: whoever sends it asks again where no answer comes.
        """
        try:
            self._peers[index].send(json.dumps(message).encode(), socket.MSG_DONTWAIT)
        except OSError as error:
            if not quietly:
                self.log.warning("worker %d does not take messages: %s", index, error)

    def _peer_spoke(self) -> None:
        message = json.loads(self._inbox.recv(65536, socket.MSG_DONTWAIT))
        if not self.vacancies.told(message) and not self.signals.told(message):
            self.cancels.told(message)

    def remember_set(self, text: bytes, name: str, value: bytes) -> None:
        """What a `SET x = const` came to."""
        if len(self.set_outcomes) >= SET_OUTCOMES_KEPT:
            self.set_outcomes.clear()
        self.set_outcomes[text] = name, value


def main() -> int:
    """A worker's program; the supervisor starts it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control-fd", type=int, required=True)
    control_fd = parser.parse_args().control_fd
    ignore_interrupts()
    decoder = Decoder()
    channel = socket.socket(fileno=control_fd)
    channel.setblocking(True)
    messages: list[Message] = []
    while not messages:
        data = channel.recv(65536)
        if not data:
            return 1
        messages = decoder.feed(data)
    channel.detach()
    boot, *rest = messages
    if not isinstance(boot, Boot):
        return 1
    worker = Worker(boot, control_fd, decoder)
    for message in rest:
        worker.received(message)
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
