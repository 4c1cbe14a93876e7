# cython: annotation_typing=False
"""Who gets the next server, and whose server makes room for it.

Owns the rules of fairness between pools. Refuses to share out quotas (`quota`) and to keep the books (`ledger`).
"""

from __future__ import annotations

import math

from tidegate.pool import tuning
from tidegate.pool.cap import Cap
from tidegate.pool.keeper import Keeper
from tidegate.pool.ledger import Ledger
from tidegate.pool.pool import Pool
from tidegate.pool.quota import Quotas
from tidegate.pool.slot import Slot, SlotState

_IDLE = int(SlotState.IDLE)

_LINGER = tuning.LINGER
_MIN_HOLD = tuning.MIN_HOLD
_MAX_HOLD = tuning.MAX_HOLD
_HOLD_PER_OPEN = tuning.HOLD_PER_OPEN

# What a waiting pool's claim to another server rests on, strongest first.
_FAMISHED = 0  # it has had no server at all for the time of a hold
_STARVING = 1  # it has no server at all
_SHORT = 2  # it has fewer than its quota
_MORE = 3  # it has its quota, and could use what others leave


class Allocator:
    """Moves servers between pools so that all get their share, and no more often than that takes.

    A server connection belongs to one database and user, so giving a server to another pool means closing one and
    opening another: milliseconds of work for the database. Two questions are answered here.

    *Who gets a free budget slot?* The pool with the strongest claim: below its quota before above it, then with the
    fewest servers, then hungry for longest. A pool that has just given its only server up goes to the end of that
    line however old its clients are, so when there are more pools than servers, they take turns.

    *Who gives one up, when no slot is free?* First the number of unmet claims is counted for every limit that is in
    the way (the whole budget, a database's or a user's cap), and what is being closed already is taken off: no more is
    closed than claims need. Then, for each claim left, a server under that limit is looked for:

    - an idle one, least recently used first, of a pool above its quota; or that has idled for LINGER; or, for a
      starving pool, one that has idled for as long as opening takes (keeping it longer than it costs to get back is
      no gain while another waits) or has been held for a full turn;
    - else one that has just been given back (an offer) though its pool's own clients wait: by a pool above its quota
      to one below; or, after a full turn (the hold), to a pool that has starved for as long.

    Hence the bounds. A pool below its quota gets a server at the next return by a pool above. A starving pool gets one
    after a hold or (pools - servers) / servers turns, whichever is longer, a turn being the hold plus a transaction, a
    close and an open. And a server changes pools at most once a hold, whatever the rate of transactions.
    """

    def __init__(self, ledger: Ledger, quotas: Quotas) -> None:
        self.ledger = ledger
        self.quotas = quotas
        self.keeper = Keeper(ledger)
        self.retry_at = math.inf
        self.open_cost = 0.0
        self.hold = _MIN_HOLD
        self.passes = 0

    def note_open_cost(self, seconds: float) -> None:
        """Learns what opening a server takes, as a moving average."""
        self.open_cost = seconds if self.open_cost == 0.0 else self.open_cost + 0.2 * (seconds - self.open_cost)
        self.hold = min(max(_MIN_HOLD, _HOLD_PER_OPEN * self.open_cost), _MAX_HOLD)

    def next_pool(self, now: float) -> Pool | None:
        """The pool for which the next free budget slot should open a server, if any wants and may have one."""
        self.keeper.refresh(self.hold, now)
        best: Pool | None = None
        best_over = False
        best_live = 0
        best_since = 0.0
        for pool in self.ledger.queue:
            if pool.need() <= 0 or self._resting(pool, now) or pool.full_cap() is not None or self.keeper.refuses(pool):
                continue
            live = pool.live()
            over = live >= pool.quota
            if best is not None:
                if over != best_over:
                    if over:
                        continue
                elif live != best_live:
                    if live > best_live:
                        continue
                elif pool.hungry_since() >= best_since:
                    continue
            best, best_over, best_live, best_since = pool, over, live, pool.hungry_since()
        return best

    def may_yield(self, slot: Slot, now: float) -> bool:
        """Whether this returned server should be offered to other pools before its own waiting clients get it."""
        pool: Pool = slot.pool
        if len(self.ledger.queue) < 2:
            return False
        return pool.live() > pool.quota or self._had_turn(slot, now)

    def make_room(self, offers: list[Slot], most: int, capacity: int, now: float) -> list[Slot]:
        """Chooses idle and offered servers to close, at most `most`, and moves them to CLOSING in the books.

        `capacity` is how many servers there are to share. Sets `retry_at`, the time at which an idle server that was
        spared now could be taken.
        """
        self.quotas.refresh(self.ledger, capacity, now)
        taken: list[Slot] = []
        for cap in self._unmet(now):
            for claim in range(_FAMISHED, _MORE + 1):
                while len(taken) < most and self._claims(cap, claim) > 0:
                    slot = self._idle_victim(cap, claim, now)
                    if slot is None and claim != _MORE:
                        slot = self._offered_victim(offers, cap, claim, now)
                    if slot is None:
                        break
                    self.ledger.begin_close(slot, now)
                    self._cover(cap, 1)
                    taken.append(slot)
        return taken

    def unmet_need(self, now: float) -> int:
        """How many servers would be opened now if the budget had slots."""
        unmet = 0
        for pool in self.ledger.queue:
            need = pool.need()
            if need > 0 and not self._resting(pool, now) and pool.full_cap() is None:
                unmet += need
        return unmet

    def _resting(self, pool: Pool, now: float) -> bool:
        """Whether the pool's failures pause it; its pause's end is then a time to look again."""
        if pool.paused_until <= now:
            return False
        self.retry_at = min(self.retry_at, pool.paused_until)
        return True

    def _unmet(self, now: float) -> list[Cap]:
        """The limits in the way of waiting pools, with the claims that servers now closing will not satisfy."""
        self.passes += 1
        self.keeper.refresh(self.hold, now)
        root = self.ledger.root
        caps: list[Cap] = []
        for pool in self.ledger.queue:
            need = pool.need()
            if need <= 0 or self._resting(pool, now):
                continue
            full = [cap for cap in pool.caps if cap.full()]
            if len(full) > 1 and pool is not self.keeper.pool:
                continue  # a place under one of its limits would be of no use to it
            if not full and self.ledger.blocked and not self.keeper.refuses(pool):
                full.append(root)  # else nothing is in the way but the pace of opening
            for cap in full:
                if cap.counted != self.passes:
                    cap.counted = self.passes
                    cap.famished = cap.starving = cap.short = cap.more = 0
                    caps.append(cap)
                self._count(pool, need, cap, now)
        for cap in caps:
            self._cover(cap, cap.closing - self.ledger.giving if cap is root else cap.closing)
        return caps

    def _count(self, pool: Pool, need: int, cap: Cap, now: float) -> None:
        live = pool.live()
        if live == 0:
            if now - pool.hungry_since() >= self.hold:
                cap.famished += 1
            else:
                cap.starving += 1
            live = 1
            need -= 1
        short = min(need, max(pool.quota - live, 0))
        cap.short += short
        cap.more += need - short

    def _claims(self, cap: Cap, claim: int) -> int:
        if claim == _FAMISHED:
            return cap.famished
        if claim == _STARVING:
            return cap.starving
        return cap.short if claim == _SHORT else cap.more

    def _cover(self, cap: Cap, servers: int) -> None:
        """Takes claims off that this many servers will satisfy, strongest first."""
        part = min(servers, cap.famished)
        cap.famished -= part
        servers -= part
        part = min(servers, cap.starving)
        cap.starving -= part
        servers -= part
        part = min(servers, cap.short)
        cap.short -= part
        servers -= part
        cap.more -= min(servers, cap.more)

    def _under(self, pool: Pool, cap: Cap) -> bool:
        """Whether the pool's servers count towards this limit."""
        if cap is self.ledger.root:
            return True
        return cap in pool.caps

    def _idle_victim(self, cap: Cap, claim: int, now: float) -> Slot | None:
        """The least recently used idle server that may be closed for this claim; none of a pool with its own need."""
        victim: Slot | None = None
        for pool in self.ledger.holders:
            if not pool.idle or pool.head is not None or not self._under(pool, cap):
                continue
            slot = pool.idle[0]
            if pool.live() <= pool.quota:
                spared_until = slot.idle_since + _LINGER
                if claim <= _STARVING:
                    spared_until = min(slot.idle_since + self.open_cost, slot.opened_at + self.hold, spared_until)
                if spared_until > now:
                    self.retry_at = min(self.retry_at, spared_until)
                    continue
            if victim is None or slot.idle_since < victim.idle_since:
                victim = slot
        return victim

    def _had_turn(self, slot: Slot, now: float) -> bool:
        """Whether its pool has had the good of this server; never before it served anyone, or nobody would ever be."""
        return slot.lends > 0 and now - slot.opened_at >= self.hold

    def _offered_victim(self, offers: list[Slot], cap: Cap, claim: int, now: float) -> Slot | None:
        for slot in offers:
            pool: Pool = slot.pool
            if slot.state != _IDLE or not self._under(pool, cap):
                continue
            if pool.live() > pool.quota or (claim == _FAMISHED and self._had_turn(slot, now)):
                return slot
        return None
