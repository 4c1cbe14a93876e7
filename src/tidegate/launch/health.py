"""How the databases behind proxies are: asked on a connection of their own, as the proxy's own login.

Owns when they are asked, and what an answer or its lack means in the RDS API's words. Refuses to take part in serving
clients: what is found here changes nothing for them.

A connection for each proxy is kept and asked a trifle every few seconds. So a database that hangs shows, not only one
that is gone, and a healthy one is not logged in to again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import psycopg

from tidegate.control.ports import DesiredProxy, DesiredTarget, Health, HealthReason, TargetHealth

EVERY = 5.0
"""Seconds between two questions."""
LIMIT = 5
"""Seconds that connecting, and an answer, may take."""

GOOD = TargetHealth(state=Health.AVAILABLE)
UNREACHABLE = HealthReason.UNREACHABLE
TELLING = {
    HealthReason.PENDING_PROXY_CAPACITY: ("too many clients", "too many connections", "connection slots"),
    HealthReason.AUTH_FAILURE: ("authentication failed", "no pg_hba.conf entry", "is not permitted to log in"),
    HealthReason.CONNECTION_FAILED: ("FATAL", "server closed the connection", "SSL"),
}
"""What is in an error's text, by what it means; the first that fits counts."""


class HealthChecks:
    """One task for each target; to be used in the event loop."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._targets: dict[str, DesiredTarget] = {}
        self._latest: dict[str, TargetHealth] = {}

    def watch(self, proxies: Mapping[str, DesiredProxy]) -> None:
        """From now on ask the targets of these proxies."""
        wanted = {name: proxy.target for name, proxy in proxies.items() if proxy.target is not None}
        for name in [name for name in self._targets if wanted.get(name) != self._targets[name]]:
            self._tasks.pop(name).cancel()
            del self._targets[name]
            self._latest.pop(name, None)
        for name, target in wanted.items():
            if name not in self._targets:
                self._targets[name] = target
                self._tasks[name] = asyncio.create_task(self._watch(name, target))

    def latest(self) -> dict[str, TargetHealth]:
        """What was found last, by a proxy's resource id; nothing of those that were not asked yet."""
        return dict(self._latest)

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _watch(self, name: str, target: DesiredTarget) -> None:
        connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(2 * LIMIT):
                        connection = connection or await _connect(target)
                        await connection.execute("SELECT 1")
                    self._latest[name] = GOOD
                except Exception as error:  # whatever it is, it is asked again
                    self._latest[name] = unhealthy(error)
                    await _close(connection)
                    connection = None
                await asyncio.sleep(EVERY)
        finally:
            await _close(connection)


async def _connect(target: DesiredTarget) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(
        host=target.host,
        port=target.port,
        user=target.user,
        password=target.password,
        dbname=target.database,
        sslmode="require" if target.require_tls else "prefer",
        connect_timeout=LIMIT,
        require_auth="scram-sha-256,md5,none",
        gssencmode="disable",
        application_name="tidegate health",
        autocommit=True,
    )


async def _close(connection: psycopg.AsyncConnection[tuple[object, ...]] | None) -> None:
    if connection is not None:
        with suppress(psycopg.Error, OSError):
            await connection.close()


def unhealthy(error: Exception) -> TargetHealth:
    """What a failed question means (RDS API Reference, "TargetHealth")."""
    text = " ".join(str(error).split())[:300] or "no answer came in time"
    return TargetHealth(state=Health.UNAVAILABLE, reason=_reason(text), description=text)


def _reason(text: str) -> HealthReason:
    """libpq gives no SQLSTATE for a login that fails: its text is all there is."""
    return next((reason for reason, phrases in TELLING.items() if any(one in text for one in phrases)), UNREACHABLE)
