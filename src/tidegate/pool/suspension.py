"""Pools that are to have no server for a while, since what they connect to must be left alone.

Owns what that means for a pool: idle servers are closed at once, others as they come back, and none is opened; its
clients wait. Refuses to know why (`proxy.vacating`), and to wait: time is an argument, and it ends by itself.
"""

from __future__ import annotations

import math

from tidegate.errors import CloseReason
from tidegate.pool.governor import Governor
from tidegate.pool.pool import Pool


def suspend(governor: Governor, pool: Pool, until: float, reason: CloseReason, now: float) -> None:
    """Until then (seconds of the caller's clock) the pool does without; may be prolonged. Then call `plan`."""
    pool.suspended_until = until
    pool.paused_until = max(pool.paused_until, until)
    if pool.held > pool.closing:
        governor.retire(reason, now, pool)


def resume(pool: Pool) -> None:
    """It may have servers again; what it waits for after a failure stays. Call the governor's `plan`."""
    pool.suspended_until = -math.inf
    pool.paused_until = pool.backoff.until
