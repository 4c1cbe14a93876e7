"""The limit of open files (RLIMIT_NOFILE), which clients and server connections count against: one descriptor each.

Owns raising the soft limit, and what the settings may come to need. Refuses to enforce anything: what does not fit
waits in the listeners' backlog (`listener`), and is served once others have left.
"""

from __future__ import annotations

import resource

from tidegate.config.model import Config

SPARE = 100
"""Descriptors of a worker beside its connections: sockets shared with others, listeners, cancel requests, the log."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one, for this process and those that it starts; returns the limit.

    A soft limit of 1024 is there for programs that use select(2) (systemd.exec(5), LimitNOFILE=); this one does not.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def needed(config: Config) -> int:
    """Descriptors that one worker uses when all that the settings allow is there, spread evenly over the workers.

    Server connections count where the settings name their number: a share of the database's own is not known here.
    """
    clients = sum(proxy.max_client_connections for proxy in config.proxies)
    servers = sum(target.max_connections or 0 for target in config.targets)
    return -(-clients // config.workers) + servers + SPARE


def shortage(config: Config, limit: int) -> str:
    """What to tell if the limit is below what the settings may need, with the remedy; "" if it is not."""
    wanted = needed(config)
    if limit >= wanted:
        return ""
    return (
        f"the limit of open files is {limit}, and max_client_connections and the server connections may need {wanted}"
        " in a worker: raise it (ulimit -n, LimitNOFILE= of a systemd unit), or lower max_client_connections; clients"
        " past it wait until others leave"
    )
