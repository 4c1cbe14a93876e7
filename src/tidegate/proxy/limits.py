"""What a target's settings come to for its pools.

Owns how settings and what the database has told are put together. Refuses to keep or to enforce any of it: `pool` does.
"""

from __future__ import annotations

from tidegate.config.model import Config, ProxyConfig, TargetConfig
from tidegate.pool.limits import PoolKey, PoolLimits, ServerLimits
from tidegate.proxy.poolkeys import database_size, entry_of, is_dedicated

IDLE_AFTER = 300.0
"""Seconds from which an unused server connection counts as idle, as at RDS Proxy."""


def server_limits(config: TargetConfig, most: int) -> ServerLimits:
    """How servers are opened and closed; `most`: the connection limit that the share of idle ones is taken of.

    A share of idle servers would mean nothing if each had come to its idle timeout before it is counted as idle.
    """
    idle = int(most * config.idle_percent / (config.max_connections_percent if config.max_connections is None else 100))
    return ServerLimits(
        open_burst=config.open_burst,
        server_idle_timeout=config.server_idle_timeout,
        server_lifetime=config.server_lifetime,
        max_idle=max(idle, 0),
        idle_after=min(IDLE_AFTER, config.server_idle_timeout / 2 or IDLE_AFTER),
    )


def pool_limits(key: PoolKey, proxy: ProxyConfig | None, config: Config, target: str) -> PoolLimits:
    """A pool's: from the entries of its database and the listed user; `proxy`: by which its clients come, if known."""
    if is_dedicated(key):
        return PoolLimits(counted=False)
    entry = entry_of(proxy, key[0], key[1]) if proxy is not None else None
    listed = next(iter(config.users_at(key[1], target)), None)
    return PoolLimits(
        max_size=entry.pool_size if entry else 0,
        min_size=entry.min_pool_size if entry else 0,
        database_size=database_size(config.proxies, target, key[0]),
        user_size=listed.pool_size if listed else 0,
    )
