"""Databases asked how they are: what each failure means in the RDS API's words, and when a question is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.unit.launch.test_settings import PROXY, TARGET
from tidegate.control.ports import DesiredTarget, Health, HealthReason, TargetHealth
from tidegate.launch import health
from tidegate.launch.health import EVERY, GOOD, HealthChecks, unhealthy

SAID = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SAID + "FATAL:  sorry, too many clients already", HealthReason.PENDING_PROXY_CAPACITY),
        (
            SAID + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            HealthReason.PENDING_PROXY_CAPACITY,
        ),
        (SAID + 'FATAL:  too many connections for role "app"', HealthReason.PENDING_PROXY_CAPACITY),
        (SAID + 'FATAL:  password authentication failed for user "app"', HealthReason.AUTH_FAILURE),
        (SAID + 'FATAL:  no pg_hba.conf entry for host "::1", user "a"', HealthReason.AUTH_FAILURE),
        (SAID + 'FATAL:  role "app" is not permitted to log in', HealthReason.AUTH_FAILURE),
        (SAID + 'FATAL:  database "shop" does not exist', HealthReason.CONNECTION_FAILED),
        (SAID + "FATAL:  the database system is starting up", HealthReason.CONNECTION_FAILED),
        ("server closed the connection unexpectedly", HealthReason.CONNECTION_FAILED),
        (SAID + "server does not support SSL, but SSL was required", HealthReason.CONNECTION_FAILED),
        (
            SAID + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            HealthReason.UNREACHABLE,
        ),
        ("connection timeout expired", HealthReason.UNREACHABLE),
        ("[Errno -2] Name or service not known", HealthReason.UNREACHABLE),
    ],
)
def test_what_an_error_means(text: str, reason: HealthReason) -> None:
    found = unhealthy(psycopg.OperationalError(text))
    assert (found.state, found.reason) == (Health.UNAVAILABLE, reason)
    assert found.description == " ".join(text.split())


def test_no_answer() -> None:
    found = unhealthy(TimeoutError())
    assert (found.reason, found.description) == (HealthReason.UNREACHABLE, "no answer came in time")


def test_a_long_text_is_cut() -> None:
    assert len(unhealthy(OSError("x" * 5000)).description) == 300


class Database:
    """What is asked: `outcome` raises or lets in, `hangs` never answers. Each round waits for the test."""

    def __init__(self) -> None:
        self.outcome: Exception | None = None
        self.hangs = False
        self.logins: list[DesiredTarget] = []
        self.questions = 0
        self.open = 0
        self.rounds: asyncio.Queue[float] = asyncio.Queue()
        self.more: asyncio.Semaphore = asyncio.Semaphore(0)

    async def connect(self, target: DesiredTarget) -> Database:
        self.logins.append(target)
        if self.outcome is not None:
            raise self.outcome
        self.open += 1
        return self

    async def execute(self, statement: str) -> None:
        self.questions += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.outcome is not None:
            raise self.outcome

    async def close(self) -> None:
        self.open -= 1
        if self.outcome is not None:
            raise self.outcome  # it is gone: closing may fail, too

    async def sleep(self, seconds: float) -> None:
        """Between two rounds."""
        self.rounds.put_nowait(seconds)
        await self.more.acquire()

    async def asked(self) -> None:
        """One round is over."""
        assert await self.rounds.get() == EVERY

    async def ask_again(self) -> None:
        self.more.release()
        await self.asked()


def play(monkeypatch: pytest.MonkeyPatch, test: Callable[[Database, HealthChecks], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        database, checks = Database(), HealthChecks()

        class Asyncio:
            """The module, but for the pause between two rounds."""

            sleep = staticmethod(database.sleep)

            def __getattr__(self, name: str) -> Any:
                return getattr(asyncio, name)

        monkeypatch.setattr(health, "_connect", database.connect)
        monkeypatch.setattr(health, "asyncio", Asyncio())
        try:
            await asyncio.wait_for(test(database, checks), 20)
        finally:
            await checks.stop()
        assert database.open == 0, "connections are left"

    asyncio.run(whole())


def unavailable(checks: HealthChecks) -> HealthReason | None:
    (found,) = checks.latest().values()
    assert found.state is Health.UNAVAILABLE
    return found.reason


def test_one_connection_is_asked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, checks: HealthChecks) -> None:
        checks.watch({"prx-1": PROXY})
        assert checks.latest() == {}, "nothing is said before it was asked"
        await database.asked()
        assert checks.latest() == {"prx-1": GOOD}
        for _ in range(3):
            await database.ask_again()
        assert database.logins == [TARGET]
        assert database.questions == 4

    play(monkeypatch, test)


def test_an_end_and_a_return(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, checks: HealthChecks) -> None:
        checks.watch({"prx-1": PROXY})
        await database.asked()
        database.outcome = psycopg.OperationalError("server closed the connection unexpectedly")
        await database.ask_again()
        assert unavailable(checks) is HealthReason.CONNECTION_FAILED
        database.outcome = psycopg.OperationalError("Connection refused")
        await database.ask_again()
        assert unavailable(checks) is HealthReason.UNREACHABLE
        database.outcome = None
        await database.ask_again()
        assert checks.latest() == {"prx-1": GOOD}
        assert database.open == 1

    play(monkeypatch, test)


def test_one_that_hangs_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only one that is gone."""
    monkeypatch.setattr(health, "LIMIT", 0.01)

    async def test(database: Database, checks: HealthChecks) -> None:
        database.hangs = True
        checks.watch({"prx-1": PROXY})
        await database.asked()
        assert checks.latest() == {
            "prx-1": TargetHealth(
                state=Health.UNAVAILABLE, reason=HealthReason.UNREACHABLE, description="no answer came in time"
            )
        }
        assert database.open == 0

    play(monkeypatch, test)


def test_only_what_has_changed_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, checks: HealthChecks) -> None:
        checks.watch({"prx-1": PROXY})
        await database.asked()
        checks.watch({"prx-1": replace(PROXY, name="renamed", require_tls=False)})
        assert checks.latest() == {"prx-1": GOOD}
        assert len(database.logins) == 1
        other = replace(TARGET, password="new")
        checks.watch({"prx-1": replace(PROXY, target=other)})
        assert checks.latest() == {}, "what was found at the target before says nothing of this one"
        await database.asked()
        assert database.logins == [TARGET, other]
        assert database.open == 1

    play(monkeypatch, test)


def test_whom_nobody_asks_for_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, checks: HealthChecks) -> None:
        checks.watch({"prx-1": PROXY, "prx-2": replace(PROXY, target=None)})
        await database.asked()
        assert list(checks.latest()) == ["prx-1"]
        checks.watch({"prx-2": replace(PROXY, target=None)})
        assert checks.latest() == {}
        while database.open:
            await asyncio.sleep(0)

    play(monkeypatch, test)


def test_each_proxy_has_a_state_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database, checks: HealthChecks) -> None:
        checks.watch({"prx-1": PROXY, "prx-2": PROXY})
        await database.asked()
        await database.asked()
        found = checks.latest()
        assert found == {"prx-1": GOOD, "prx-2": GOOD}
        found.clear()
        assert len(checks.latest()) == 2

    play(monkeypatch, test)
