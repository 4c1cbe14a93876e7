"""A desired state on a supervisor that refuses some of it: what runs then, and whose failure is told."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.launch.test_settings import BASE, KEYS, PROXY
from tidegate.config.model import Config
from tidegate.control.ports import Desired, DesiredEndpoint, DesiredProxy, Failure, FailureKind, Health, TargetHealth
from tidegate.errors import ConfigError
from tidegate.launch.certificates import LIFE, LocalCertificates
from tidegate.launch.data_plane import SupervisedProxy
from tidegate.launch.health import HealthChecks
from tidegate.launch.role_keys import RoleKeys
from tidegate.launch.run import _renew
from tidegate.launch.settings import endpoint_of
from tidegate.proxy.listening import ListenError


class World:
    """A supervisor that takes everything but what the test says, and health checks that only note whom they watch."""

    def __init__(self, folder: Path) -> None:
        self.bad: dict[str, str] = {}
        """What is wrong with settings, by a proxy's resource id."""
        self.taken: set[str] = set()
        """Addresses that can't be listened on."""
        self.tries = 0
        self.running: Config = BASE
        self.watched: set[str] = set()
        self.certificates = LocalCertificates(folder)
        self.keys = RoleKeys()
        self.signing: dict[str, str] = {}
        """Access keys that the running proxies' tokens are signed with."""
        self.plane = SupervisedProxy(BASE, self.certificates, self.use, cast(HealthChecks, self), self.keys)

    async def use(self, config: Config) -> None:
        """ConfigError, and nothing has changed, if a proxy is bad with these settings, or an address is taken."""
        self.tries += 1
        unheard = {one.name: f"{one.listen[0]} is taken" for one in config.proxies if one.listen[0] in self.taken}
        if unheard:
            raise ListenError(unheard)
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

    def apply(self, *proxies: DesiredProxy, again: bool = True) -> dict[str, Failure]:
        return asyncio.run(self.plane.apply(Desired(proxies=proxies), again=again))

    def names(self) -> list[str]:
        """Of the proxies that run, by any of their endpoints."""
        return list(dict.fromkeys(proxy.target for proxy in self.running.proxies))


def proxy(name: str, **changes: Any) -> DesiredProxy:
    """With two endpoints, NAME1 at NAME1:5432 and NAME2 at NAME2:5432, if they are not among the changes."""
    ends = tuple(
        DesiredEndpoint(resource_id=f"{name}{n}", name=str(n), host=f"{name}{n}", port=5432, names=("127.1.2.3",))
        for n in (1, 2)
    )
    return replace(PROXY, **{"resource_id": name, "endpoints": ends, **changes})


def users(world: World) -> dict[str, str]:
    """The names of those who may log in, by proxy."""
    return {user.via[0].partition("/")[0]: user.name for user in world.running.users}


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
    world.taken = {"b1:5432", "b2:5432"}
    failures = world.apply(proxy("a"), proxy("b"), proxy("c"))
    network = FailureKind.NETWORK
    assert failures == {name: Failure(kind=network, description=f"{name}:5432 is taken") for name in ("b1", "b2")}
    assert sorted(world.names()) == ["a", "c"]
    assert world.watched == {"a", "c"}


def test_an_endpoint_that_cant_be_had_is_left_out_alone(world: World) -> None:
    """Credentials reach its proxy; and it costs one more attempt, however many proxies there are."""
    world.apply(proxy("a"), proxy("b"), proxy("c"))
    more = (*proxy("b").endpoints, replace(PROXY.endpoints[0], resource_id="b3", host="b3"))
    world.taken, world.tries = {"b3:5432"}, 0
    assert list(world.apply(proxy("a"), proxy("b", endpoints=more, users=()), proxy("c"))) == ["b3"]
    assert world.tries == 2
    assert [one.listen[0] for one in world.running.proxies if one.target == "b"] == ["b1:5432", "b2:5432"]
    assert users(world) == {"a": "app", "c": "app"}
    world.taken = set()
    assert world.apply(proxy("a"), proxy("b", endpoints=more), proxy("c")) == {}
    assert "b3:5432" in (one.listen[0] for one in world.running.proxies)


def test_what_is_known_to_fail_is_not_tried_at_others_changes(world: World) -> None:
    world.taken, world.bad = {"b1:5432"}, {"c": "no"}
    failures = world.apply(proxy("a"), proxy("b"), proxy("c"))
    world.taken, world.tries = set(), 0
    assert world.apply(proxy("a", users=()), proxy("b"), proxy("c"), again=False) == failures
    assert world.tries == 1 and users(world) == {"b": "app"}
    assert world.apply(proxy("a"), proxy("b", users=()), proxy("c"), again=False) == failures
    assert list(world.apply(proxy("a"), proxy("b"), proxy("c", init_query="mended"), again=False)) == ["b1"]
    renamed = (replace(proxy("b").endpoints[0], name="renamed"),)
    assert world.apply(proxy("a"), proxy("b", endpoints=renamed), proxy("c", init_query="mended"), again=False) == {}


def test_it_is_tried_when_it_is_its_turn(world: World) -> None:
    world.taken, world.bad = {"b1:5432"}, {"c": "no"}
    assert set(world.apply(proxy("a"), proxy("b"), proxy("c"))) == {"b1", "c"}
    world.taken, world.bad = set(), {}
    assert world.apply(proxy("a"), proxy("b"), proxy("c")) == {}
    assert world.names() == ["a", "b", "c"]


def test_what_else_it_lacks(world: World) -> None:
    world.bad["b"] = "too many open files"
    assert world.apply(proxy("b"))["b"].kind is FailureKind.LIMITS


def refuse(world: World, wrong: Callable[[Config], bool]) -> None:
    """From now on have a configuration refused if it is wrong."""
    really = world.use

    async def use(config: Config) -> None:
        if wrong(config):
            raise ConfigError("it cannot be had")
        await really(config)

    world.plane._apply = use


def test_settings_that_cant_be_had_keep_no_revocation_from_acting(world: World) -> None:
    """The proxy goes on as it was, with the users that it is to have, and without deleted endpoints."""
    world.apply(proxy("a", init_query="old"), proxy("b"))
    refuse(world, lambda config: any(one.init_query == "new" for one in config.proxies))
    changed = proxy("a", init_query="new", users=(), endpoints=proxy("a").endpoints[:1])
    failures = world.apply(changed, proxy("b", init_query="changed"))
    assert {name: failure.credentials_lag for name, failure in failures.items()} == {"a": False}
    assert {one.target: one.init_query for one in world.running.proxies} == {"a": "old", "b": "changed"}
    assert [one.listen for one in world.running.proxies if one.target == "a"] == [("a1:5432",)]
    assert users(world) == {"b": "app"}


def test_credentials_that_cant_be_had_are_told_of(world: World) -> None:
    """Then who is rotating a secret must not go on; others' changes are had all the same."""
    world.apply(proxy("a"), proxy("b"))
    refuse(world, lambda config: any(user.name == "bad" for user in config.users))
    bad = (replace(PROXY.users[0], name="bad"),)
    failures = world.apply(proxy("a", users=bad), proxy("b", users=()), proxy("c", users=bad))
    assert {name: failure.credentials_lag for name, failure in failures.items()} == {"a": True, "c": False}
    assert users(world) == {"a": "app"}


def test_what_a_failed_attempt_left_is_put_right(world: World) -> None:
    """Workers may have half of it."""
    world.apply(proxy("a"))
    really = world.use

    async def half(config: Config) -> None:
        await really(config)
        if any(one.target == "b" for one in config.proxies):
            raise ConfigError("worker 0 could not use it")

    world.plane._apply = half
    assert list(world.apply(proxy("a"), proxy("b"))) == ["b"]
    assert world.names() == ["a"]


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
    """New ones with settings that stay; and where a change of these can't be had, they are new all the same."""
    first, second = (replace(KEYS, access_key=name) for name in ("ASIA1", "ASIA2"))
    world.apply(proxy("a", iam_for_all=True, database_keys=first), proxy("b"))
    before = world.running
    assert world.signing == {"a": "ASIA1"}
    world.apply(proxy("a", iam_for_all=True, database_keys=second), proxy("b"))
    assert (world.running, world.signing) == (before, {"a": "ASIA2"})
    refuse(world, lambda config: any(one.init_query == "new" for one in config.proxies))
    world.apply(proxy("a", iam_for_all=True, database_keys=first, init_query="new"), proxy("b"))
    assert (world.running, world.signing) == (before, {"a": "ASIA1"})
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


# The endpoints' certificate near its end


def outdate(world: World) -> bytes:
    """Leave one that ends in some days, as time would; its bytes."""
    path = Path(world.certificates.certificate)
    path.unlink()
    world.certificates.cover({"127.1.2.3"}, dt.datetime.now(dt.UTC) - LIFE + dt.timedelta(days=9))
    return path.read_bytes()


def test_a_certificate_is_renewed_before_its_end(world: World) -> None:
    world.apply(proxy("a"))
    old, tries = outdate(world), world.tries
    asyncio.run(world.plane.renew())
    assert Path(world.certificates.certificate).read_bytes() != old
    assert (world.tries, world.names()) == (tries + 1, ["a"])
    asyncio.run(world.plane.renew())
    assert world.tries == tries + 1


def test_a_renewed_certificate_that_could_not_be_shown_is_shown_later(world: World) -> None:
    world.apply(proxy("a"))
    outdate(world)
    world.bad["a"] = "worker 0 did not answer in time"
    with pytest.raises(ConfigError, match="worker 0"):
        asyncio.run(world.plane.renew())
    world.bad, world.tries = {}, 0
    asyncio.run(world.plane.renew())
    assert world.tries == 1


def test_a_renewal_puts_no_older_state_back(world: World) -> None:
    """It comes while another state is being applied, and waits."""
    world.apply(proxy("a"))
    outdate(world)
    really, free = world.use, asyncio.Event()

    async def slow(config: Config) -> None:
        await free.wait()
        await really(config)

    async def both() -> None:
        world.plane._apply = slow
        applying = asyncio.create_task(world.plane.apply(Desired(proxies=(proxy("a"), proxy("b"))), again=True))
        await asyncio.sleep(0)
        outdate(world)
        renewing = asyncio.create_task(world.plane.renew())
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(applying, renewing)

    asyncio.run(both())
    assert world.names() == ["a", "b"]


def test_looks_at_the_certificate_go_on_whatever_comes(caplog: pytest.LogCaptureFixture) -> None:
    class Renewing:
        looks = 0

        async def renew(self) -> None:
            self.looks += 1
            if self.looks < 3:
                raise (ConfigError("the disk is full"), RuntimeError("unforeseen"))[self.looks - 1]
            raise asyncio.CancelledError

    one = Renewing()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_renew(cast(SupervisedProxy, one), every=0))
    assert one.looks == 3
    assert "the disk is full" in caplog.text and "unforeseen" in caplog.text
