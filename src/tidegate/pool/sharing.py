# cython: annotation_typing=False
"""The sizes of pools, databases and users, which are one number each for all workers.

Owns which of them are contended, and how many servers this worker may hold under each of them now (`Pool.allowed`,
`Cap.limit`). Refuses to work the shares out (`sublimits`) and to open or close a server: what is allowed here is to
whoever does (`allocator`, `reaper`) a limit like any other.

A limit that nobody lacks places under is the configured one, for every worker: whether a place is left is seen when one
is taken. Only from the first refusal on, and as long as anybody lacks places, are shares worked out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from tidegate.pool import tuning
from tidegate.pool.cap import Cap
from tidegate.pool.ledger import Ledger
from tidegate.pool.pool import Pool
from tidegate.pool.slot import Slot

if TYPE_CHECKING:
    from tidegate.pool.sublimits import Part, Sublimits

_LOOK_PERIOD = tuning.LOOK_PERIOD
_LOOKED_AT_ONCE = tuning.LOOKED_AT_ONCE


class Sharing:
    """Compares the limits of this worker with what others hold and lack under them."""

    def __init__(self, ledger: Ledger, sublimits: Sublimits) -> None:
        self.ledger = ledger
        self.sublimits = sublimits
        self.look_at = -math.inf
        self._members: WeakValueDictionary[int, Pool | Cap] = WeakValueDictionary()
        self._short: dict[Pool | Cap, None] = {}
        self._over: dict[Pool | Cap, None] = {}
        self._shared: dict[Pool | Cap, None] = {}

    def join(self, member: Pool | Cap) -> None:
        """A pool or cap with a limit is to be kept within it; again, when the limit has changed."""
        part = _part_of(member)
        self._members[part.key] = member
        self._set(member, part.limit)
        self._over[member] = None  # maybe: the limit may be lower than before
        self._hasten()

    def refused(self, member: Pool | Cap) -> None:
        """All places under this limit are taken: others are to hear of it at the next look."""
        self._short[member] = None
        self._set(member, member.held)
        self._hasten()

    def took(self) -> None:
        """A place was taken: if others were told that it is lacking, they are to hear of it, or they give another."""
        if self._shared:
            self._hasten()

    def _hasten(self) -> None:
        """Have the next look soon, unless so many limits are contended that it would be costly at every turn."""
        if len(self._shared) <= _LOOKED_AT_ONCE:
            self.look_at = -math.inf

    def look(self, now: float, hold: float) -> list[Slot]:
        """Bring the limits that anybody lacks places under up to date; idle servers to close for others.

        hold: seconds that a worker keeps its only place under a limit for which there are more workers than places.
        """
        self.look_at = now + _LOOK_PERIOD
        wanted = self.sublimits.wanted()
        if not wanted and not self._short and not self._over and not self._shared:
            return []
        before, self._shared = self._shared, self._contended(wanted)
        for member in before:
            if member not in self._shared:
                self._set(member, _part_of(member).limit)
        wants = [(_part_of(member), self._waiting(member), self._idle(member)) for member in self._shared]
        for member, (part, waiting, _) in zip(self._shared, wants, strict=True):
            self.sublimits.queue_up(part, waiting > 0 and member.held == 0)
            part.since = min(part.since, now) if member.held else math.inf
        self.sublimits.publish(wants)
        self.look_at += _LOOK_PERIOD * (len(wants) // _LOOKED_AT_ONCE)
        found: list[Slot] = []
        for member, (part, waiting, idle) in zip(self._shared, wants, strict=True):
            self._set(member, self.sublimits.allowance(part, waiting, idle, now - part.since >= hold))
            found += self._excess(member)
        return found

    def givers(self) -> set[int]:
        """The workers to wake when clients here have begun to wait for a place."""
        found: set[int] = set()
        for member in self._short:
            found |= self.sublimits.holders(_part_of(member))
        return found

    def waiters(self) -> set[int]:
        """The workers to wake when a place has come free."""
        return self.sublimits.waiters()

    def live(self, pool: Pool) -> int:
        """Servers of a pool that serve or will, over all workers."""
        return pool.live() if pool.part is None else self.sublimits.live(pool.part)

    def _contended(self, wanted: list[int]) -> dict[Pool | Cap, None]:
        """What this worker or another lacks places under, and what has more servers than a lowered limit allows."""
        self._short = {member: None for member in self._short if self._waiting(member) > 0}
        self._over = {member: None for member in self._over if self._is_over(_part_of(member))}
        found = {**self._short, **self._over}
        for key in wanted:
            member = self._members.get(key)
            if member is not None:
                found[member] = None
        return found

    def _is_over(self, part: Part) -> bool:
        return self.sublimits.used(part) > part.limit

    def _set(self, member: Pool | Cap, most: int) -> None:
        if isinstance(member, Pool):
            member.allowed = most
        else:
            member.limit = most

    def _pools(self, member: Pool | Cap) -> list[Pool]:
        if isinstance(member, Pool):
            return [member]
        return [pool for pool in {**self.ledger.holders, **self.ledger.queue} if member in pool.caps]

    def _waiting(self, member: Pool | Cap) -> int:
        """Servers that this worker would open if there were places."""
        wanted = 0
        for pool in self._pools(member):
            if pool.paused_until <= self.look_at:
                wanted += max(0, pool.wanted())
        return wanted

    def _idle(self, member: Pool | Cap) -> int:
        """Servers that nobody here waits for."""
        idle = 0
        for pool in self._pools(member):
            idle += max(0, len(pool.idle) - pool.waiting)
        return idle

    def _excess(self, member: Pool | Cap) -> list[Slot]:
        """The idle servers, least recently used first, that are too many."""
        most = member.allowed if isinstance(member, Pool) else member.limit
        over = member.held - member.closing - most
        if over <= 0:
            return []
        idle = [slot for pool in self._pools(member) if pool.head is None for slot in pool.idle]
        idle.sort(key=_idle_since)
        return idle[:over]


def sharing_of(ledger: Ledger) -> Sharing | None:
    """Have the ledger's limits hold over all workers; None if there is no other worker."""
    sublimits = ledger.budget.sublimits()
    if sublimits is not None:
        ledger.sharing = Sharing(ledger, sublimits)
    return ledger.sharing


def _part_of(member: Pool | Cap) -> Part:
    assert member.part is not None
    return member.part


def _idle_since(slot: Slot) -> float:
    return slot.idle_since
