"""Slots of dead workers on their way back into the budget.

Owns what is not yet known to be gone, when to ask about it, and what an answer frees. Refuses sockets, clocks and
asking itself: time comes in as an argument (seconds, monotonic), questions go out as messages for any live worker.

A backend outlives its client's socket for as long as its query runs, so a dead worker's slot counts until the
database's own list (pg_stat_activity) no longer has its backend, by process id.

A worker hears the process id when the database has taken the login. One that died before that leaves a connection
which the database need not list yet, and ends by itself: its other end is closed, and there is nothing to do but to
read that. It is waited for as long as a login may take, and then until its client port is not listed either
(`reclaim`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.proxy.control import OrphanSlot, Reclaim, Reclaimed

PAUSE_FIRST = 0.1
PAUSE_MOST = 1.0
PAUSE_GROWTH = 1.5
"""Seconds between questions about one target, growing while nothing new dies."""


class Reclaiming(Protocol):
    """The part of BudgetKeeper that is needed here."""

    def reclaim(self, target: int, slot: int) -> bool:
        """Free an orphan; False if it is none."""
        ...


@dataclass(slots=True)
class _Pending:
    """An orphan that can be asked about. Only answers to questions from `since` on are about it."""

    orphan: OrphanSlot
    since: int


@dataclass(slots=True)
class _Target:
    """Orphans of one target."""

    name: str
    pending: dict[int, _Pending] = field(default_factory=dict)
    logging_in: dict[int, tuple[OrphanSlot, float]] = field(default_factory=dict)
    """Slot -> the orphan without a process id, and when it should be gone."""
    pause: float = PAUSE_FIRST
    ask_at: float = 0.0


class Recovery:
    """What has to be asked, by target number."""

    def __init__(self, keeper: Reclaiming) -> None:
        self._keeper = keeper
        self._targets: dict[int, _Target] = {}
        self._round = 0

    def add(self, target: int, name: str, orphans: Iterable[OrphanSlot], now: float, login_timeout: float) -> None:
        """Take in a dead worker's slots of one target."""
        one = self._targets.setdefault(target, _Target(name))
        for orphan in orphans:
            if orphan.pid:
                one.pending[orphan.slot] = _Pending(orphan, self._round + 1)
            else:
                one.logging_in[orphan.slot] = orphan, now + login_timeout
        one.pause = PAUSE_FIRST
        one.ask_at = now + PAUSE_FIRST

    def due(self, now: float) -> list[Reclaim]:
        """The questions to ask now."""
        questions = []
        for one in self._targets.values():
            if one.pending and one.ask_at <= now:
                self._round += 1
                slots = tuple(pending.orphan for pending in one.pending.values())
                questions.append(Reclaim(round=self._round, target=one.name, slots=slots))
                one.ask_at = now + one.pause
                one.pause = min(PAUSE_MOST, one.pause * PAUSE_GROWTH)
        return questions

    def expire(self, now: float) -> int:
        """A login's time is over: free what cannot be asked about (how many?), have the others asked about."""
        freed = 0
        for number, one in list(self._targets.items()):
            for orphan in [orphan for orphan, deadline in one.logging_in.values() if deadline <= now]:
                del one.logging_in[orphan.slot]
                if orphan.port:
                    one.pending[orphan.slot] = _Pending(orphan, self._round + 1)
                    one.ask_at = min(one.ask_at, now)
                else:
                    freed += self._keeper.reclaim(number, orphan.slot)
            self._forget_if_done(number)
        return freed

    def answer(self, reply: Reclaimed) -> int:
        """Free what an answer says is gone; how many."""
        freed = 0
        for number, one in list(self._targets.items()):
            if one.name != reply.target:
                continue
            for slot in reply.slots:
                if slot in one.pending and one.pending[slot].since <= reply.round:
                    del one.pending[slot]
                    freed += self._keeper.reclaim(number, slot)
            self._forget_if_done(number)
        return freed

    def drop_target(self, target: int) -> int:
        """A target is no longer served: nobody can be asked, and nobody needs its slots. How many were freed."""
        one = self._targets.pop(target, None)
        if one is None:
            return 0
        return sum(self._keeper.reclaim(target, slot) for slot in (*one.pending, *one.logging_in))

    def next_at(self) -> float | None:
        """When due() or expire() has something to do, or None."""
        times = [one.ask_at for one in self._targets.values() if one.pending]
        times += [deadline for one in self._targets.values() for _, deadline in one.logging_in.values()]
        return min(times, default=None)

    def _forget_if_done(self, number: int) -> None:
        one = self._targets[number]
        if not one.pending and not one.logging_in:
            del self._targets[number]
