# cython: annotation_typing=False
"""A limit on the sum of several pools' servers: a database's, a user's, or the whole target's.

Owns the counters that such a limit is checked against. Refuses to decide who goes without: that is `allocator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.pool.sublimits import Part


class Cap:
    """Counts the servers of all pools under one limit; those that are being closed still count, until they are gone.

    `size` is the limit that is configured; `limit` is what this worker may hold, less than that while others need
    places (`sharing`, by way of `part`).

    `granted` is scratch space of one sharing out (`quota`), and `famished`, `starving`, `short`, `more` of one
    count of claims (`allocator`); both reset what they use.
    """

    def __init__(self, limit: int) -> None:
        self.size = limit
        self.limit = limit
        self.part: Part | None = None
        self.held = 0
        self.closing = 0
        self.granted = 0
        self.famished = 0
        self.starving = 0
        self.short = 0
        self.more = 0
        self.counted = 0

    def full(self) -> bool:
        """Whether another server would exceed the limit."""
        return self.held >= self.limit
