"""How long a client waits for a server connection, and what it is told then.

Owns the words: the limit that was hit, and the setting that moves it. Refuses to watch the clock (`pool.governor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.errors import PgError, Sqlstate
from tidegate.pool.pool import Pool
from tidegate.pool.sublimits import DATABASE

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay

OPENING = 1.0
"""Seconds for which a connection that is being opened is waited for, however short the borrow timeout."""


def borrow_timeout(client: Relay) -> float:
    """For how long this client waits for a server connection, in seconds."""
    return max(client.gate.proxy.connection_borrow_timeout, OPENING if client.pool.opening else 0.0)


def timed_out(pool: Pool, timeout: float, limit: int, last_error: PgError | None) -> PgError:
    """For a client of `pool` after `timeout` seconds; `limit` and `last_error` are its target's."""
    if pool.refusal is not None:
        detail = f"No more server connections could be opened, since init_query failed: {pool.refusal}."
        hint = "Correct the setting init_query of the proxy."
    elif last_error is not None:
        detail = f"No server connection could be opened: {last_error}."
        hint = "See whether the database is up; the wait is the setting connection_borrow_timeout."
    else:
        limit, setting = _full(pool, limit)
        detail = f"All {limit} server connections were in use for {timeout:g} seconds (limit: {setting})."
        hint = f"Raise {setting}, or connection_borrow_timeout of the proxy."
    message = "Timed-out waiting to acquire database connection."
    return PgError(message, Sqlstate.CONNECTION_EXCEPTION, "ERROR", detail, hint)


def _full(pool: Pool, limit: int) -> tuple[int, str]:
    """The limit that a pool has reached, and the setting that it comes from."""
    cap = pool.full_cap()
    if pool.max_size and pool.held >= pool.allowed:
        return pool.max_size, "pool_size of the database"
    if cap is None:
        return limit, "max_connections or max_connections_percent of the target"
    if cap.part is not None and cap.part.kind == DATABASE:
        return cap.size, "max_db_connections of the database"
    return cap.size, "pool_size of the user"
