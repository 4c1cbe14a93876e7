# cython: annotation_typing=False
"""How many servers each pool deserves.

Owns the fair shares. Refuses to move a server: that is `allocator`.
"""

from __future__ import annotations

import math

from tidegate.pool import tuning
from tidegate.pool.cap import Cap
from tidegate.pool.ledger import Ledger
from tidegate.pool.pool import Pool

_PERIOD = tuning.PERIOD
_FADE = tuning.FADE
_STALE = tuning.STALE
_ROTATION = tuning.ROTATION


class Quotas:
    """Max-min fair shares of the servers, over what pools demand.

    A pool's demand is the number of clients that hold or want a server: the largest since the last time, fading, so
    that a pool of short transactions does not lose its server each time it is caught between two. Shares are dealt
    out like cards: one server to each pool in turn, until its demand, its own size, the cap of its database or user,
    or the whole is used up. So nobody gets less in order that another may have more than that. Where the last round
    does not reach round, it starts at another pool each ROTATION. Pools that demand and go without (more pools than
    servers) have a quota of one: they take turns, which `allocator` arranges.
    """

    def __init__(self) -> None:
        self.shared_at = -math.inf

    def refresh(self, ledger: Ledger, capacity: int, now: float) -> None:
        """Shares out `capacity` servers anew, if the last time is PERIOD ago."""
        if now - self.shared_at < _PERIOD:
            return
        keep = _FADE if now - self.shared_at <= _STALE else 0.0
        self.shared_at = now
        ledger.root.granted = 0
        ledger.root.limit = capacity
        pools = sorted({**ledger.holders, **ledger.queue}, key=_number)
        wanting = [pool for pool in pools if self._measure(pool, keep)]
        if wanting:
            first = int(now / _ROTATION) * capacity % len(wanting)
            self._deal(wanting[first:] + wanting[:first], ledger.root)
        for pool in wanting:
            if pool.quota == 0:
                pool.quota = 1

    def _measure(self, pool: Pool, keep: float) -> bool:
        """Brings the pool's demand up to date and clears its quota; whether it demands anything."""
        present = pool.lent + pool.waiting
        recent = max(pool.peak, present) if keep > 0.0 else present
        pool.demand = max(float(recent), pool.demand * keep)
        pool.peak = present
        pool.quota = 0
        for cap in pool.caps:
            cap.granted = 0
        return pool.demand >= 0.5

    def _deal(self, wanting: list[Pool], root: Cap) -> None:
        """Deals rounds of one server each until nobody can take another."""
        while wanting:
            still = []
            for pool in wanting:
                if root.granted >= root.limit:
                    return
                if self._deal_one(pool):
                    root.granted += 1
                    still.append(pool)
            wanting = still

    def _deal_one(self, pool: Pool) -> bool:
        if pool.quota + 0.5 > pool.demand or pool.quota >= pool.allowed:
            return False
        for cap in pool.caps:
            if cap.granted >= cap.limit:
                return False
        for cap in pool.caps:
            cap.granted += 1
        pool.quota += 1
        return True


def _number(pool: Pool) -> int:
    return pool.number
