"""When the desired state is applied: in steps of the test's own, without real time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import pytest

from tests.unit.control.services.rds.stage import Stage
from tidegate.control.desired.board import HealthBoard
from tidegate.control.desired.plan import make_plan
from tidegate.control.desired.reconciler import HEALTH_EVERY, PAUSES, REFRESH, Reconciler
from tidegate.control.desired.settling import settle
from tidegate.control.ports import Desired, Failure, FailureKind, Health, TargetHealth
from tidegate.control.store.store import Transaction

T = TypeVar("T")


class Plane:
    """A data plane that does what the test says, and tells whether two things were asked of it at once."""

    def __init__(self) -> None:
        self.applied: list[Desired] = []
        self.again: list[bool] = []
        self.outcome: dict[str, Failure] | Exception = {}
        self.busy = False
        self.gate: asyncio.Event | None = None
        self.health_error: Exception | None = None
        self.seen = TargetHealth(state=Health.AVAILABLE)

    async def apply(self, desired: Desired, *, again: bool) -> dict[str, Failure]:
        """As ports.DataPlane."""
        assert not self.busy, "two at a time"
        self.busy = True
        if self.gate is not None:
            await self.gate.wait()
        self.busy = False
        self.applied.append(desired)
        self.again.append(again)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def health(self) -> dict[str, TargetHealth]:
        """The same of all."""
        assert not self.busy, "two at a time"
        if self.health_error is not None:
            raise self.health_error
        return {proxy.resource_id: self.seen for proxy in self.applied[-1].proxies}


class Loop:
    """A reconciler whose waiting the test sees and ends."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.plane = Plane()
        self.board = HealthBoard()
        self.now = 0.0
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self.timeout: asyncio.Queue[None] = asyncio.Queue()
        self.health_due: asyncio.Queue[None] = asyncio.Queue()
        self.reconciler = Reconciler(
            in_transaction=self.in_transaction,
            plan=partial(make_plan, at=stage.now, place=stage.place, credentials=stage.secrets, sealer=stage.sealer),
            settle=partial(settle, at=stage.now, place=stage.place),
            data_plane=self.plane,
            board=self.board,
            wait=self.wait,
            clock=lambda: self.now,
        )

    async def in_transaction(self, function: Callable[[Transaction], T]) -> T:
        with self.stage.transaction() as transaction:
            return function(transaction)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        if seconds == HEALTH_EVERY:
            await self.health_due.get()
            return
        self.waits.put_nowait(seconds)
        waking = asyncio.create_task(event.wait())
        timing_out = asyncio.create_task(self.timeout.get())
        await asyncio.wait([waking, timing_out], return_when=asyncio.FIRST_COMPLETED)
        if timing_out.done():
            self.now += seconds
        waking.cancel()
        timing_out.cancel()

    def call(self, operation: str, **parameters: Any) -> None:
        """A call, and what its commit tells."""
        self.stage.call(operation, **parameters)
        self.reconciler.changed(self.stage.written)


def run(
    stage: Stage,
    test: Callable[[Loop], Coroutine[Any, Any, None]],
    outcome: dict[str, Failure] | Exception | None = None,
) -> None:
    """outcome: of the first apply()."""
    assert HEALTH_EVERY not in (*PAUSES, REFRESH), "Loop.wait tells them apart"

    async def with_loop() -> None:
        loop = Loop(stage)
        loop.plane.outcome = outcome or {}
        task = asyncio.create_task(loop.reconciler.run())
        try:
            await asyncio.wait_for(test(loop), 10)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(with_loop())


def test_it_applies_at_the_start_and_after_commits(stage: Stage) -> None:
    stage.create_proxy(settled=False)

    async def test(loop: Loop) -> None:
        assert await loop.waits.get() == REFRESH
        assert stage.proxy()["Status"] == "available"
        resource_id = loop.plane.applied[0].proxies[0].resource_id
        assert loop.board.of(resource_id) == TargetHealth(state=Health.AVAILABLE)
        loop.call("ModifyDBProxy", DBProxyName="main", RequireTLS=True)
        assert await loop.waits.get() == REFRESH
        assert [applied.proxies[0].require_tls for applied in loop.plane.applied] == [False, True]
        assert stage.proxy()["Status"] == "available"
        loop.call("DeleteDBProxy", DBProxyName="main")
        await loop.waits.get()
        assert loop.plane.applied[-1].proxies == () and stage.call("DescribeDBProxies") == {"DBProxies": []}

    run(stage, test)


def test_what_changes_nothing_is_settled_and_not_applied(stage: Stage) -> None:
    stage.create_proxy()

    async def test(loop: Loop) -> None:
        await loop.waits.get()
        loop.call("ModifyDBProxy", DBProxyName="main")
        await loop.waits.get()
        assert len(loop.plane.applied) == 1 and stage.proxy()["Status"] == "available"
        loop.reconciler.changed({"rds-event", "ec2-vpc", "task"})
        await asyncio.sleep(0)
        assert loop.waits.empty()

    run(stage, test)


def test_what_is_desired_may_change_with_time(stage: Stage) -> None:
    stage.create_proxy()

    async def test(loop: Loop) -> None:
        await loop.waits.get()
        stage.secrets.logins.clear()
        loop.timeout.put_nowait(None)
        await loop.waits.get()
        assert [len(applied.proxies[0].users) for applied in loop.plane.applied] == [1, 0]

    run(stage, test)


def test_a_failure_is_tried_again_with_growing_pauses(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.create_proxy(settled=False)

    async def test(loop: Loop) -> None:
        for pause in (*PAUSES, PAUSES[-1]):
            assert await loop.waits.get() == pause
            assert stage.proxy()["Status"] == "creating"
            loop.timeout.put_nowait(None)
        loop.plane.outcome = {}
        await loop.waits.get()
        loop.timeout.put_nowait(None)
        assert await loop.waits.get() == REFRESH
        assert stage.proxy()["Status"] == "available"
        loop.plane.outcome = OSError("again")
        loop.call("ModifyDBProxy", DBProxyName="main", RequireTLS=True)
        assert await loop.waits.get() == PAUSES[0]

    with caplog.at_level(logging.INFO):
        run(stage, test, OSError("canary-password"))
    assert "OSError at" in caplog.text and "canary-password" not in caplog.text


def test_a_proxy_that_can_not_run_is_tried_again(stage: Stage) -> None:
    made = stage.create_proxy(settled=False)
    resource_id = made["DBProxyArn"].rpartition(":")[2]

    async def test(loop: Loop) -> None:
        assert await loop.waits.get() == PAUSES[0]
        assert stage.proxy()["Status"] == "incompatible-network"
        loop.plane.outcome = {}
        loop.timeout.put_nowait(None)
        assert await loop.waits.get() == REFRESH
        assert stage.proxy()["Status"] == "available" and len(loop.plane.applied) == 2

    run(stage, test, {resource_id: Failure(kind=FailureKind.NETWORK, description="in use")})


def test_what_is_known_to_fail_waits_for_its_turn(stage: Stage) -> None:
    """Changes of others neither try it nor put it off."""
    made = stage.create_proxy(settled=False)
    stage.create_proxy("other")
    bad = {made["DBProxyArn"].rpartition(":")[2]: Failure(kind=FailureKind.NETWORK, description="in use")}

    async def test(loop: Loop) -> None:
        assert await loop.waits.get() == PAUSES[0]
        for timeout in (20, 40):
            loop.now += 0.1
            loop.call("ModifyDBProxy", DBProxyName="other", IdleClientTimeout=timeout)
            await loop.waits.get()
        assert loop.plane.again == [True, False, False]
        stage.call("ModifyDBProxy", DBProxyName="other")
        loop.reconciler.changed({"rds-proxy"})
        assert await loop.waits.get() == pytest.approx(PAUSES[0] - 0.2)
        assert len(loop.plane.applied) == 3, "nothing has changed"
        loop.timeout.put_nowait(None)
        assert await loop.waits.get() == PAUSES[1]
        assert loop.plane.again == [True, False, False, True]

    run(stage, test, bad)


def test_another_failure_is_looked_at_soon(stage: Stage) -> None:
    first, second = (
        stage.create_proxy(name, settled=False)["DBProxyArn"].rpartition(":")[2] for name in ("main", "other")
    )
    failure = Failure(kind=FailureKind.NETWORK, description="in use")

    async def test(loop: Loop) -> None:
        for pause in PAUSES[:4]:
            assert await loop.waits.get() == pause
            loop.timeout.put_nowait(None)
        assert await loop.waits.get() == PAUSES[4]
        loop.plane.outcome = {first: failure, second: failure}
        loop.call("ModifyDBProxy", DBProxyName="other", RequireTLS=True)
        assert await loop.waits.get() == PAUSES[0]

    run(stage, test, {first: failure})


@pytest.mark.parametrize(("lags", "named"), [(False, True), (True, False), (True, True)])
def test_who_rotates_waits_for_who_needs_the_password(stage: Stage, lags: bool, named: bool) -> None:
    """Not for a proxy that can't run, and has no clients, nor for one that has nothing to do with the secret."""
    made = stage.create_proxy(settled=False)
    failure = Failure(kind=FailureKind.LIMITS, description="no", credentials_lag=lags)
    secret = made["Auth"][0]["SecretArn"] if named else "arn:aws:secretsmanager:us-east-1:1:secret:else-abcdef"

    async def test(loop: Loop) -> None:
        await loop.waits.get()
        if not (lags and named):
            await loop.reconciler.publish(secret)
            return
        with pytest.raises(RuntimeError, match="not applied to prx-"):
            await loop.reconciler.publish(secret)

    run(stage, test, {made["DBProxyArn"].rpartition(":")[2]: failure})


def test_one_thing_at_a_time_and_no_change_is_missed(stage: Stage) -> None:
    stage.create_proxy()

    async def test(loop: Loop) -> None:
        await loop.waits.get()
        loop.plane.gate = asyncio.Event()
        loop.call("ModifyDBProxy", DBProxyName="main", RequireTLS=True)
        while not loop.plane.busy:
            await asyncio.sleep(0)
        loop.health_due.put_nowait(None)
        loop.call("CreateDBProxyEndpoint", DBProxyName="main", DBProxyEndpointName="r", VpcSubnetIds=stage.subnets)
        await asyncio.sleep(0)
        loop.plane.gate.set()
        await loop.waits.get()
        await loop.waits.get()
        ends = stage.call("DescribeDBProxyEndpoints")["DBProxyEndpoints"]
        assert [end["Status"] for end in ends] == ["available", "available"]
        assert len(loop.plane.applied) == 3

    run(stage, test)


def test_health_that_can_not_be_asked_for_is_asked_for_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.create_proxy()

    async def test(loop: Loop) -> None:
        await loop.waits.get()
        resource_id = loop.plane.applied[0].proxies[0].resource_id
        loop.plane.health_error = OSError("canary-password")
        loop.health_due.put_nowait(None)
        while "could not be asked for" not in caplog.text:
            await asyncio.sleep(0)
        assert loop.board.of(resource_id) == TargetHealth(state=Health.AVAILABLE)
        loop.plane.health_error = None
        loop.plane.seen = TargetHealth(state=Health.UNAVAILABLE)
        loop.health_due.put_nowait(None)
        while loop.board.of(resource_id) != loop.plane.seen:
            await asyncio.sleep(0)

    run(stage, test)
    assert "OSError at" in caplog.text and "canary-password" not in caplog.text
