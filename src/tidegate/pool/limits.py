"""What an operator may limit: sizes of pools, of databases and of users, and how long servers may live or idle.

Owns the settings that pool decisions read. Refuses to read them from anywhere: the proxy makes these objects from
the configuration and from what the database says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PoolKey = tuple[str, ...]
"""(database, user), and whatever else tells two pools of the same database and user apart."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Sizes that bear on one pool, in server connections; 0 means no such limit.

    `database_size` and `user_size` cap the sum over all pools whose key begins with the same database, or whose
    second part is the same user. `min_size` servers are kept open while the pool is in use, unless another pool's
    clients need the room. All sizes are over all workers. A pool that is not `counted` stands beside them: its servers
    are no part of any size.
    """

    max_size: int = 0
    min_size: int = 0
    database_size: int = 0
    user_size: int = 0
    counted: bool = True


NO_LIMIT = 1 << 30
"""More servers than there can be."""

LimitsFor = Callable[[PoolKey], PoolLimits]
"""Answers which limits a pool has; asked when the pool is first used and when limits are reloaded."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How server connections of one target are opened and closed. Times are seconds; 0 switches a limit off.

    `max_idle` (over all workers; -1: no limit) counts only servers idle for at least `idle_after`, as RDS Proxy does: a
    dip of a second is no reason to close what the next second needs. Lifetimes are shortened at random by up to
    `lifetime_spread` of their length so that servers opened together do not expire together.
    """

    open_burst: int = 8
    server_idle_timeout: float = 600.0
    server_lifetime: float = 86400.0
    lifetime_spread: float = 0.2
    max_idle: int = -1
    idle_after: float = 300.0
