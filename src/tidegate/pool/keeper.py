# cython: annotation_typing=False
"""A place kept for a pool that needs two at once.

Owns the one case in which a free place is not used at once. Refuses to free places: that is `allocator`.
"""

from __future__ import annotations

from tidegate.pool import tuning
from tidegate.pool.ledger import Ledger
from tidegate.pool.pool import Pool

_KEEP_MOST = tuning.KEEP_MOST


class Keeper:
    """Lets pools through that stand under two full limits, their database's and their user's.

    Such a pool needs a place under both at the same moment. If whoever waits could take a place as soon as it came
    free under one of them, both would have to come free within the same instant, and with busy neighbours that never
    happens. So one such pool at a time (the one with fewest servers, then hungry for longest) has the last place under
    each of its limits kept for it, until it has both or its time is up. The time starts at the allocator's hold and
    doubles whenever it was not enough (transactions are longer), up to KEEP_MOST; after that the pool does without for
    as long as it was kept for, so that at worst half a place goes unused though its neighbour's transaction never ends.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.crossed = False
        self.pool: Pool | None = None
        self.until = 0.0

    def watch(self, pool: Pool) -> None:
        """Takes note of a pool's limits; without any pool under two, there is nothing to keep."""
        if len(pool.caps) > 1:
            self.crossed = True

    def refresh(self, hold: float, now: float) -> None:
        """Ends what is served or has had its time, and chooses the next pool to keep places for."""
        if not self.crossed:
            return
        pool = self.pool
        if pool is not None:
            if not self._wants(pool):
                pool.keep_for = 0.0
            elif now < self.until:
                return
            else:
                pool.keep_for = max(pool.keep_for, hold)
                pool.keep_again_at = now + pool.keep_for
                pool.keep_for = min(2.0 * pool.keep_for, _KEEP_MOST)
        pool = self.pool = self._next(now)
        if pool is not None:
            self.until = now + max(pool.keep_for, hold)

    def refuses(self, pool: Pool) -> bool:
        """Whether the last place under a limit of this pool is kept for another."""
        kept = self.pool
        if kept is None or kept is pool:
            return False
        refused = False
        for cap in pool.caps:
            refused |= cap.limit - cap.held <= 1 and cap in kept.caps
        return refused

    def _wants(self, pool: Pool) -> bool:
        return pool.need() > 0 and pool.live() < pool.quota

    def _next(self, now: float) -> Pool | None:
        best: Pool | None = None
        for pool in self.ledger.queue:
            if len(pool.caps) < 2 or pool.keep_again_at > now or pool.paused_until > now:
                continue
            if not self._wants(pool) or pool.full_cap() is None:
                continue
            if best is not None:
                if pool.live() > best.live():
                    continue
                if pool.live() == best.live() and pool.hungry_since() >= best.hungry_since():
                    continue
            best = pool
        return best
