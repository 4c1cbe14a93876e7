"""The commands of the control socket (docs/operations.md).

Owns what each answers. Refuses the socket (`admin`), and to do what is the supervisor's: it is given as callables.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tidegate.errors import ConfigError
from tidegate.proxy.admin import Answer
from tidegate.proxy.control import Stats, StatsReply, StopMode
from tidegate.proxy.crew import Crew
from tidegate.proxy.logs import LOG
from tidegate.proxy.merged import merge
from tidegate.proxy.shared import Shared
from tidegate.proxy.totals import Totals

STATS_LIMIT = 5.0
"""Seconds that workers have to answer."""

COMMANDS = ("ping", "pins", "reload", "stats", "stop")

Command = Callable[[Mapping[str, Any]], Awaitable[Answer]]


class Commands:
    """Those of one supervisor."""

    def __init__(
        self,
        crew: Crew,
        shared: Shared,
        totals: Totals,
        *,
        reload: Callable[[], Awaitable[str]],
        stop: Callable[[StopMode], None],
        clock: Callable[[], float],
    ) -> None:
        """clock: seconds of the loop; the supervisor has just started."""
        self._crew = crew
        self._shared = shared
        self._totals = totals
        self._reload_settings = reload
        self._stop_now = stop
        self._clock = clock
        self._started_at = clock()

    def table(self) -> dict[str, Command]:
        """Name -> what answers it."""
        return {name: getattr(self, f"_{name}") for name in COMMANDS}

    async def _ping(self, _: Mapping[str, Any]) -> Answer:
        return {"message": "pong", "pid": os.getpid(), "ready": self._crew.all_ready.is_set()}

    async def _reload(self, _: Mapping[str, Any]) -> Answer:
        try:
            return {"message": await self._reload_settings()}
        except ConfigError as error:
            LOG.error("reload: %s", error)
            raise

    async def _stats(self, _: Mapping[str, Any]) -> Answer:
        """{"workers": [a worker's statistics, its number and pid, ...], sums, budgets, proxies, supervisor}.

        The sums are over all workers, the ended ones (whose part is "former_workers") and silent ones included.
        """
        pids = {child.worker: child.pid for child in self._crew.ready()}
        replies = await self._crew.ask(lambda _, number: Stats(round=number), STATS_LIMIT)
        stats = {worker: one.stats for worker, one in sorted(replies.items()) if isinstance(one, StatsReply)}
        return {
            **merge([*stats.values(), *self._totals.silent(stats), self._totals.former]),
            "workers": [{**one, "worker": worker, "pid": pids[worker]} for worker, one in stats.items()],
            "former_workers": self._totals.former,
            "budgets": self._shared.budgets(),
            "proxies": {name: {"clients": count} for name, count in self._shared.clients().items()},
            "supervisor": {
                "pid": os.getpid(),
                "uptime_seconds": round(self._clock() - self._started_at, 3),
                "worker_restarts": self._crew.restarts,
            },
        }

    async def _pins(self, _: Mapping[str, Any]) -> Answer:
        """{"sessions": [a pinned session and its worker, ...]}; see `pinned`."""
        replies = await self._crew.ask(lambda _, number: Stats(round=number, pinned=True), STATS_LIMIT)
        return {
            "sessions": [
                {"worker": worker, **row}
                for worker, one in sorted(replies.items())
                if isinstance(one, StatsReply)
                for row in one.stats["pinned"]
            ]
        }

    async def _stop(self, request: Mapping[str, Any]) -> Answer:
        """{"command": "stop", "mode": "graceful" | "immediate"}; as SIGTERM, or as a second one."""
        mode = request.get("mode", StopMode.GRACEFUL.value)
        if mode not in list(StopMode):
            raise ConfigError(f'mode must be "graceful" or "immediate", not {mode!r:.60}')
        self._stop_now(StopMode(mode))
        return {"message": "stopping"}
