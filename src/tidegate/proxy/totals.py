"""What workers have counted since the supervisor's start, those that are gone included.

Owns the last totals that each worker told, and what the dead had counted. Refuses to ask for them, and numbers that say
how things stand now: with a worker's end these are over.

Only numbers that never fall are totals (`figures.totals`). A worker tells them once a second and before each answer to
a question for statistics. So a sum never falls, and what a worker that is killed counted in its last second is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

Numbers = Mapping[str, int | float]


class Totals:
    """By number of the worker; a restarted worker begins at 0 under the number of the dead one."""

    def __init__(self) -> None:
        self._latest: dict[int, Numbers] = {}
        self._former: Counter[str] = Counter()

    def told(self, worker: int, totals: Numbers) -> None:
        """A worker's totals since its start."""
        self._latest[worker] = totals

    def ended(self, worker: int) -> None:
        """A worker is gone. Call it before another gets its number."""
        self._former.update(self._latest.pop(worker, {}))

    @property
    def former(self) -> dict[str, int | float]:
        """What workers had counted that are gone."""
        return dict(self._former)

    def silent(self, answered: Collection[int]) -> list[Numbers]:
        """The last totals of the workers that have not answered, such as one that hangs."""
        return [totals for worker, totals in self._latest.items() if worker not in answered]
