"""A database that is to be left alone, over all workers: for a statement on the database as a whole.

Owns the agreement between workers: that none of them is connected to a database but for its clients' own transactions,
for how long, and how many clients there are. Refuses to know the statement (`clearance`).

The worker whose client has sent the statement asks all workers, by datagrams, as often as it needs to. Once there are
no other clients, a question is also a lease of LEASE seconds, in which the asked one closes its idle connections to
that database, and those that come back, and opens none; clients that need one wait. The asker prolongs it while its
statement runs, and ends it after that. A lost datagram, a worker that is restarted, or an asker that dies: each is
mended by the next question or by the lease's end, so that nobody else need know of any of this.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.errors import CloseReason
from tidegate.pool.suspension import resume, suspend
from tidegate.proxy.ending import end_session

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.target import Target
    from tidegate.proxy.worker import Worker

LEASE = 5.0
"""Seconds; the asker prolongs it a few times before it ends."""


class Place(NamedTuple):
    """A database, wherever it is configured."""

    host: str
    port: int
    database: str


@dataclass(slots=True)
class Report:
    """What one worker has there."""

    clients: int = 0
    """Logged-in ones, but for the one whose statement it is."""
    lent: int = 0
    """Server connections that work for these."""
    going: int = 0
    """Server connections of nobody's, which are gone soon when the database is shut."""
    users: list[str] = field(default_factory=list)
    """As whom the clients are at the database."""


class Vacancy:
    """One statement's hold on a database; `answered` is called when all workers have answered a question."""

    def __init__(self, worker: Worker, place: Place, spare: Relay, answered: Callable[[], None]) -> None:
        self.place = place
        self.spare = spare
        self.reports: dict[int, Report] = {}
        self.missing: set[int] = set()
        self.turn = 0
        self.token = secrets.token_hex(8)
        self._worker = worker
        self._answered = answered

    def ask(self, shut: bool, end: float | None = None) -> None:
        """Have all workers say what they have in the database.

        shut: they are to leave it; otherwise, what they were told before is void. end: they end its clients first,
        those that have had no transaction for so many seconds; 0 for all of them.
        """
        self.turn += 1
        self.missing = set(range(self._worker.workers))
        question = {"turn": self.turn, "shut": shut, "end": end, "from": self._worker.index, **self.place._asdict()}
        for index in sorted(self.missing - {self._worker.index}):
            self._worker.tell(index, {"vacate": self.token, **question}, quietly=True)
        report = self._worker.vacancies.vacate(self.token, self.place, shut, end, self.spare)
        self.take(self._worker.index, self.turn, report)

    def take(self, index: int, turn: int, report: Report) -> None:
        """One worker's answer."""
        if turn == self.turn:
            self.reports[index] = report
            self.missing.discard(index)
            if not self.missing:
                self._answered()

    def release(self, also: str = "") -> None:
        """The statement has ended: the database, and another that it may have made, are as new to everybody."""
        for index in range(self._worker.workers):
            if index != self._worker.index:
                message = {"release": self.token, "also": also, **self.place._asdict()}
                self._worker.tell(index, message, quietly=True)
        self._worker.vacancies.release(self.token, self.place, also)
        self._worker.vacancies.forget(self)

    @property
    def clients(self) -> int:
        """Clients of all workers."""
        return sum(report.clients for report in self.reports.values())

    @property
    def lent(self) -> int:
        """Server connections that work for these."""
        return sum(report.lent for report in self.reports.values())

    @property
    def going(self) -> int:
        """Server connections that are nobody's."""
        return sum(report.going for report in self.reports.values())

    @property
    def users(self) -> list[str]:
        """As whom the clients are at the database."""
        return sorted({user for report in self.reports.values() for user in report.users})


class Vacancies:
    """What one worker knows of databases to be left alone, its own statements' and other workers'."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._own: dict[str, Vacancy] = {}
        self._leases: dict[Place, dict[str, float]] = {}

    def begin(self, place: Place, spare: Relay, answered: Callable[[], None]) -> Vacancy:
        """For a statement of the client `spare`; ask() does the rest."""
        vacancy = Vacancy(self._worker, place, spare, answered)
        self._own[vacancy.token] = vacancy
        return vacancy

    def forget(self, vacancy: Vacancy) -> None:
        """It was released."""
        self._own.pop(vacancy.token, None)

    def told(self, message: dict[str, Any]) -> bool:
        """A datagram of another worker; False if it is about something else."""
        if "vacated" in message:
            vacancy = self._own.get(message["vacated"])
            if vacancy is not None:
                vacancy.take(message["worker"], message["turn"], Report(**message["report"]))
            return True
        if "vacate" not in message and "release" not in message:
            return False
        place = Place(message["host"], message["port"], message["database"])
        if "release" in message:
            self.release(message["release"], place, message["also"])
            return True
        report = self.vacate(message["vacate"], place, message["shut"], message["end"], None)
        answer = {"vacated": message["vacate"], "turn": message["turn"], "worker": self._worker.index}
        answer["report"] = {name: getattr(report, name) for name in Report.__slots__}
        self._worker.tell(message["from"], answer, quietly=True)
        return True

    def vacate(self, token: str, place: Place, shut: bool, end: float | None, spare: Relay | None) -> Report:
        """Leave the database alone from now on, or no longer; what there is of this worker's. See Vacancy.ask."""
        now = self._worker.loop.now
        if end is not None:
            for client in self._clients(place, spare):
                if end == 0.0 or (client.current_server is None and now - client.active_at >= end):
                    end_session(self._worker, client)
        if shut:
            self._leases.setdefault(place, {})[token] = now + LEASE
            self._shut(place)
        else:
            self._reopen(token, place)
        return self._report(place, spare)

    def release(self, token: str, place: Place, also: str = "") -> None:
        """That statement is over."""
        self._reopen(token, place)
        if also:
            for target in self._targets(place):
                target.forget_database(also)

    def check(self) -> None:
        """Called every second: leases that nobody prolongs end."""
        now = self._worker.loop.now
        for place, leases in list(self._leases.items()):
            for token in [token for token, until in leases.items() if until <= now]:
                self.release(token, place)

    def _shut(self, place: Place) -> None:
        until = max(self._leases[place].values())
        for target in self._targets(place):
            target.vacated[place.database] = until
            for pool in target.governor.directory.all():
                if pool.key[0] == place.database:
                    suspend(target.governor, pool, until, CloseReason.SERVER_VACATED, self._worker.loop.now)
            target.listeners.vacate(place.database)
            target.forget_database(place.database)
            target.act()

    def _reopen(self, token: str, place: Place) -> None:
        """This statement has nothing against connections there."""
        leases = self._leases.get(place, {})
        if leases.pop(token, None) is None or leases:
            return
        del self._leases[place]
        for target in self._targets(place):
            target.vacated.pop(place.database, None)
            target.forget_database(place.database)
            for pool in target.governor.directory.all():
                if pool.key[0] == place.database:
                    resume(pool)
            target.act()

    def _targets(self, place: Place) -> Iterator[Target]:
        for target in self._worker.targets:
            if (target.config.host, target.config.port) == (place.host, place.port):
                yield target

    def _clients(self, place: Place, spare: Relay | None) -> list[Relay]:
        targets = set(map(id, self._targets(place)))
        return [
            client
            for gate in self._worker.gates.values()
            for client in gate.clients
            if client is not spare
            and client.login is None
            and client.pool is not None
            and client.pool.key[0] == place.database
            and id(client.door) in targets
        ]

    def _report(self, place: Place, spare: Relay | None) -> Report:
        clients = self._clients(place, spare)
        lent = {client.current_server for client in clients} - {None}
        known = lent if spare is None else lent | {spare.current_server}
        servers = {
            server
            for target in self._targets(place)
            for server in target.servers
            if server.slot.pool.key[0] == place.database
        }
        return Report(
            clients=len(clients),
            lent=len(lent),
            going=len(servers - known) + self._worker.targets.vacate_readers(*place, shut=place in self._leases),
            users=sorted({client.pool.key[1] for client in clients}),
        )
