# cython: annotation_typing=False
"""The servers and the queue of one (database, user).

Owns the stack of idle servers and the line of waiting clients. Refuses to decide anything that needs to look beyond
this pool: what it may hold is `quota` and `allocator`, and totals over all pools are `ledger`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tidegate.errors import CloseReason, PgError
from tidegate.pool import tuning
from tidegate.pool.cap import Cap
from tidegate.pool.limits import NO_LIMIT, PoolKey, PoolLimits
from tidegate.pool.pacing import Backoff
from tidegate.pool.slot import Slot, Ticket

if TYPE_CHECKING:
    from tidegate.pool.sublimits import Part

_FIT_DEPTH = tuning.FIT_DEPTH


class Pool:
    """Counts, idle stack and queue of one key.

    The stack is last in, first out, so that a quiet pool's surplus grows old at the bottom and can be closed. The
    queue is a linked list: clients that give up are unlinked at once, so its memory is that of the live ones.
    `quota` is the pool's fair number of servers, `demand` the smoothed need it was computed from, `peak` the largest
    need since then; `starved_from` is when the pool last lost its only server. `refusal` is why no server could be
    opened, until one is; only one at a time is tried then. Until `suspended_until` there are to be none. `max_size` is
    the limit that is configured (0: none), `allowed` what this worker may hold, less than that while others need places
    (`sharing`). `labels` say what the pool's servers count for.
    """

    def __init__(self, key: PoolKey, limits: PoolLimits, caps: tuple[Cap, ...], number: int, now: float) -> None:
        self.key = key
        self.caps = caps
        self.max_size = limits.max_size
        self.allowed = limits.max_size or NO_LIMIT
        self.part: Part | None = None
        self.labels: tuple[int, int, int] | None = None
        self.min_size = limits.min_size
        self.number = number
        self.idle: list[Slot] = []
        self.head: Ticket | None = None
        self.tail: Ticket | None = None
        self.waiting = 0
        self.lent = 0
        self.opening = 0
        self.closing = 0
        self.held = 0
        self.peak = 0
        self.demand = 0.0
        self.quota = 1
        self.starved_from = now
        self.generation = 0
        self.retired_for = CloseReason.SERVER_RELOADED
        self.refusal: PgError | None = None
        self.backoff = Backoff()
        self.paused_until = -math.inf
        self.suspended_until = -math.inf
        self.top_up_at = -math.inf
        self.keep_for = 0.0
        self.keep_again_at = -math.inf

    def live(self) -> int:
        """Servers that serve or will: all but those being closed."""
        return self.held - self.closing

    def need(self) -> int:
        """Servers that waiting clients want and that are not already on their way; at most as many as are allowed."""
        need = self.wanted()
        if need > self.allowed - self.held:
            return self.allowed - self.held
        return need

    def wanted(self) -> int:
        """The same whatever is allowed; negative if there are more on their way than clients wait."""
        wanted = self.waiting - self.opening - len(self.idle)
        if self.head is not None and self.head.avoids != 0 and self.spurned() is not None:
            wanted += 1
        if self.refusal is not None and wanted > 1 - self.opening:
            return 1 - self.opening
        return wanted

    def full_cap(self) -> Cap | None:
        """The first database's or user's cap that leaves no room for another server."""
        for cap in self.caps:
            if cap.full():
                return cap
        return None

    def crowded(self) -> bool:
        """Whether this pool, its database or its user has more servers than a limit, lowered since, allows."""
        crowded = self.allowed < self.held - self.closing
        for cap in self.caps:
            crowded |= cap.held - cap.closing > cap.limit
        return crowded

    def hungry_since(self) -> float:
        """Since when this pool has waited for its next server; 0 without waiting clients.

        A pool that had a server until just now goes to the end of the line, however long its queue.
        """
        head = self.head
        if head is None:
            return 0.0
        if self.held > self.closing or head.since > self.starved_from:
            return head.since
        return self.starved_from

    def fitting(self, fit: object) -> int:
        """Index of the idle server to lend: near the top one with exactly these settings, else the top; -1 if none."""
        top = len(self.idle) - 1
        bottom = max(top - _FIT_DEPTH, -1)
        for at in range(top, bottom, -1):
            slot = self.idle[at]
            if slot.fit is fit:
                return at
        return top

    def another(self, avoids: int) -> int:
        """Index of the idle server that was used longest ago and is not the one of this number; -1 if none."""
        for at in range(len(self.idle)):
            slot = self.idle[at]
            if slot.number != avoids:
                return at
        return -1

    def returning(self, number: int) -> int:
        """Index of the idle server of this number; else of that which was used longest ago, or -1."""
        for at in range(len(self.idle)):
            slot = self.idle[at]
            if slot.number == number:
                return at
        return 0 if self.idle else -1

    def taker(self, slot: Slot) -> Ticket | None:
        """The first in the queue that may be served with this server; None if nobody waits, or nobody who may."""
        ticket = self.head
        while ticket is not None and ticket.avoids == slot.number:
            ticket = ticket.behind
        return ticket

    def spurned(self) -> Slot | None:
        """The idle server that all waiting clients avoid. There can't be two: each client avoids one at most."""
        if self.head is None or len(self.idle) != 1:
            return None
        slot = self.idle[0]
        return slot if self.taker(slot) is None else None

    def place(self, slot: Slot) -> int:
        """Index of an idle server in the stack."""
        top = len(self.idle) - 1
        if self.idle[top] is slot:
            return top
        return self.idle.index(slot)

    def push(self, ticket: Ticket) -> None:
        """Puts a client at the end of the queue."""
        ticket.ahead = self.tail
        if self.tail is None:
            self.head = ticket
        else:
            self.tail.behind = ticket
        self.tail = ticket
        self.waiting += 1

    def unlink(self, ticket: Ticket) -> None:
        """Takes a client out of the queue, wherever it stands."""
        ahead, behind = ticket.ahead, ticket.behind
        if ahead is None:
            self.head = behind
        else:
            ahead.behind = behind
        if behind is None:
            self.tail = ahead
        else:
            behind.ahead = ahead
        ticket.ahead = ticket.behind = None
        ticket.alive = False
        self.waiting -= 1

    def __repr__(self) -> str:
        return f"<Pool {self.key} held={self.held} lent={self.lent} idle={len(self.idle)} waiting={self.waiting}>"
