# cython: annotation_typing=False
"""One server connection and one waiting client, as the pool sees them.

Owns the states a server connection goes through and the table of moves between them.
Refuses to know the connection itself: the proxy hangs it on `handle` and what is set on it on `fit`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.pool.pool import Pool


class SlotState(IntEnum):
    """Where a server connection stands."""

    OPENING = 0
    IDLE = 1
    LENT = 2
    CLOSING = 3
    GONE = 4


MOVES: dict[SlotState, tuple[SlotState, ...]] = {
    SlotState.OPENING: (SlotState.IDLE, SlotState.CLOSING, SlotState.GONE),
    SlotState.IDLE: (SlotState.LENT, SlotState.CLOSING, SlotState.GONE),
    SlotState.LENT: (SlotState.IDLE, SlotState.CLOSING, SlotState.GONE),
    SlotState.CLOSING: (SlotState.GONE,),
    SlotState.GONE: (),
}

# The same table as bits, one byte per state, so that the compiled check is a shift and not a look-up.
_ALLOWED = sum(1 << (8 * source + target) for source, targets in MOVES.items() for target in targets)


class Slot:
    """A server connection that holds `budget_slot` of the budget, from before it is opened until it is gone.

    Times are seconds of the caller's clock: `born` when opening began, `opened_at` when it could first be lent,
    `lent_at` and `idle_since` its latest lending and return, `expires_at` the end of its lifetime. `given` marks one
    whose budget slot will not come back to this worker: it closes because of a lower limit or for another worker.
    `number` (from 1) is its own for as long as the worker lives.
    """

    def __init__(self, pool: Pool, budget_slot: int, now: float, number: int = 1) -> None:
        self.pool = pool
        self.budget_slot = budget_slot
        self.number = number
        self.state = 0
        self.generation = pool.generation
        self.handle: object = None
        self.fit: object = None
        self.born = now
        self.opened_at = now
        self.idle_since = now
        self.lent_at = now
        self.expires_at = now
        self.lends = 0
        self.given = False

    def move(self, state: int) -> None:
        """Changes state. Raises ValueError for a move that the table does not have."""
        if not (_ALLOWED >> (8 * self.state + state)) & 1:
            raise ValueError(f"server slot cannot go from {SlotState(self.state).name} to {SlotState(state).name}")
        self.state = state

    def __repr__(self) -> str:
        return f"<Slot {self.budget_slot} {SlotState(self.state).name} of {self.pool.key}>"


class Ticket:
    """A client's place in its pool's queue; `alive` until it is served, abandoned, overdue or failed.

    `avoids` is the number of the slot that it must not be served with (see `rotation`), 0 if it takes any.
    """

    def __init__(self, owner: object, pool: Pool, since: float, avoids: int = 0) -> None:
        self.owner = owner
        self.pool = pool
        self.since = since
        self.avoids = avoids
        self.alive = True
        self.ahead: Ticket | None = None
        self.behind: Ticket | None = None

    def __repr__(self) -> str:
        return f"<Ticket of {self.owner!r} in {self.pool.key} since {self.since:.6f}>"
