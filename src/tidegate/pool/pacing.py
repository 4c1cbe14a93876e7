"""How opening server connections is slowed down when the database refuses them.

Owns the growing pauses and the reading of what a failure concerns. Refuses to count what is being opened (`ledger`).
"""

from __future__ import annotations

import math
from enum import Enum
from random import Random

from tidegate.errors import InitQueryError, LoginUnsettled, PgError, Sqlstate
from tidegate.pool import tuning

# SQLSTATE classes (PostgreSQL documentation, appendix A) of states that pass: connection exception, insufficient
# resources, operator intervention (starting up, shutting down), system error.
_PASSING_CLASSES = ("08", "53", "57", "58")


class FailureScope(Enum):
    """Whom a failed opening concerns."""

    TARGET = "the database server is away: every pool waits"
    POOL = "no room for this database or user, or another password is to be tried: this pool waits"
    CLIENTS = "these clients can never be served: they are told"
    SETUP = "no server of this pool can be made fit for use: its clients are told, and those who come in the pause"


def failure_scope(error: PgError | None) -> FailureScope:
    """Reads what a failed opening means; None is a connection that could not be made or broke off.

    53300 is not taken for the whole server's state: a role's or a database's CONNECTION LIMIT answers the same, and
    must not slow down anyone else.
    """
    if error is None:
        return FailureScope.TARGET
    if isinstance(error, InitQueryError):
        return FailureScope.SETUP
    if isinstance(error, LoginUnsettled):
        return FailureScope.POOL
    if error.sqlstate == Sqlstate.TOO_MANY_CONNECTIONS:
        return FailureScope.POOL
    if error.sqlstate != Sqlstate.PROTOCOL_VIOLATION and error.sqlstate[:2] in _PASSING_CLASSES:
        return FailureScope.TARGET
    return FailureScope.CLIENTS


class Backoff:
    """Pauses that double from FIRST_PAUSE to LONGEST_PAUSE while attempts fail, and end at the first success."""

    def __init__(self) -> None:
        self.failures = 0
        self.until = -math.inf

    def fail(self, now: float, attempted_at: float, retry_in: float, rng: Random) -> None:
        """Notes a failure of an attempt made at `attempted_at`; the pause is at least `retry_in` seconds.

        Attempts that were already under way when the pause began count as the same failure: eight connections
        refused at once are one refusal, not eight doublings.
        """
        if self.failures == 0 or attempted_at >= self.until:
            pause = min(tuning.FIRST_PAUSE * 2.0 ** min(self.failures, 16), tuning.LONGEST_PAUSE)
            self.until = now + pause * (1.0 + tuning.JITTER * rng.random())
            self.failures += 1
        self.until = max(self.until, now + retry_in)

    def succeed(self) -> None:
        """Ends the pauses."""
        self.failures = 0
        self.until = -math.inf
