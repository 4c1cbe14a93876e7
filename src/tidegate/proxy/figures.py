"""A worker's own numbers.

Owns their collection. Refuses to add them up over workers (`merged`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.proxy.worker import Worker


def collect(worker: Worker) -> dict[str, Any]:
    """Name -> number, and `pools`: one object a pool that has servers or waiting clients."""
    stats: dict[str, Any] = dict(worker.counters.as_dict())
    clients = [client for gate in worker.gates.values() for client in gate.clients]
    stats["clients"] = len(clients)
    stats["clients_pinned"] = sum(client.pin is not None for client in clients)
    stats["prepared_statements"] = len(worker.context.statements)
    for reason, count in worker.closed_by_reason.items():
        stats[f"clients_closed_{reason}"] = count
    for reason, count in worker.servers_closed_by_reason.items():
        stats[f"servers_closed_{reason}"] = count
    pools = []
    for target in worker.targets:
        for name, number in target.stats().items():
            stats[f"servers_{name}"] = stats.get(f"servers_{name}", 0) + number
        pools += target.pool_stats()
    # The limit is one for all workers, so it must not be summed.
    stats["servers_limit_max"] = stats.pop("servers_limit", 0)
    stats["pools"] = pools
    return stats
