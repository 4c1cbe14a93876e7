"""A governor with hands: carries actions out at once, so that a unit test reads as a story."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tidegate.pool.actions import Action, Close, Lend, Open
from tidegate.pool.budget import Budget, LocalBudget
from tidegate.pool.governor import Governor
from tidegate.pool.limits import PoolKey, PoolLimits, ServerLimits
from tidegate.pool.pool import Pool
from tidegate.pool.slot import Slot, Ticket

APP: PoolKey = ("app", "app")


def limited(**sizes: int) -> Callable[[PoolKey], PoolLimits]:
    """The same limits for every pool."""
    return lambda key: PoolLimits(**sizes)


class Desk:
    """`connects` and `disconnects` say whether Open and Close are carried out at once or left to the test."""

    def __init__(
        self,
        limit: int = 4,
        *,
        pool_limits: Callable[[PoolKey], PoolLimits] = limited(),  # noqa: B008 (it makes no state)
        server_limits: ServerLimits | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.budget: Budget = LocalBudget(limit) if budget is None else budget
        self.governor = Governor(self.budget, pool_limits, server_limits or ServerLimits(), Random(1))
        self.now = 100.0
        self.connects = True
        self.disconnects = True
        self.lent: dict[object, Slot] = {}
        self.opening: list[Slot] = []
        self.closing: list[Slot] = []
        self.log: list[str] = []
        self._kept: list[Pool] = []

    def pool(self, key: PoolKey = APP) -> Pool:
        pool = self.governor.pool(key, self.now)
        self._kept.append(pool)
        return pool

    def ask(
        self, who: object, key: PoolKey = APP, fit: object = None, avoids: int = 0, returns: int = 0
    ) -> Ticket | None:
        """A client wants a server: gets one now (see `lent`) or a ticket."""
        pool = self.pool(key)
        slot = self.governor.borrow(pool, self.now, fit, avoids, returns)
        if slot is not None:
            self.lent[who] = slot
            return None
        ticket = self.governor.wait(pool, who, self.now, avoids)
        if self.governor.must_plan(pool, self.now):
            self.plan()
        return ticket

    def done(self, who: object) -> Slot:
        """A client's transaction ended."""
        slot = self.lent.pop(who)
        ticket = self.governor.pass_on(slot, self.now)
        if ticket is not None:
            self._act([Lend(ticket, slot)])
        elif self.governor.give_back(slot, self.now):
            self.plan()
        return slot

    def connected(self, slot: Slot) -> None:
        self.opening.remove(slot)
        self.governor.opened(slot, self.now)
        self.plan()

    def gone(self, slot: Slot) -> None:
        self.closing.remove(slot)
        self.governor.closed(slot, self.now)
        self.plan()

    def plan(self) -> None:
        self._act(self.governor.plan(self.now))

    def sweep(self, after: float = 0.0) -> None:
        self.now += after
        self._act(self.governor.sweep(self.now))
        self.plan()

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Lend(ticket, slot):
                    self.log.append(f"lend {ticket.owner}")
                    self.lent[ticket.owner] = slot
                case Open(slot):
                    self.log.append("open")
                    self.opening.append(slot)
                case Close(slot, reason):
                    self.log.append(f"close {reason.value}")
                    self.closing.append(slot)
        while self.connects and self.opening:
            self.connected(self.opening[0])
        while self.disconnects and self.closing:
            self.gone(self.closing[0])
