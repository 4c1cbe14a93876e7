# cython: annotation_typing=False
"""The books: every server and every waiting client, counted per pool, per cap and in all.

Owns the moves: a change of state is a change of counters, of list and of budget, made in one place. Refuses to decide
which move is due: that is `governor`, `allocator` and `reaper`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.pool.budget import Budget
from tidegate.pool.cap import Cap
from tidegate.pool.pool import Pool
from tidegate.pool.slot import Slot, SlotState, Ticket

if TYPE_CHECKING:
    from tidegate.pool.sharing import Sharing

# The states once more as C integers of this module: an IntEnum's member costs a look-up at each use.
_OPENING = int(SlotState.OPENING)
_IDLE = int(SlotState.IDLE)
_LENT = int(SlotState.LENT)
_CLOSING = int(SlotState.CLOSING)
_GONE = int(SlotState.GONE)


class Ledger:
    """Totals over the pools of one target, and the sets of pools that matter now.

    `holders` are the pools with a server, `queue` those with a waiting client: decisions walk these and never all
    pools ever named. `servers` are all that are not gone; only housekeeping walks them. `root` is the cap over
    everything; whether it is full only the budget can say, since other workers share it: `blocked` is its latest
    answer. `spare` is a budget slot taken but not yet given to a pool.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.root = Cap(0)
        self.holders: dict[Pool, None] = {}
        self.queue: dict[Pool, None] = {}
        self.servers: dict[Slot, None] = {}
        self.waiting = 0
        self.idle = 0
        self.lent = 0
        self.opening = 0
        self.closing = 0
        self.giving = 0
        self.blocked = False
        self.spare = -1
        self.made = 0
        self.sharing: Sharing | None = None

    def live(self) -> int:
        """Servers that serve or will, over all pools."""
        return self.idle + self.lent + self.opening

    # Clients

    def join(self, pool: Pool, owner: object, now: float, avoids: int = 0) -> Ticket:
        """Puts a client in its pool's queue."""
        ticket = Ticket(owner, pool, now, avoids)
        pool.push(ticket)
        self.waiting += 1
        if pool.waiting == 1:
            self.queue[pool] = None
            if pool.quota < 1:
                pool.quota = 1  # unknown when quotas were last shared out; the next time will do it justice
        if pool.waiting + pool.lent > pool.peak:
            pool.peak = pool.waiting + pool.lent
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Takes a client out of its queue."""
        pool: Pool = ticket.pool
        pool.unlink(ticket)
        self.waiting -= 1
        if pool.waiting == 0:
            del self.queue[pool]

    def leave_all(self, pool: Pool) -> list[Ticket]:
        """Takes all of a pool's clients out of its queue."""
        left: list[Ticket] = []
        while pool.head is not None:
            left.append(pool.head)
            self.leave(pool.head)
        return left

    def leave_overdue(self, now: float, timeout: float, timeout_of: Callable[[object], float] | None) -> list[Ticket]:
        """Takes those out of their queues who have waited for their timeout: `timeout_of` their owner, or `timeout`,
        the shortest.
        """
        late: list[Ticket] = []
        for pool in list(self.queue):
            ticket = pool.head
            while ticket is not None and ticket.since + timeout <= now:
                behind = ticket.behind
                if timeout_of is None or ticket.since + timeout_of(ticket.owner) <= now:
                    late.append(ticket)
                    self.leave(ticket)
                ticket = behind
        return late

    # Servers

    def reserve(self) -> bool:
        """Takes a budget slot in advance, if there is one."""
        if self.spare < 0:
            self.spare = self.budget.acquire()
            self.blocked = self.spare < 0
        return not self.blocked

    def release(self) -> None:
        """Gives an unused reservation back."""
        if self.spare >= 0:
            self.budget.free(self.spare)
            self.spare = -1

    def enlist(self, pool: Pool, now: float) -> Slot | None:
        """Makes a slot for a server to be opened; None when the budget is used up, or a limit of the pool.

        In the latter case the reserved budget slot is kept for another pool: `release` it if there is none.
        """
        if not self.reserve():
            return None
        if pool.labels is not None and not self._admit(pool):
            return None
        self.made += 1
        slot = Slot(pool, self.spare, now, self.made)
        self.spare = -1
        self.servers[slot] = None
        if pool.held == 0:
            self.holders[pool] = None
        pool.opening += 1
        self.opening += 1
        pool.held += 1
        self.root.held += 1
        for cap in pool.caps:
            cap.held += 1
        return slot

    def _admit(self, pool: Pool) -> bool:
        """Whether the limits that all workers share have a place for the spare slot, which then counts for them."""
        assert self.sharing is not None and pool.labels is not None
        sublimits = self.sharing.sublimits
        if pool.part is not None and pool.max_size > 0 and not sublimits.admit(self.spare, pool.part):
            self.sharing.refused(pool)
            return False
        for cap in pool.caps:
            assert cap.part is not None
            if not sublimits.admit(self.spare, cap.part):
                sublimits.label(self.spare, (0, 0, 0))
                self.sharing.refused(cap)
                return False
        sublimits.label(self.spare, pool.labels)
        self.sharing.took()
        return True

    def recap(self, pool: Pool, caps: tuple[Cap, ...]) -> None:
        """Puts the pool's servers under other caps."""
        for cap in pool.caps:
            cap.held -= pool.held
            cap.closing -= pool.closing
        pool.caps = caps
        for cap in caps:
            cap.held += pool.held
            cap.closing += pool.closing

    def rest(self, slot: Slot, now: float) -> None:
        """OPENING or LENT to IDLE, onto the top of its pool's stack."""
        was = slot.state
        slot.move(_IDLE)
        pool: Pool = slot.pool
        if was == _LENT:
            pool.lent -= 1
            self.lent -= 1
        else:
            pool.opening -= 1
            self.opening -= 1
        slot.idle_since = now
        pool.idle.append(slot)
        self.idle += 1

    def lend(self, pool: Pool, at: int, now: float) -> Slot:
        """IDLE to LENT: the server at this index of the pool's stack."""
        slot: Slot = pool.idle.pop(at)
        slot.move(_LENT)
        slot.lent_at = now
        slot.lends += 1
        self.idle -= 1
        pool.lent += 1
        self.lent += 1
        if pool.lent > pool.peak:
            pool.peak = pool.lent
        return slot

    def begin_close(self, slot: Slot, now: float) -> None:
        """Any living state to CLOSING: it serves no more, but holds its budget slot until it is gone."""
        was = slot.state
        slot.move(_CLOSING)
        pool: Pool = slot.pool
        self._uncount(slot, was)
        pool.closing += 1
        self.closing += 1
        self.root.closing += 1
        for cap in pool.caps:
            cap.closing += 1
        if pool.held == pool.closing:
            pool.starved_from = now
        if self.sharing is not None and pool.labels is not None:
            self.sharing.sublimits.closing(slot.budget_slot)

    def drop(self, slot: Slot, now: float) -> None:
        """Any state to GONE: the budget slot is free."""
        was = slot.state
        slot.move(_GONE)
        pool: Pool = slot.pool
        del self.servers[slot]
        self._uncount(slot, was)
        pool.held -= 1
        self.root.held -= 1
        for cap in pool.caps:
            cap.held -= 1
        if pool.held == pool.closing and was != _CLOSING:
            pool.starved_from = now
        if pool.held == 0:
            del self.holders[pool]
        if slot.given:
            self.giving -= 1
        self.budget.free(slot.budget_slot)

    def _uncount(self, slot: Slot, was: int) -> None:
        pool: Pool = slot.pool
        if was == _IDLE:
            pool.idle.remove(slot)
            self.idle -= 1
        elif was == _LENT:
            pool.lent -= 1
            self.lent -= 1
        elif was == _OPENING:
            pool.opening -= 1
            self.opening -= 1
        elif was == _CLOSING:
            pool.closing -= 1
            self.closing -= 1
            self.root.closing -= 1
            for cap in pool.caps:
                cap.closing -= 1
