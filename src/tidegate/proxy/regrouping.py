"""Which pool clients get their servers from, after a reload.

Owns the comparison of the pools that there are with those that the proxies' new settings name. Refuses the names
themselves (`poolkeys`) and the lending (`target`).

A client goes to its new pool with its next borrow, or at once if it waits. Servers of a pool that no proxy's clients
come to any more are closed as they come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tidegate.errors import CloseReason
from tidegate.pool.limits import PoolKey
from tidegate.pool.pool import Pool
from tidegate.proxy.poolkeys import SHARED, is_dedicated, pool_key

if TYPE_CHECKING:
    from tidegate.config.model import ProxyConfig
    from tidegate.proxy.gate import Gate
    from tidegate.proxy.target import Target


def regroup(target: Target, proxies: tuple[ProxyConfig, ...], gates: Iterable[Gate], now: float) -> None:
    """Have every client of `target` served by the pool that its proxy's settings name; then `relimit` and `act`."""
    governor = target.governor
    here = [proxy for proxy in proxies if proxy.target == target.config.name]
    current: dict[PoolKey, ProxyConfig] = {}
    for pool in governor.directory.all():
        if is_dedicated(pool.key):
            continue
        database, user = pool.key[:2]
        proxy = next((each for each in here if pool_key(proxies, each, database, user) == pool.key), None)
        if proxy is None:
            governor.retire(CloseReason.SERVER_RELOADED, now, pool)
        else:
            current[pool.key] = proxy
    target.proxies.clear()
    target.proxies.update(current)
    for gate in gates:
        _mark_clients(target, proxies, gate)
    for pool in list(governor.ledger.queue):
        _requeue(target, pool)


def _mark_clients(target: Target, proxies: tuple[ProxyConfig, ...], gate: Gate) -> None:
    """Note which clients have another pool now."""
    elsewhere: dict[PoolKey, bool] = {}
    for client in gate.clients:
        if client.door is not target or client.pool is None:
            continue
        key = client.pool.key[:SHARED]
        if key not in elsewhere:
            elsewhere[key] = pool_key(proxies, gate.proxy, key[0], key[1]) != key
        client.elsewhere = elsewhere[key]


def _requeue(target: Target, pool: Pool) -> None:
    """Take those of a queue's clients that have another pool over to its queue."""
    ticket = pool.head
    while ticket is not None:
        behind = ticket.behind
        client: Any = ticket.owner  # a Relay
        if client.elsewhere:
            target.change_pool(client)
            client.ticket = target.governor.requeue(ticket, client.pool)
        ticket = behind
