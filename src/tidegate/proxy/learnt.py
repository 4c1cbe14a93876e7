"""What one worker learns from a server, so that no worker need ask again: what a login is answered with.

Owns the shape of it on the control channel, and the supervisor's copy, from which a restarted worker begins. Refuses to
use it: `poolinfo` does, in each worker.

Bytes travel as text in Latin-1, which has a character for each byte.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from tidegate.pool.limits import PoolKey

POOLS_KEPT = 4096
CHECKED_KEPT = 16
"""Start-up parameters of one pool: those that drivers send are few; more than that are each client's own."""

LONGEST = 256
"""Characters of a start-up parameter."""

LARGEST = 8192
"""Characters of what is kept of one pool, without the names of settings: 4096 pools fit into one control message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A start-up parameter that a server took, and how the server spells its value."""

    name: str
    value: str
    canonical: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a pool's servers said. From the worker that heard it to the supervisor, and from there to all others."""

    target: int
    """Its number in the shared budget."""
    pool: PoolKey
    """As much of a pool's name as this depends on (`poolkeys.PARAMETERS`)."""
    parameters: dict[str, str]
    """What a fresh server reports (ParameterStatus); empty: as told before, and so is `initial`."""
    initial: dict[str, str]
    """What init_query has set."""
    idle_session_timeout: float
    """Seconds; the role's own."""
    checked: tuple[Checked, ...]


class Knowledge:
    """What is known of each pool, the one that was heard of least recently forgotten first."""

    def __init__(self) -> None:
        self._pools: OrderedDict[tuple[int, PoolKey], Learnt] = OrderedDict()

    def add(self, new: Learnt) -> None:
        """A worker has learnt something. New parameters may spell everything differently, so old spellings go."""
        key = (new.target, new.pool)
        known = self._pools.pop(key, None)
        if not new.parameters:
            if known is None:
                return
            new = replace(known, checked=(*known.checked, *new.checked))
        checked = [one for one in new.checked if len(one.name) + len(one.value) + len(one.canonical) <= LONGEST]
        new = replace(new, checked=tuple(checked[-CHECKED_KEPT:]))
        if _size(new) > LARGEST:
            return
        self._pools[key] = new
        if len(self._pools) > POOLS_KEPT:
            self._pools.popitem(last=False)

    def forget(self, target: int) -> None:
        """A target is gone; another may get its number."""
        for key in [key for key in self._pools if key[0] == target]:
            del self._pools[key]

    def all(self) -> tuple[Learnt, ...]:
        """For a worker that starts."""
        return tuple(self._pools.values())


def _size(one: Learnt) -> int:
    checked = sum(len(each.name) + len(each.value) + len(each.canonical) for each in one.checked)
    return sum(map(len, (*one.pool, *one.parameters.values(), *one.initial.values()))) + checked
