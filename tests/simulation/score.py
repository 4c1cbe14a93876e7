"""Figures that a simulated run is judged by: waits, shares, churn."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable

from tidegate.pool.limits import PoolKey


class Score:
    """What each pool asked for and got. Times are seconds."""

    def __init__(self) -> None:
        self.asked: dict[PoolKey, int] = defaultdict(int)
        self.waits: dict[PoolKey, list[tuple[float, float]]] = defaultdict(list)
        self.uses: dict[PoolKey, list[tuple[float, float]]] = defaultdict(list)
        self.opened: list[float] = []

    def demand(self, key: PoolKey) -> None:
        self.asked[key] += 1

    def serve(self, key: PoolKey, wait: float, now: float, work: float) -> None:
        self.waits[key].append((now, wait))
        self.uses[key].append((now, now + work))

    def longest_wait(self, key: PoolKey | None = None, since: float = 0.0) -> float:
        """The longest wait that ended after `since`, of one pool or of all."""
        keys = list(self.waits) if key is None else [key]
        return max((wait for each in keys for when, wait in self.waits[each] if when >= since), default=0.0)

    def mean_wait(self, key: PoolKey, since: float = 0.0) -> float:
        waits = [wait for when, wait in self.waits[key] if when >= since]
        return sum(waits) / len(waits)

    def longest_gap(self, key: PoolKey, since: float, until: float) -> float:
        """The longest time in which the pool got no server."""
        starts = [since, *(when for when, _ in self.waits[key] if since <= when <= until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(starts))

    def served(self, key: PoolKey, since: float = 0.0) -> int:
        return sum(1 for when, _ in self.waits[key] if when >= since)

    def used(self, key: PoolKey, since: float, until: float) -> float:
        """Server seconds that the pool's transactions took in this span."""
        return sum(max(0.0, min(end, until) - max(start, since)) for start, end in self.uses[key])

    def churn(self, since: float, until: float) -> float:
        """Servers opened per second."""
        return sum(1 for when in self.opened if since <= when < until) / (until - since)


def jain(shares: Iterable[float]) -> float:
    """Jain's fairness index: 1 when all have the same, 1/n when one has all (DEC-TR-301, 1984)."""
    values = list(shares)
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))
