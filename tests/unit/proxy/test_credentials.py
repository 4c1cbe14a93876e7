"""The supervisor's credentials: when they are read, what a failure leaves, and what workers are given."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tidegate.auth.rds_token import SigningKeys
from tidegate.config.model import Config, ProxyConfig, TargetConfig, UserConfig
from tidegate.errors import ConfigError
from tidegate.proxy import credentials
from tidegate.proxy.credentials import (
    KEYS_REFRESH,
    LOAD_LIMIT,
    REFRESH,
    CredentialError,
    Credentials,
    NoVerifier,
    sources_of,
)
from tidegate.proxy.database_logins import IAM

ONE = "arn:aws:secretsmanager:us-east-1:123456789012:secret:one-a1b2c3"
TWO = "arn:aws:secretsmanager:us-east-1:123456789012:secret:two-a1b2c3"
CANARY = "5up3rs3cr3t"
KEYS = SigningKeys(region="us-east-1", access_key="AKIA1", secret_key=CANARY, session_token="")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, the clock goes on to the next timer: minutes pass without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        really = selector.select

        def select(timeout: float | None) -> Any:
            assert timeout is not None, "nothing will ever happen"
            self.now += timeout
            return really(0)

        selector.select = select

    def time(self) -> float:
        return self.now


class Source:
    """Secrets by ARN; an Exception in the place of one is raised. Its answer, as it was, may wait for an event."""

    def __init__(self) -> None:
        self.secrets: dict[str, tuple[str, tuple[str, ...]] | Exception] = {}
        self.signing: SigningKeys | Exception = KEYS
        self.signing_at: dict[str, SigningKeys | Exception] = {}
        """In place of `signing`, for some targets."""
        self.waits: dict[str, asyncio.Event] = {}
        self.read: list[str] = []

    async def secret(self, arn: str) -> tuple[str, tuple[str, ...]]:
        self.read.append(arn)
        found = self.secrets.get(arn, CredentialError(f"secret {arn}: there is none"))
        if arn in self.waits:
            await self.waits[arn].wait()
        if isinstance(found, Exception):
            raise found
        return found

    async def keys(self, target: str) -> SigningKeys:
        self.read.append(IAM)
        if target in self.waits:
            await self.waits[target].wait()
        found = self.signing_at.get(target, self.signing)
        if isinstance(found, Exception):
            raise found
        return found


class World:
    """Credentials with a source of the test's, and what was told of changes."""

    def __init__(self) -> None:
        self.source = Source()
        self.credentials = Credentials(self.source, NoVerifier())
        self.changes: list[float] = []
        self.refuse: Exception | None = None

    async def changed(self) -> None:
        self.changes.append(asyncio.get_running_loop().time())
        if self.refuse is not None:
            raise self.refuse

    def begin(self) -> float:
        """Keep fresh from now on; the time."""
        self.credentials.keep_fresh(self.changed)
        return asyncio.get_running_loop().time()

    def passwords(self, config: Config) -> dict[str, tuple[str | None, tuple[str, ...]]]:
        return {user.name: (user.password, user.other_passwords) for user in self.credentials.filled_in(config).users}


def config(*users: UserConfig, target: TargetConfig | None = None) -> Config:
    return Config(
        proxies=(ProxyConfig(name="main", listen=("127.0.0.1:0",), target="main"),),
        targets=(target or TargetConfig(name="main", host="db.example", user="postgres"),),
        users=users,
    )


APP = UserConfig(name="app", secret_arn=ONE)
OTHER = UserConfig(name="other", secret_arn=TWO)
SIGNED = config(UserConfig(name="app", database_iam=True))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.credentials.close()


def play(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


async def pass_time(seconds: float) -> None:
    """Of the virtual clock."""
    await asyncio.sleep(seconds)


def test_sources() -> None:
    assert sources_of(config()) == set()
    assert sources_of(config(APP, OTHER, UserConfig(name="third", secret_arn=ONE))) == {ONE, TWO}
    own = TargetConfig(name="main", host="db", user="postgres", secret_arn=TWO)
    assert sources_of(config(target=own)) == {TWO}
    assert sources_of(config(target=TargetConfig(name="main", host="db", user="u", database_iam=True))) == {IAM}
    assert sources_of(SIGNED) == {IAM}


def test_secrets_fill_in_users_and_targets(world: World) -> None:
    own = TargetConfig(name="main", host="db", user="postgres", secret_arn=TWO)
    settings = config(APP, UserConfig(name="listed", password="own"), target=own)
    world.source.secrets = {ONE: ("app", ("now", "before")), TWO: ("postgres", ("root",))}

    async def test() -> None:
        await world.credentials.take(settings)
        assert world.passwords(settings) == {"app": ("now", ("before",)), "listed": ("own", ())}
        assert world.credentials.filled_in(settings).targets[0].password == "root"
        assert settings.users[0].password == APP.password, "the settings themselves must stay without them"
        assert world.credentials.keys(settings) == {}

    play(test())


def test_nothing_is_asked_where_nothing_is_named(world: World) -> None:
    settings = config(UserConfig(name="app", password="own"))

    async def test() -> None:
        await world.credentials.take(settings)
        assert world.source.read == []
        assert world.credentials.filled_in(settings) is settings
        assert not await world.credentials.look(ONE)

    play(test())


def test_one_that_fails_leaves_others_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(APP, OTHER)
    world.source.secrets = {ONE: CredentialError("secret one: AccessDenied"), TWO: ("other", ("good",))}

    async def test() -> None:
        await world.credentials.take(settings)
        assert world.passwords(settings) == {"app": (APP.password, ()), "other": ("good", ())}

    play(test())
    assert "credentials stay as they are: secret one: AccessDenied" in caplog.text


def test_a_secret_of_another_user_is_not_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(APP)
    world.source.secrets = {ONE: ("somebody", (CANARY,))}

    async def test() -> None:
        await world.credentials.take(settings)
        assert world.passwords(settings) == {"app": (APP.password, ())}

    play(test())
    assert f"secret {ONE} is user somebody's, not app's; it is not used" in caplog.text
    assert CANARY not in caplog.text


def test_a_secret_of_everybody_is_not_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever writes a secret could else let in all users, with one password."""
    settings = config(replace(APP, name="*"))
    world.source.secrets = {ONE: ("*", (CANARY,))}

    async def test() -> None:
        await world.credentials.take(settings)
        assert world.passwords(settings) == {"*": (APP.password, ())}

    play(test())
    assert f'secret {ONE} has the username "*", which would stand for every user; it is not used' in caplog.text


def test_a_reload_reads_only_what_is_not_known(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",)), TWO: ("other", ("b",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        await world.credentials.take(config(APP, OTHER))
        assert world.source.read == [ONE, TWO]
        assert world.passwords(config(APP, OTHER)) == {"app": ("a", ()), "other": ("b", ())}

    play(test())


def test_what_is_named_no_more_is_forgotten(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        await world.credentials.take(config())
        assert world.passwords(config(APP)) == {"app": (APP.password, ())}
        assert not await world.credentials.look(ONE)
        assert world.source.read == [ONE]

    play(test())


def test_a_look_says_whether_it_has_changed(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        assert not await world.credentials.look(ONE)
        world.source.secrets[ONE] = "app", ("b", "a")
        assert await world.credentials.look(ONE)
        assert not await world.credentials.look(ONE)
        world.source.secrets[ONE] = CredentialError("gone")
        assert not await world.credentials.look(ONE)
        assert world.passwords(config(APP)) == {"app": ("b", ("a",))}, "what it said last stays in use"

    play(test())


def test_one_read_answers_all_who_asked_before_it(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        world.source.secrets[ONE] = "app", ("b",)
        gate = world.source.waits[ONE] = asyncio.Event()
        asking = [asyncio.create_task(world.credentials.look(ONE)) for _ in range(5)]
        await pass_time(1)
        asking[0].cancel()  # who goes away takes the others' read not along
        gate.set()
        assert await asyncio.gather(*asking[1:]) == [True] * 4
        assert world.source.read == [ONE] * 2
        assert not await world.credentials.look(ONE)
        assert world.source.read == [ONE] * 3

    play(test())


def test_who_asks_during_a_read_has_the_next_one(world: World) -> None:
    """What the first has met may be of before the refusal that the second asks for."""
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        gate = world.source.waits[ONE] = asyncio.Event()
        first = asyncio.create_task(world.credentials.look(ONE))
        await pass_time(1)
        later = [asyncio.create_task(world.credentials.look(ONE)) for _ in range(5)]
        await pass_time(1)
        assert world.source.read == [ONE] * 2
        world.source.secrets[ONE] = "app", ("b",)
        gate.set()
        assert not await first
        assert await asyncio.gather(*later) == [True] * 5
        assert world.source.read == [ONE] * 3

    play(test())


def test_secrets_are_read_every_five_minutes(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",)), TWO: ("other", ("b",))}

    async def test() -> None:
        await world.credentials.take(config(APP, OTHER))
        world.begin()
        world.source.read.clear()
        await pass_time(REFRESH - 1)
        assert world.source.read == []
        await pass_time(2)
        assert sorted(world.source.read) == [ONE, TWO]
        assert world.changes == []
        world.source.secrets[TWO] = "other", ("c", "b")
        await pass_time(REFRESH + 1)
        assert len(world.changes) == 1
        assert world.passwords(config(APP, OTHER)) == {"app": ("a", ()), "other": ("c", ("b",))}
        await pass_time(3 * REFRESH)
        assert len(world.changes) == 1

    play(test())


def test_keys_are_read_every_minute(world: World) -> None:
    async def test() -> None:
        await world.credentials.take(SIGNED)
        assert world.credentials.keys(SIGNED) == {"main": KEYS}
        begun = world.begin()
        fresh = SigningKeys(region="us-east-1", access_key="ASIA2", secret_key="x", session_token="y")
        world.source.signing = fresh
        await pass_time(KEYS_REFRESH + 1)
        assert world.changes == [begun + KEYS_REFRESH]
        assert world.credentials.keys(SIGNED) == {"main": fresh}
        world.source.signing = CredentialError("no AWS credentials are to be found")
        await pass_time(KEYS_REFRESH)
        assert world.credentials.keys(SIGNED) == {"main": fresh}
        assert len(world.changes) == 1

    play(test())


def test_a_slow_secret_holds_a_start_up_for_a_time_and_is_used_when_it_comes(world: World) -> None:
    """Nothing else would have workers told of it: at the next look it is nothing new any more."""
    settings = config(APP, OTHER)
    world.source.secrets = {ONE: ("app", ("late",)), TWO: ("other", ("b",))}

    async def test() -> None:
        gate = world.source.waits[ONE] = asyncio.Event()
        before = asyncio.get_running_loop().time()
        await world.credentials.take(settings)
        assert asyncio.get_running_loop().time() - before == LOAD_LIMIT
        assert world.passwords(settings) == {"app": (APP.password, ()), "other": ("b", ())}
        world.begin()
        await pass_time(5)
        gate.set()
        await pass_time(1)
        assert world.passwords(settings) == {"app": ("late", ()), "other": ("b", ())}
        assert len(world.changes) == 1
        await pass_time(2 * REFRESH)
        assert len(world.changes) == 1

    play(test())


def test_a_slow_secret_that_comes_before_anything_is_kept_fresh(world: World) -> None:
    """Between the end of the wait and the workers' readiness."""
    world.source.secrets = {ONE: ("app", ("late",))}

    async def test() -> None:
        gate = world.source.waits[ONE] = asyncio.Event()
        await world.credentials.take(config(APP))
        gate.set()
        await pass_time(1)
        world.begin()
        await pass_time(1)
        assert len(world.changes) == 1

    play(test())


@pytest.mark.parametrize("error", [RuntimeError(CANARY), KeyError(CANARY), RecursionError()])
def test_an_unforeseen_error_ends_nothing(world: World, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    """Others are read on; and what the error says is not told, for nobody knows what is in it."""
    world.source.secrets = {ONE: error, TWO: ("other", ("b",))}
    world.source.signing = error
    settings = config(APP, OTHER, UserConfig(name="third", database_iam=True))

    async def test() -> None:
        await world.credentials.take(settings)
        assert not await world.credentials.look(ONE)
        world.begin()
        await pass_time(REFRESH + 1)
        world.source.secrets[TWO] = "other", ("c",)
        await pass_time(REFRESH + 1)
        assert world.passwords(settings)["other"] == ("c", ())

    play(test())
    assert type(error).__name__ in caplog.text
    assert CANARY not in caplog.text


def test_settings_that_workers_refuse_end_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        world.begin()
        world.refuse = ConfigError("worker 0 could not use it")
        for password in ("b", "c"):
            world.source.secrets[ONE] = "app", (password,)
            await pass_time(REFRESH + 1)
        assert len(world.changes) == 2

    play(test())
    assert "new credentials: worker 0 could not use it" in caplog.text


def test_closed_it_reads_nothing_more(world: World) -> None:
    world.source.secrets = {ONE: ("app", ("a",))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        world.begin()
        world.credentials.close()
        await pass_time(3 * REFRESH)
        assert world.source.read == [ONE]

    play(test())


class Verifier:
    """Takes one token."""

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        if token == "raise":
            raise ValueError(proxy)
        return "" if (proxy, user, token, source) == ("main", "app", "good", "127.0.0.1:5") else "not that one"


def test_verdicts(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        known = Credentials(verifier=Verifier())
        assert await known.verify("main", "app", "good", "127.0.0.1:5") == ""
        assert await known.verify("main", "app", "bad", "127.0.0.1:5") == "not that one"
        assert await known.verify("main", "app", "raise", "127.0.0.1:5") == "internal error: ValueError"
        assert await Credentials().verify("main", "app", "good", "") == "proxy main verifies no IAM tokens"

    with caplog.at_level(logging.ERROR):
        play(test())
    assert "an IAM token could not be judged" in caplog.text


def test_a_given_verifier_stays_through_reloads(world: World) -> None:
    async def test() -> None:
        known = Credentials(verifier=Verifier())
        await known.take(config(APP))
        assert await known.verify("main", "app", "good", "127.0.0.1:5") == ""
        assert known.filled_in(config(APP)) == config(APP)

    play(test())


def test_aws_is_asked_only_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever names it without the extra is told what to install."""
    really = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "tidegate.proxy.aws":
            raise ImportError("No module named 'botocore'", name="botocore")
        return really(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    by_sts = ProxyConfig(name="main", listen=("127.0.0.1:0",), target="main", iam_server_id="here")

    async def test() -> None:
        await Credentials().take(config(UserConfig(name="app", password="own")))
        for settings in (config(APP), SIGNED, Config(proxies=(by_sts,), targets=config().targets)):
            with pytest.raises(ConfigError, match=r'botocore is missing: pip install "tidegate\[aws\]"'):
                await Credentials().take(settings)

    asyncio.run(test())


def test_the_limits_are_as_documented() -> None:
    """docs/configuration.md: every five minutes. A start must not outlast what service managers wait for (90 s)."""
    assert (REFRESH, credentials.LOAD_LIMIT <= 30) == (300, True)


def test_what_a_secret_holds_is_plain(world: World) -> None:
    """Never a verifier, whatever it looks like: nobody puts one into a secret."""
    world.source.secrets = {ONE: ("app", ("SCRAM-SHA-256$x", "old"))}

    async def test() -> None:
        await world.credentials.take(config(APP))
        (user,) = world.credentials.filled_in(config(APP)).users
        assert (user.password, user.other_passwords, user.plain_passwords) == ("SCRAM-SHA-256$x", ("old",), True)

    play(test())
