"""Which proxies of one target share server connections.

Owns the names of pools: (database, user, init_query, rest), and which entry of a configuration means which database.
Refuses to make pools (`pool.directory`) and to say how many servers one may have (`target`).

A server is used by all clients of its database and user, whichever proxy they come by, as long as these proxies have
the same init_query. Where they differ in what limits a pool or its servers, `rest` is the name of the first proxy that
is like this one, empty for the first of all. A dedicated server's pool, which is one client's, has a number behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.config.model import ANY_DATABASE, DatabaseConfig, ProxyConfig
from tidegate.pool.limits import PoolKey

SHARED = 4
"""Parts of the name of a pool that is shared."""

PARAMETERS = 3
"""Parts of a pool's name on which depend the parameters that its servers report."""


def pool_key(proxies: Sequence[ProxyConfig], proxy: ProxyConfig, database: str, user: str) -> PoolKey:
    """The pool of a database and a user, as the target has them, for clients of this proxy among all `proxies`."""
    first = None
    for other in proxies:
        if other.target != proxy.target or other.init_query != proxy.init_query:
            continue
        if other is not proxy and entry_of(other, database, user) is None:
            continue
        first = first or other
        if other is proxy or _shape(other, database, user) == _shape(proxy, database, user):
            return database, user, proxy.init_query, "" if other is first else other.name
    return database, user, proxy.init_query, proxy.name  # it is no longer configured, and has its last clients


def is_dedicated(key: PoolKey) -> bool:
    """Whether a pool is one client's own."""
    return len(key) > SHARED


def entry_of(proxy: ProxyConfig, database: str, user: str) -> DatabaseConfig | None:
    """The entry of the proxy's databases that leads to this database as this user, None if none does.

    Several names may lead to one database, each with a forced user of its own: that one's sizes count.
    """
    entries = [entry for alias, entry in proxy.databases.items() if (entry.database or alias) == database]
    forced = next((entry for entry in entries if entry.user == user), None)
    return forced or next((entry for entry in entries if entry.user is None), None) or proxy.database(database)


def database_size(proxies: Sequence[ProxyConfig], target: str, database: str) -> int:
    """Most server connections to a target's database, of all users: the least that an entry for it says; 0 = no limit.

    It is one number for all names and proxies that lead to the database, for it limits what they have together.
    """
    sizes = [
        entry.max_db_connections
        for proxy in proxies
        if proxy.target == target
        for alias, entry in proxy.databases.items()
        if (entry.database or alias) == database
        or (alias == ANY_DATABASE and entry.database is None and database not in proxy.databases)
    ]
    return min((size for size in sizes if size > 0), default=0)


def _shape(proxy: ProxyConfig, database: str, user: str) -> tuple[int, ...]:
    """What clients of this proxy can expect of the pool."""
    entry = entry_of(proxy, database, user)
    sizes = (entry.pool_size, entry.min_pool_size) if entry is not None else ()
    return proxy.max_prepared_statements, *sizes
