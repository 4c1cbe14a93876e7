"""A database, clients and a proxy without sockets, on a virtual clock: what the pool's decisions are scored in.

Owns the events (arrivals, transactions, connects, disconnects, outages) and the books that the governor's are checked
against after every one of them. Refuses to know how the governor decides.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.simulation.score import Score
from tidegate.errors import CloseReason, PgError
from tidegate.pool.actions import Action, Close, Lend, Open
from tidegate.pool.budget import Budget, LocalBudget
from tidegate.pool.governor import Governor
from tidegate.pool.limits import PoolKey, PoolLimits, ServerLimits
from tidegate.pool.slot import Slot, Ticket

Duration = Callable[[], float]
"""Draws a number of seconds."""


@dataclass(eq=False)
class Client:
    """Runs transactions that take `work()`; leaves after the first if `think` is None, else pauses for `think()`."""

    key: PoolKey
    work: Duration
    think: Duration | None
    until: float
    asked_at: float = 0.0
    ticket: Ticket | None = None


@dataclass
class Database:
    """What connecting costs and whether it succeeds. `refusal` says what the server answers to a pool, if anything."""

    connect: Duration
    disconnect: Duration
    up: bool = True
    refusal: Callable[[PoolKey], PgError | None] = lambda key: None
    attempts: list[float] = field(default_factory=list)


class World:
    """Plays the proxy's part: carries the governor's actions out, each after the time it takes, and tells it back."""

    def __init__(
        self,
        limit: int,
        *,
        pool_limits: Callable[[PoolKey], PoolLimits] = lambda key: PoolLimits(),
        server_limits: ServerLimits | None = None,
        connect: float = 0.005,
        disconnect: float = 0.001,
        borrow_timeout: float = 120.0,
        seed: int = 1,
        budget: Budget | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.budget: Budget = LocalBudget(limit) if budget is None else budget
        self.governor = Governor(self.budget, pool_limits, server_limits or ServerLimits(), Random(seed))
        self.database = Database(self.around(connect), self.around(disconnect))
        self.borrow_timeout = borrow_timeout
        self.score = Score()
        self.queues: dict[PoolKey, deque[Client]] = defaultdict(deque)
        self.running: dict[Slot, Client] = {}
        self.opening: set[Slot] = set()
        self.closing: set[Slot] = set()
        self.failed: list[tuple[Client, str]] = []
        self.reasons: dict[CloseReason, int] = defaultdict(int)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._held_before = 0
        self._idle_wakeups = 0

    # Chance

    def around(self, mean: float) -> Duration:
        """Between half and one and a half of the mean."""
        return lambda: mean * self.rng.uniform(0.5, 1.5)

    def exactly(self, seconds: float) -> Duration:
        return lambda: seconds

    def skewed(self, mean: float) -> Duration:
        """Exponential: mostly short, now and then long."""
        return lambda: self.rng.expovariate(1.0 / mean)

    # Time

    def at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def run(self, until: float) -> None:
        """Lets the world go on to this time, event by event, with the governor's own wake-ups between."""
        while True:
            next_event = self._events[0][0] if self._events else until
            wakeup = self._next_wakeup()
            if wakeup is not None and wakeup < next_event and wakeup <= until:
                self._wake(max(wakeup, self.now))
            elif self._events and next_event <= until:
                self.now, _, event = heapq.heappop(self._events)
                self._idle_wakeups = 0
                event()
            else:
                break
            self._audit()
        if until > self.now:
            self._idle_wakeups = 0
        self.now = until

    def poke(self) -> None:
        """The budget signals a change."""
        self._act(self.governor.plan(self.now))
        self._audit()

    def _next_wakeup(self) -> float | None:
        wakeup = self.governor.next_wakeup(self.now)
        oldest = self.governor.oldest_wait_since()
        if oldest is None:
            return wakeup
        late = oldest + self.borrow_timeout
        return late if wakeup is None else min(wakeup, late)

    def _wake(self, when: float) -> None:
        self._idle_wakeups = self._idle_wakeups + 1 if when == self.now else 0
        assert self._idle_wakeups < 5, "the governor asks to be woken again and again at the same time"
        self.now = when
        for ticket in self.governor.overdue(self.now, self.borrow_timeout):
            self._fail(ticket, "timeout")
        self._act(self.governor.sweep(self.now))
        self._act(self.governor.plan(self.now))

    # Clients

    def arrive(
        self, key: PoolKey, when: float, work: Duration, think: Duration | None = None, until: float = 0.0
    ) -> Client:
        client = Client(key, work, think, until)
        self.at(when, lambda: self._ask(client))
        return client

    def give_up(self, client: Client) -> None:
        """The client disconnects while it waits."""
        assert client.ticket is not None
        self.queues[client.key].remove(client)
        self.governor.abandon(client.ticket)
        client.ticket = None

    def _ask(self, client: Client) -> None:
        client.asked_at = self.now
        self.score.demand(client.key)
        pool = self.governor.pool(client.key, self.now)
        slot = self.governor.borrow(pool, self.now)
        if slot is not None:
            assert not self.queues[client.key], "overtook those who wait"
            self._start(client, slot)
            return
        client.ticket = self.governor.wait(pool, client, self.now)
        self.queues[client.key].append(client)
        if self.governor.must_plan(pool, self.now):
            self._act(self.governor.plan(self.now))

    def _start(self, client: Client, slot: Slot) -> None:
        assert slot not in self.running, "lent twice"
        assert slot.pool.key == client.key, "lent to another pool's client"
        self.running[slot] = client
        work = client.work()
        self.score.serve(client.key, self.now - client.asked_at, self.now, work)
        self.at(self.now + work, lambda: self._finish(client, slot))

    def _finish(self, client: Client, slot: Slot) -> None:
        del self.running[slot]
        ticket = self.governor.pass_on(slot, self.now)
        if ticket is not None:
            self._act([Lend(ticket, slot)])
        elif self.governor.give_back(slot, self.now):
            self._act(self.governor.plan(self.now))
        if client.think is not None:
            again = self.now + client.think()
            if again < client.until:
                self.at(again, lambda: self._ask(client))

    def _fail(self, ticket: Ticket, why: str) -> None:
        client = ticket.owner
        assert isinstance(client, Client)
        assert not ticket.alive
        self.queues[client.key].remove(client)
        self.failed.append((client, why))

    # Servers

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Lend(ticket, slot):
                    client = self.queues[slot.pool.key].popleft()
                    assert ticket.owner is client, "not first come, first served"
                    client.ticket = None
                    self._start(client, slot)
                case Open(slot):
                    self.opening.add(slot)
                    self.database.attempts.append(self.now)
                    self.at(self.now + self.database.connect(), partial(self._connected, slot))
                case Close(slot, reason):
                    assert slot not in self.running, "closed while in use"
                    self.reasons[reason] += 1
                    self.closing.add(slot)
                    self.at(self.now + self.database.disconnect(), partial(self._gone, slot))

    def _connected(self, slot: Slot) -> None:
        self.opening.remove(slot)
        refusal = self.database.refusal(slot.pool.key)
        if self.database.up and refusal is None:
            self.score.opened.append(self.now)
            self.governor.opened(slot, self.now)
        else:
            for ticket in self.governor.open_failed(slot, self.now, refusal):
                self._fail(ticket, "refused")
            self.governor.closed(slot, self.now)
        self._act(self.governor.plan(self.now))

    def _gone(self, slot: Slot) -> None:
        self.closing.remove(slot)
        self.governor.closed(slot, self.now)
        self._act(self.governor.plan(self.now))

    # Checks

    def _audit(self) -> None:
        """The governor's books agree with the world's, and no decision that is due has been left undone."""
        stats = self.governor.stats
        waiting = sum(len(queue) for queue in self.queues.values())
        held = self.budget.held()
        assert stats["waiting"] == waiting, "lost a ticket"
        assert (stats["opening"], stats["lent"], stats["closing"]) == (
            len(self.opening),
            len(self.running),
            len(self.closing),
        )
        assert held == stats["held"] == stats["idle"] + stats["opening"] + stats["lent"] + stats["closing"]
        assert held <= max(self.budget.limit, self._held_before), "more servers than the limit"
        self._held_before = held
        for pool in self.governor.ledger.queue:
            assert not pool.idle, "an idle server beside a waiting client of its pool"
