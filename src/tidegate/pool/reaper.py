"""Which idle servers have had their time, and which pools should be topped up.

Owns the slow housekeeping: idle time, lifetime, surplus of idle servers, minimum sizes. Refuses anything that a
waiting client depends on: that is `allocator`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tidegate.errors import CloseReason
from tidegate.pool import tuning
from tidegate.pool.actions import Action, Close, Open
from tidegate.pool.ledger import Ledger
from tidegate.pool.limits import ServerLimits
from tidegate.pool.pool import Pool
from tidegate.pool.slot import Slot, SlotState


class Reaper:
    """Closes what is due, opens what is missing, and says when to look again (`due_at`)."""

    def __init__(self, ledger: Ledger, limits: ServerLimits) -> None:
        self.ledger = ledger
        self.limits = limits
        self.due_at = math.inf

    def expect(self, slot: Slot) -> None:
        """Takes note of a newly opened server, which may be due before the next sweep."""
        self.due_at = min(self.due_at, self._due(slot, slot.idle_since))

    def close_due(self, now: float) -> list[Action]:
        """Closes idle servers past their lifetime, their idle time or the number that may idle."""
        actions: list[Action] = []
        candidates = sorted(self._idle_slots(), key=_idle_since)
        surplus = self._surplus(candidates, now)
        # A lent server may come back the next moment, and nobody says so here.
        self.due_at = min((self._due(slot, now) for slot in self._lent_slots(now)), default=math.inf)
        for slot in candidates:
            reason = self._reason(slot, surplus > 0, now)
            if reason is None:
                self.due_at = min(self.due_at, self._due(slot, slot.idle_since))
                continue
            surplus -= 1
            self.ledger.begin_close(slot, now)
            actions.append(Close(slot, reason))
        self.due_at = max(self.due_at, now + tuning.SHORTEST_REST)
        return actions

    def top_up(self, pools: Iterable[Pool], most: int, now: float) -> list[Action]:
        """Opens at most `most` servers for pools below their minimum, as far as the budget has free slots.

        Clients in the queue come first: the caller asks only while nobody waits.
        """
        actions: list[Action] = []
        if self.ledger.sharing is not None:
            self.due_at = min(self.due_at, now + tuning.SHORTEST_REST)  # another worker may lose one of them
        for pool in pools:
            missing = pool.min_size - self._live(pool)
            if missing <= 0:
                continue
            self.due_at = min(self.due_at, max(now + tuning.SHORTEST_REST, pool.top_up_at, pool.paused_until))
            if pool.top_up_at > now or pool.paused_until > now:
                continue
            for _ in range(missing):
                if len(actions) >= most or pool.full_cap() is not None or pool.held >= pool.allowed:
                    break
                slot = self.ledger.enlist(pool, now)
                if slot is None:
                    self.ledger.release()
                    break
                actions.append(Open(slot))
        return actions

    def _live(self, pool: Pool) -> int:
        """The pool's servers over all workers, as its minimum counts them."""
        sharing = self.ledger.sharing
        return pool.live() if sharing is None else sharing.live(pool)

    def _idle_slots(self) -> list[Slot]:
        """Those for which no client of their pool waits."""
        return [slot for pool in self.ledger.holders if pool.head is None for slot in pool.idle]

    def _lent_slots(self, now: float) -> list[Slot]:
        """And those that are about to be lent; without those whose lifetime has ended, which go when they return."""
        return [
            slot
            for slot in self.ledger.servers
            if (slot.state == SlotState.LENT and now < slot.expires_at)
            or (slot.state == SlotState.IDLE and slot.pool.head is not None)
        ]

    def _surplus(self, candidates: list[Slot], now: float) -> int:
        """How many servers idle for long, more than may."""
        if self.limits.max_idle < 0:
            return 0
        allowed = self.ledger.budget.may_idle(self.limits.max_idle)
        idle_before = now - self.limits.idle_after
        return sum(1 for slot in candidates if slot.idle_since <= idle_before) - allowed

    def _reason(self, slot: Slot, surplus: bool, now: float) -> CloseReason | None:
        pool: Pool = slot.pool
        if now >= slot.expires_at:
            return CloseReason.SERVER_LIFETIME
        if pool.crowded():
            return CloseReason.SERVER_EXCESS
        if self._live(pool) <= pool.min_size:
            return None
        timeout = self.limits.server_idle_timeout
        if timeout > 0.0 and now - slot.idle_since >= timeout:
            return CloseReason.SERVER_IDLE
        if surplus and now - slot.idle_since >= self.limits.idle_after:
            return CloseReason.SERVER_EXCESS
        return None

    def _due(self, slot: Slot, idle_since: float) -> float:
        """The next time at which something may be due for a server if it stays idle from `idle_since` on."""
        due = slot.expires_at
        if self.limits.server_idle_timeout > 0.0:
            due = min(due, idle_since + self.limits.server_idle_timeout)
        if self.limits.max_idle >= 0:
            due = min(due, idle_since + self.limits.idle_after)
        return due


def _idle_since(slot: Slot) -> float:
    return slot.idle_since
