"""The supervisor's keys that sign tokens: each target's own, read with all new settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.proxy.test_credentials import KEYS, SIGNED, World, pass_time, play
from tidegate.config.model import Config, ProxyConfig, TargetConfig, UserConfig
from tidegate.proxy.credentials import CredentialError, signing_targets
from tidegate.proxy.database_logins import IAM


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.credentials.close()


def two_targets(*users: UserConfig) -> Config:
    return Config(
        proxies=tuple(ProxyConfig(name=f"by-{name}", listen=("127.0.0.1:0",), target=name) for name in ("one", "two")),
        targets=tuple(TargetConfig(name=name, host="db.example", user="postgres") for name in ("one", "two")),
        users=users,
    )


def test_each_target_has_keys_of_its_own(world: World, caplog: pytest.LogCaptureFixture) -> None:
    anybody = two_targets(UserConfig(name="app", database_iam=True))
    other = replace(KEYS, access_key="AKIA2")
    world.source.signing_at = {"two": other}

    async def test() -> None:
        await world.credentials.take(anybody)
        assert world.credentials.keys(anybody) == {"one": KEYS, "two": other}
        world.source.signing_at = {"one": CredentialError("no such role"), "two": KEYS}
        assert await world.credentials.look(IAM)
        assert world.credentials.keys(anybody) == {"one": KEYS, "two": KEYS}, "what was known last stays in use"

    play(test())
    assert "credentials stay as they are: no such role" in caplog.text


def test_only_targets_with_tokens_are_asked_for(world: World) -> None:
    own = replace(two_targets().targets[0], database_iam=True)
    assert signing_targets(two_targets()) == set()
    assert signing_targets(two_targets(UserConfig(name="app", database_iam=True, via=("by-two",)))) == {"two"}
    assert signing_targets(replace(two_targets(), targets=(own, two_targets().targets[1]))) == {"one"}

    async def test() -> None:
        await world.credentials.take(two_targets(UserConfig(name="app", database_iam=True)))
        later = two_targets(UserConfig(name="app", database_iam=True, via=("by-two",)))
        world.source.read.clear()
        await world.credentials.take(later)
        assert world.source.read == [IAM]
        assert world.credentials.keys(later) == {"two": KEYS}
        await world.credentials.take(two_targets())
        assert world.credentials.keys(two_targets()) == {}

    play(test())


def test_new_settings_have_the_keys_of_now(world: World) -> None:
    """They may come with them: who renews keys gives the same settings once more."""

    async def test() -> None:
        await world.credentials.take(SIGNED)
        version = world.credentials.version
        world.source.signing = replace(KEYS, access_key="ASIA2")
        await world.credentials.take(SIGNED)
        assert world.credentials.keys(SIGNED) == {"main": world.source.signing}
        assert world.credentials.version == version + 1

    play(test())


def test_a_target_that_comes_while_others_are_asked_for(world: World) -> None:
    async def test() -> None:
        first = two_targets(UserConfig(name="app", database_iam=True, via=("by-one",)))
        both = two_targets(UserConfig(name="app", database_iam=True))
        gate = world.source.waits["one"] = asyncio.Event()
        taking = asyncio.create_task(world.credentials.take(first))
        await pass_time(1)
        again = asyncio.create_task(world.credentials.take(both))
        await pass_time(1)
        gate.set()
        await asyncio.gather(taking, again)
        assert world.credentials.keys(both) == {"one": KEYS, "two": KEYS}

    play(test())
