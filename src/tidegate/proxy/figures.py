"""A worker's own numbers.

Owns their collection and their names, which docs/operations.md explains. Refuses to add them up over workers.

Names are the same in every answer, 0 included, but for those that end in a reason (`tidegate.errors.CloseReason`,
`tidegate.session.pins.PinReason`): these are there from the first time on.

    pins, pins_REASON                    sessions that were bound to a server, since the start
    unpins, unpins_REASON                those that got free again, since what bound them was gone
    clients_pinned, ..._REASON           those that are now
    clients_closed_REASON                sessions that ended
    servers_closed, ..._REASON           server connections that ended
    notifications, notifications_sent    heard by the shared listeners, and told to clients
    listeners_opened, listeners_lost     connections that listen for clients
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.proxy.worker import Worker

COUNTED_BY_THE_PROXY = frozenset(
    ("opened", "closed", "open_failures", "queued", "wait_microseconds", "overdue", "waiting", "limit")
)
"""What the pool counts as well, for its simulation; once is enough here."""

POOL_TOTALS = frozenset(("borrowed_at_once", "served_from_queue", "abandoned", "failed_clients", "made_room"))
"""What the pool counts from the start on; its other numbers say how things stand."""


def totals(worker: Worker) -> dict[str, int | float]:
    """Name -> number, those that never fall: they are kept when the worker ends (see `totals.Totals`)."""
    found: dict[str, int | float] = dict(worker.counters.as_dict())
    found["credentials_refused"] = worker.database_logins.refusals
    _add_reasons(found, "pins", worker.pins_by_reason)
    _add_reasons(found, "unpins", worker.unpins_by_reason)
    _add_reasons(found, "clients_closed", worker.closed_by_reason)
    _add_reasons(found, "servers_closed", worker.servers_closed_by_reason)
    counted = [worker.targets.past, *(target.stats() for target in worker.targets)]
    for name in POOL_TOTALS:
        found[f"servers_{name}"] = sum(one[name] for one in counted)
    return found


def collect(worker: Worker) -> dict[str, Any]:
    """Name -> number, and `pools`: one object a pool that has servers or waiting clients."""
    stats: dict[str, Any] = totals(worker)
    clients = [client for gate in worker.gates.values() for client in gate.clients]
    pinned = Counter(client.pin for client in clients if client.pin is not None)
    stats["clients"] = len(clients)
    stats["clients_pinned"] = pinned.total()
    stats["prepared_statements"] = len(worker.context.statements)
    _add_reasons(stats, "clients_pinned", pinned)
    _add_targets(stats, worker)
    return stats


def _add_reasons(stats: dict[str, Any], name: str, counts: Mapping[Any, int]) -> None:
    """`servers_closed` and the reason `server_idle` make `servers_closed_idle`."""
    side = name.partition("s_")[0] + "_"
    for reason, count in counts.items():
        stats[f"{name}_{str(reason).removeprefix(side)}"] = count


def _add_targets(stats: dict[str, Any], worker: Worker) -> None:
    pools = []
    waiting = 0
    oldest = 0.0
    for target in worker.targets:
        numbers = target.stats()
        waiting += numbers["waiting"]
        oldest = max(oldest, target.oldest_wait())
        for name, number in numbers.items():
            if name not in COUNTED_BY_THE_PROXY | POOL_TOTALS:
                stats[f"servers_{name}"] = stats.get(f"servers_{name}", 0) + number
        pools += target.pool_stats()
    stats["clients_waiting"] = waiting
    stats["oldest_wait_seconds_max"] = round(oldest, 6)
    # The limit is one for all workers, so it must not be summed over them.
    stats["servers_limit_max"] = sum(worker.targets[one.name].stats()["limit"] for one in worker.config.targets)
    stats["pools"] = pools
