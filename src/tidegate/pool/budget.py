# cython: annotation_typing=False
"""The budget of server connections: how many may exist at once, and who holds one.

Owns the interface that the pool takes its connection slots from, and the budget of a lone process.
Refuses to know pools, clients or sockets; the budget that workers share through memory is `shared_budget`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidegate.pool.sublimits import Sublimits


class Budget(Protocol):
    """Connection slots of one database server, as one worker process sees them.

    A slot is taken before a connection is opened and freed once the database is known to have ended it, so that the
    limit holds at the database and not only here. `limit` may change at any time; a budget that shrinks below what is
    held hands out nothing until enough has come back.
    """

    limit: int

    def acquire(self) -> int:
        """Takes a slot: its id (>= 0), or -1 when none is free."""
        ...

    def free(self, slot: int) -> None:
        """Puts a slot back. Raises ValueError for one that is not held."""
        ...

    def held(self) -> int:
        """Slots that this worker holds."""
        ...

    def sublimits(self) -> Sublimits | None:
        """The limits on parts of the slots, over all workers; None if there is no other worker."""
        ...

    def report(self, waiting: int, idle: int) -> None:
        """Publishes how many of this worker's clients wait for want of a slot, and how many of its servers idle."""
        ...

    def excess(self, idle: int, closing: int) -> int:
        """Servers to close beyond `closing`, as the limit is below what is held; `idle` can be closed at once."""
        ...

    def may_idle(self, most: int) -> int:
        """How many servers may idle in this worker if `most` may in all."""
        ...

    def owed(self, idle: int) -> int:
        """Slots that this worker should give up to other workers now; `idle` is how many it could give at once."""
        ...


class LocalBudget:
    """The budget of a process that shares its database with no other worker."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: set[int] = set()
        self._free: list[int] = []

    def acquire(self) -> int:
        """Takes a slot: its id (>= 0), or -1 when none is free."""
        if len(self._held) >= self.limit:
            return -1
        slot = self._free.pop() if self._free else len(self._held)
        self._held.add(slot)
        return slot

    def free(self, slot: int) -> None:
        """Puts a slot back. Raises ValueError for one that is not held."""
        if slot not in self._held:
            raise ValueError(f"slot {slot} is not held")
        self._held.remove(slot)
        self._free.append(slot)

    def sublimits(self) -> None:
        """None: there is no other worker to share parts with."""

    def held(self) -> int:
        """Slots in use."""
        return len(self._held)

    def report(self, waiting: int, idle: int) -> None:
        """Does nothing: there is no other worker to tell."""

    def excess(self, idle: int, closing: int) -> int:
        """Servers to close because of a limit below what is held, beside the `closing`."""
        return max(len(self._held) - closing - self.limit, 0)

    def may_idle(self, most: int) -> int:
        """All of them: there is no other worker."""
        return most

    def owed(self, idle: int) -> int:
        """Always 0: there is no other worker to give to."""
        return 0
