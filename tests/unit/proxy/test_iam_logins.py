"""Clients that wait for the verdict on their token: who is told, once, and what becomes of late or lost answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tidegate.auth.providers.sts import TIMEOUT
from tidegate.engine.loop import Loop
from tidegate.proxy.control import TokenVerdict, VerifyToken
from tidegate.proxy.iam_logins import PATIENCE, IamLogins, iam_refused, no_credentials
from tidegate.proxy.login import ClientLogin

CANARY = "5up3rs3cr3t"


class Login:
    """As much of a login and its client as is used. One that has left is resumed no more."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.client = self
        self.judged: list[bool] = []
        self.left = False

    def resume_login(self, step: Callable[[], None]) -> None:
        if not self.left:
            step()

    def token_judged(self, good: bool) -> None:
        self.judged.append(good)


class World:
    """A worker with a clock of the test's, and its supervisor."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.told: list[Any] = []
        self.log: list[tuple[str, str]] = []
        self.logins = IamLogins(cast(Loop, self), self.told.append, lambda user, why: self.log.append((user, why)))

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """Part of Loop."""
        self.timers.append((delay, callback))

    def run_out(self) -> None:
        """All patience is at its end."""
        while self.timers:
            self.timers.pop(0)[1]()

    def ask(self, user: str = "app", token: str = CANARY) -> Login:
        login = Login(user)
        self.logins.verify(cast(ClientLogin, login), "main", token, "127.0.0.1:5")
        return login

    def answer(self, serial: int, refusal: str = "") -> None:
        self.logins.told(TokenVerdict(serial=serial, refusal=refusal))


def test_the_supervisor_is_asked() -> None:
    world = World()
    login = world.ask()
    assert world.told == [VerifyToken(serial=1, proxy="main", user="app", token=CANARY, source="127.0.0.1:5")]
    assert CANARY not in repr(world.told)
    assert login.judged == []


def test_each_gets_its_own_verdict_in_whatever_order() -> None:
    world = World()
    logins = [world.ask(user) for user in ("a", "b", "c")]
    serials = [question.serial for question in world.told]
    world.answer(serials[2])
    world.answer(serials[0], "the token has expired")
    assert [login.judged for login in logins] == [[False], [], [True]]
    assert world.log == [("a", "the token has expired")]
    world.answer(serials[1])
    assert logins[1].judged == [True]


def test_a_verdict_counts_once() -> None:
    world = World()
    login = world.ask()
    world.answer(1, "no")
    world.answer(1)
    world.run_out()
    assert login.judged == [False]
    assert world.log == [("app", "no")]


def test_no_verdict_is_a_refusal_in_time() -> None:
    world = World()
    login = world.ask()
    assert [delay for delay, _ in world.timers] == [PATIENCE]
    world.run_out()
    assert login.judged == [False]
    assert world.log == [("app", "no verdict came in time")]
    world.answer(1)
    assert login.judged == [False]


def test_patience_outlasts_sts() -> None:
    assert TIMEOUT < PATIENCE


def test_verdicts_nobody_waits_for() -> None:
    """Of a worker before this one, say."""
    world = World()
    world.answer(7)
    login = world.ask()
    login.left = True
    world.answer(1, "no")
    assert login.judged == []


def test_what_clients_are_told_says_nothing_of_the_reason() -> None:
    """The reference's words (RDS User Guide, "Troubleshooting for RDS Proxy")."""
    refused, missing = iam_refused("app"), no_credentials("app")
    assert (refused.sqlstate, refused.severity, missing.sqlstate, missing.severity) == (
        "28P01",
        "FATAL",
        "28000",
        "FATAL",
    )
    assert refused.message == (
        'IAM authentication failed for the role "app"; check the IAM token for this role and try again'
    )
    assert missing.message == (
        'this proxy has no credentials for the role "app"; check the credentials for this role and try again'
    )
