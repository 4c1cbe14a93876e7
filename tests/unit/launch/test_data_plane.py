"""A desired state on a supervisor that refuses some of it: what runs then, and whose failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.launch.test_settings import BASE, KEYS, PROXY
from tidegate.config.model import Config
from tidegate.control.ports import Desired, DesiredProxy, Failure, FailureKind, Health, TargetHealth
from tidegate.errors import ConfigError
from tidegate.launch.certificates import LocalCertificates
from tidegate.launch.data_plane import SupervisedProxy
from tidegate.launch.health import HealthChecks
from tidegate.launch.role_keys import RoleKeys
from tidegate.launch.settings import endpoint_of


class World:
    """A supervisor that takes everything but what the test says, and health checks that only note whom they watch."""

    def __init__(self, folder: Path) -> None:
        self.bad: dict[str, str] = {}
        self.running: Config = BASE
        self.watched: set[str] = set()
        self.certificates = LocalCertificates(folder)
        self.keys = RoleKeys()
        self.signing: dict[str, str] = {}
        """Access keys that the running proxies' tokens are signed with."""
        self.plane = SupervisedProxy(BASE, self.certificates, self.use, cast(HealthChecks, self), self.keys)

    async def use(self, config: Config) -> None:
        """ConfigError, and nothing has changed, if a proxy is bad with these settings."""
        problems = [
            self.bad[proxy.target]
            for proxy in config.proxies
            if proxy.target in self.bad and proxy.init_query != "mended"
        ]
        if problems:
            raise ConfigError("\n".join(dict.fromkeys(problems)))
        self.running = config
        signing = [endpoint_of(user.via[0])[0] for user in config.users if user.database_iam]
        self.signing = {name: (await self.keys.keys(name)).access_key for name in signing}

    def watch(self, proxies: Iterable[str]) -> None:
        """Part of HealthChecks."""
        self.watched = set(proxies)

    def latest(self) -> dict[str, TargetHealth]:
        """Part of HealthChecks."""
        return {name: TargetHealth(state=Health.AVAILABLE) for name in self.watched}

    def apply(self, *proxies: DesiredProxy) -> dict[str, Failure]:
        return asyncio.run(self.plane.apply(Desired(proxies=proxies)))

    def names(self) -> list[str]:
        """Of the proxies that run, by any of their endpoints."""
        return list(dict.fromkeys(proxy.target for proxy in self.running.proxies))


def proxy(name: str, **changes: Any) -> DesiredProxy:
    return replace(PROXY, resource_id=name, **changes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_all_of_it_runs(world: World) -> None:
    assert world.apply(proxy("a"), proxy("b")) == {}
    assert world.names() == ["a", "b"]
    assert world.watched == {"a", "b"}
    assert asyncio.run(world.plane.health()) == world.latest()
    assert world.apply() == {}
    assert (world.names(), world.watched) == ([], set())


def test_the_certificate_is_for_all_endpoints_before_they_are_used(world: World, tmp_path: Path) -> None:
    world.apply(proxy("a"))
    assert Path(world.certificates.certificate).exists()
    first = Path(world.certificates.certificate).read_bytes()
    world.apply(proxy("a"), proxy("b"))
    assert Path(world.certificates.certificate).read_bytes() == first
    ends = (replace(PROXY.endpoints[0], names=("127.9.9.9",)),)
    world.apply(proxy("a"), proxy("b", endpoints=ends))
    assert Path(world.certificates.certificate).read_bytes() != first


def test_one_that_cant_run_leaves_others_running(world: World) -> None:
    world.bad["b"] = "cannot listen on 127.1.2.3:5432: Address already in use"
    failures = world.apply(proxy("a"), proxy("b"), proxy("c"))
    assert failures == {"b": Failure(kind=FailureKind.NETWORK, description=world.bad["b"])}
    assert sorted(world.names()) == ["a", "c"]
    assert world.watched == {"a", "c"}


def test_what_else_it_lacks(world: World) -> None:
    world.bad["b"] = "too many open files"
    assert world.apply(proxy("b"))["b"].kind is FailureKind.LIMITS


def test_a_change_that_cant_be_had_leaves_the_proxy_as_it_was(world: World) -> None:
    world.apply(proxy("a", init_query="old"), proxy("b"))
    really = world.use

    async def refuse_new(config: Config) -> None:
        if any(one.init_query == "new" for one in config.proxies):
            raise ConfigError("it cannot be had")
        await really(config)

    world.plane._apply = refuse_new
    failures = world.apply(proxy("a", init_query="new"), proxy("b", init_query="changed"))
    assert list(failures) == ["a"]
    assert {one.target: one.init_query for one in world.running.proxies} == {"a": "old", "b": "changed"}


def test_the_deleted_go_though_another_cant_run(world: World) -> None:
    world.apply(proxy("a"), proxy("gone"))
    world.bad["b"] = "no"
    assert list(world.apply(proxy("a"), proxy("b"))) == ["b"]
    assert world.names() == ["a"]


def test_two_that_exclude_each_other(world: World) -> None:
    """The one that runs stays."""
    world.apply(proxy("a"))

    async def one_only(config: Config) -> None:
        if len(config.targets) > 1:
            raise ConfigError('[[proxy]] "a" already listens there')
        world.running = config

    world.plane._apply = one_only
    assert list(world.apply(proxy("z"), proxy("a"))) == ["z"]
    assert world.names() == ["a"]


def test_a_roles_keys_are_there_before_they_are_used(world: World) -> None:
    """New ones with settings that stay; and where a change can't be had, those of what runs."""
    first, second = (replace(KEYS, access_key=name) for name in ("ASIA1", "ASIA2"))
    world.apply(proxy("a", iam_for_all=True, database_keys=first), proxy("b"))
    before = world.running
    assert world.signing == {"a": "ASIA1"}
    world.apply(proxy("a", iam_for_all=True, database_keys=second), proxy("b"))
    assert (world.running, world.signing) == (before, {"a": "ASIA2"})
    really = world.use

    async def refuse_new(config: Config) -> None:
        if any(one.init_query == "new" for one in config.proxies):
            raise ConfigError("it cannot be had")
        await really(config)

    world.plane._apply = refuse_new
    world.apply(proxy("a", iam_for_all=True, database_keys=first, init_query="new"), proxy("b"))
    assert (world.running, world.signing) == (before, {"a": "ASIA2"})
    world.apply(proxy("a", iam_for_all=True), proxy("b"))
    assert world.signing == {}


def test_it_comes_right(world: World) -> None:
    world.bad["b"] = "no"
    world.apply(proxy("a"), proxy("b"))
    assert world.apply(proxy("a"), proxy("b", init_query="mended")) == {}
    assert world.names() == ["a", "b"]


def test_certificates_that_cant_be_made_apply_nothing(world: World, tmp_path: Path) -> None:
    """DataPlane.apply: what raises has applied nothing."""
    world.apply(proxy("a"))
    Path(world.certificates.certificate).write_text("spoilt")
    with pytest.raises(ConfigError, match="certificates in"):
        world.apply(proxy("b"))
    assert world.names() == ["a"]
