"""A worker's targets through the reloads of its configuration: which are in use, which are on their way out.

Owns their coming and going, with what hangs on each: the reader of its roles, the questions about slots of dead
workers. Refuses to lend a server (`target`) and to read a role (`rolereader`).

A target whose settings changed stays the same one. One that has another address, or is gone from the file, is retired:
transactions that run there go on, and its servers are closed as they come back. The clients of a target that moved, or
of a proxy that has another target now, go there with their next transaction; who waits for a server, or a login for its
role, waits on there.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tidegate.config.model import TargetConfig
from tidegate.errors import CloseReason, PgError
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.slot import Ticket
from tidegate.proxy.address import Address
from tidegate.proxy.control import CatalogueChanged, Message
from tidegate.proxy.encryption import connection_settings
from tidegate.proxy.learnt import Learnt
from tidegate.proxy.reclaim import Reclaimer
from tidegate.proxy.rolereader import RoleReader
from tidegate.proxy.target import Target
from tidegate.proxy.unreachable import drop_unreachable

if TYPE_CHECKING:
    from tidegate.proxy.cancel import Cancels
    from tidegate.proxy.login import ClientLogin
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.worker import Worker

READER_GRACE = 5.0
"""Seconds beyond the longest wait that a replaced reader of roles stays: by then nobody waits for its answers."""


class Targets:
    """Targets by name, and those that are retired."""

    def __init__(self, worker: Worker, memory: mmap.mmap, send: Callable[[Message], None]) -> None:
        self._worker = worker
        self._memory = memory
        self._send = send
        self._current: dict[str, Target] = {}
        self._retired: list[Target] = []
        self._moving = False  # whether any client may still have another target than its proxy
        self.past: Counter[str] = Counter()
        """What targets had counted that are gone."""
        self._readers: dict[Target, RoleReader] = {}
        self._replaced: list[tuple[RoleReader, float]] = []
        self._reclaimers: dict[str, Reclaimer] = {}

    def __getitem__(self, name: str) -> Target:
        return self._current[name]

    def __iter__(self) -> Iterator[Target]:
        """Every target that may have servers, the retired ones included."""
        yield from self._current.values()
        yield from self._retired

    # --- configuration -----------------------------------------------------------------------------------------------

    def configure(self, numbers: dict[str, int]) -> None:
        """Take the worker's configuration; `numbers`: each target's part of the shared budget."""
        config = self._worker.config
        for gone in self._current.keys() - {target.name for target in config.targets}:
            self._retire(gone)
        for target in config.targets:
            known = self._current.get(target.name)
            if known is not None and (known.config.host, known.config.port) == (target.host, target.port):
                self._renew(known, target)
            else:
                self._add(target, numbers[target.name])

    def _add(self, config: TargetConfig, number: int) -> None:
        worker = self._worker
        budget = SharedBudget(self._memory, number, worker.index)
        new = Target(worker.context, worker, config, budget, Address(config, lambda: worker.loop.now), number)
        new.encryption = worker.certificates.of_target(config)
        former = self._current.get(config.name)
        if former is not None:
            new.credentials.update(former.credentials)  # its clients have shown them, and will not be asked again
            self._retire(config.name)
        self._current[config.name] = new

    def _renew(self, target: Target, config: TargetConfig) -> None:
        before = target.config
        target.encryption = self._worker.certificates.of_target(config)
        target.reconfigure(config)
        if connection_settings(before) != connection_settings(config):
            target.retire()  # those that are open; the next ones are encrypted as it says now
            self._replace_reader(target)
        elif _reader_settings(before) != _reader_settings(config):
            self._replace_reader(target)

    def regroup(self) -> None:
        """The proxies have their new settings: have each client's servers come from the pool that these name."""
        for target in self._current.values():
            target.regroup()
        self._move_logins()
        self._moving = True

    def _retire(self, name: str) -> None:
        target = self._current.pop(name)
        target.retire()
        self._retired.append(target)
        self._replace_reader(target)
        self._reclaimers.pop(name, None)

    def _replace_reader(self, target: Target) -> None:
        reader = self._readers.pop(target, None)
        if reader is not None:
            patience = max(
                (max(proxy.login_timeout, proxy.connection_borrow_timeout) for proxy in self._worker.config.proxies),
                default=0.0,
            )
            self._replaced.append((reader, self._worker.loop.now + patience + READER_GRACE))

    def learnt(self, told: Learnt) -> None:
        """Another worker has heard something of a pool."""
        for target in self:
            if target.number == told.target:
                target.info(told.pool).learnt(told)

    def catalogue_changed(self, told: CatalogueChanged) -> None:
        """Another worker has seen a change of what hides in a database."""
        for target in self:
            if target.number == told.target:
                target.catalogues.told(told.database)

    # --- what hangs on a target --------------------------------------------------------------------------------------

    def roles_of(self, target: Target) -> RoleReader:
        """The reader of a target's roles."""
        reader = self._readers.get(target)
        if reader is None:
            reader = self._readers[target] = RoleReader(self._worker, target)
        return reader

    def verifier_outdated(self, target: Target, database: str, user: str) -> None:
        """The database refused the key by which a user was let in: what is remembered of the user is no longer so."""
        reader = self._readers.get(target)
        if reader is not None:
            reader.invalidate(user, database)

    def forget_login(self, login: ClientLogin) -> None:
        """A client has left before it was logged in, or is in: no reader need answer it."""
        for reader in self._every_reader():
            reader.forget(login)

    def reclaimer(self, name: str) -> Reclaimer | None:
        """Who asks about slots of dead workers; None for a target that a reload has just taken away."""
        target = self._current.get(name)
        if target is not None and name not in self._reclaimers:
            self._reclaimers[name] = Reclaimer(self._worker, target, self._send)
        return self._reclaimers.get(name)

    def vacate_readers(self, host: str, port: int, database: str, *, shut: bool) -> int:
        """How many connections of readers there are to this database; `shut`: have those closed that may be."""
        readers = [reader for reader in self._every_reader() if reader.reads(host, port, database)]
        return sum(reader.vacate(shut) for reader in readers)

    def _every_reader(self) -> list[RoleReader]:
        return [*self._readers.values(), *(reader for reader, _ in self._replaced)]

    # --- time --------------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """The shared budget has changed."""
        for target in self:
            target.act()

    def tick(self) -> None:
        """Called every tenth of a second or so."""
        timeouts = [gate.proxy.connection_borrow_timeout for gate in self._worker.gates.values()]
        for target in self:
            target.sweep(min(timeouts, default=0.0))
        if self._moving:
            self._moving = self._move_clients()

    def check(self, now: float) -> None:
        """Called every second or so: give up what is no longer needed."""
        for target in self._retired:
            target.retire()  # also what was opened since for one of its clients
        in_use = {id(client.door) for client in self._clients()}
        for target in [target for target in self._retired if not target.servers and id(target) not in in_use]:
            self._retired.remove(target)
            target.shut()  # its shared listeners, which nobody hears
            self._replace_reader(target)
            self.past.update(target.stats())
        for target in self:
            drop_unreachable(target.servers)
            target.catalogues.check(now)
        for reader in self._every_reader():
            reader.check(now)
        for reader, until in self._replaced:
            if now >= until:
                reader.shut()
        self._replaced = [(reader, until) for reader, until in self._replaced if now < until]

    def _clients(self) -> Iterator[Relay]:
        for gate in self._worker.gates.values():
            yield from gate.clients

    def _move_logins(self) -> None:
        """Logins that wait for their role at a replaced reader wait at their target's, if that one is in use."""
        for reader, _ in self._replaced:
            for login in reader.release():
                target = login.gate.target
                (reader if target in self._retired else self.roles_of(target)).take_over(login)

    def _move_clients(self) -> bool:
        """Clients whose proxy has another target now, and that have no server of the old one, go on there.

        Returns whether there are any left that have.
        """
        left = False
        for gate in self._worker.gates.values():
            waiting: list[Ticket] = []
            for client in [client for client in gate.clients if client.door not in (None, gate.target)]:
                ticket = client.ticket
                if ticket is not None and ticket.alive:
                    waiting.append(ticket)
                elif _is_free(client):
                    _take_credential(client, gate.target)
                    client.change_target(gate.target)
                else:
                    left = True
            for ticket in sorted(waiting, key=lambda ticket: ticket.since):  # a queue is in the order of coming
                _requeue(ticket, gate.target)
            if waiting:
                gate.target.act()
        return left

    # --- the end -----------------------------------------------------------------------------------------------------

    def shut(self) -> None:
        """Close every server connection."""
        for target in self:
            target.shut()
        for reader in self._every_reader():
            reader.shut()

    def cancel_statements(self, cancels: Cancels) -> None:
        """Have the database end what still runs."""
        for target in self:
            for server in list(target.servers):
                if server.pid:
                    cancels.send(target, server, None)

    @property
    def have_servers(self) -> bool:
        """Whether any server connection is not closed at the database yet."""
        return any(target.servers for target in self)


def _is_free(client: Relay) -> bool:
    """Logged in, holding no server and waiting for none."""
    return client.login is None and client.current_server is None and client.ticket is None


def _take_credential(client: Relay, target: Target) -> None:
    """What a client has shown at its former target serves at this one, too, unless something newer is known."""
    user = client.pool.key[1]
    shown = client.door.credentials.get(user)
    if shown is not None:
        target.credentials.setdefault(user, shown)


def _requeue(ticket: Ticket, target: Target) -> None:
    """Have a client that waits at another target wait at this one, without setting its time back; then `act`."""
    client: Any = ticket.owner  # a Relay
    if client.login is not None:
        try:
            client.gate.keep_login(client.login)
        except PgError as error:
            client.refuse(error, CloseReason.LOGIN_REFUSED)
            return
    else:
        _take_credential(client, target)
    own = client.door.startups.get(client.pool)
    client.door.governor.abandon(ticket)
    client.change_target(target)
    if own is not None:
        client.pool = target.dedicated_pool(client.pool.key, own.parameters, own.given, own.proxy)
    client.ticket = target.governor.wait(client.pool, client, ticket.since, ticket.avoids)


def _reader_settings(config: TargetConfig) -> tuple[object, ...]:
    """What a reader of roles is made with; a change of any takes another reader."""
    return config.user, config.password, config.database, config.auth_query, config.verifier_cache_ttl
