"""Any order of calls, applied plans and failures: what must hold after each, and at the end."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.services.rds.stage import Stage
from tidegate.control.desired.plan import Plan
from tidegate.control.errors import AwsError
from tidegate.control.ports import Failure, FailureKind
from tidegate.control.services.rds.records import Instance, Proxy, ProxyEndpoint

NAMES = ("one", "two", "three")
ENDS = ("alpha", "beta", "two")
DATABASES = ("db1", "db2")
STEPS = 120


class Chance:
    """Makes one random step after the other."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.random = random.Random(seed)
        self.plans: list[Plan] = []
        self.answered = 0

    def step(self) -> None:
        """A call, a plan, or a plan applied, which may be an old one."""
        kind = self.random.random()
        if kind < 0.2:
            self.plans.append(self.stage.plan())
        elif kind < 0.35 and self.plans:
            plan = self.plans.pop(self.random.randrange(len(self.plans)))
            self.stage.settle(self.failures(plan), plan)
        else:
            operation, parameters = self.random.choice(self.calls())
            with suppress(AwsError):
                self.stage.call(operation, **parameters)
                self.answered += 1

    def failures(self, plan: Plan) -> dict[str, Failure]:
        """Some proxy may fail."""
        return {
            proxy.resource_id: Failure(kind=self.random.choice(list(FailureKind)), description="no")
            for proxy in plan.desired.proxies
            if self.random.random() < 0.1
        }

    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """What may be called next."""
        pick = self.random.choice
        proxy, other, end, database = pick(NAMES), pick(NAMES), pick(ENDS), pick(DATABASES)
        instance = {
            "DBInstanceIdentifier": database,
            "Engine": "postgres",
            "DBInstanceClass": "db.t3.small",
            "MasterUsername": "postgres",
            "MasterUserPassword": "secret",
            "Tags": [{"Key": "tidegate:address", "Value": "127.0.0.1:5433"}],
        }
        new_end = {"DBProxyName": proxy, "DBProxyEndpointName": end, "VpcSubnetIds": self.stage.subnets}
        targets = {"DBProxyName": proxy, "DBInstanceIdentifiers": [database]}
        return [
            ("CreateDBProxy", self.stage.proxy_parameters(proxy)),
            ("CreateDBProxy", self.stage.proxy_parameters(other)),
            ("ModifyDBProxy", {"DBProxyName": proxy, "NewDBProxyName": other}),
            ("ModifyDBProxy", {"DBProxyName": proxy, "RequireTLS": self.random.random() < 0.5}),
            ("ModifyDBProxy", {"DBProxyName": proxy, "DefaultAuthScheme": pick(("IAM_AUTH", "NONE"))}),
            ("DeleteDBProxy", {"DBProxyName": proxy}),
            ("CreateDBProxyEndpoint", new_end),
            ("ModifyDBProxyEndpoint", {"DBProxyEndpointName": end, "NewDBProxyEndpointName": pick(ENDS)}),
            ("DeleteDBProxyEndpoint", {"DBProxyEndpointName": end}),
            ("CreateDBInstance", instance),
            ("ModifyDBInstance", {"DBInstanceIdentifier": database, "NewDBInstanceIdentifier": pick(DATABASES)}),
            ("DeleteDBInstance", {"DBInstanceIdentifier": database, "SkipFinalSnapshot": True}),
            ("RegisterDBProxyTargets", targets),
            ("DeregisterDBProxyTargets", targets),
            ("DescribeDBProxies", {}),
            ("DescribeDBProxyEndpoints", {}),
            ("DescribeDBProxyTargets", {"DBProxyName": proxy}),
        ]

    def check(self) -> None:
        """What holds whatever has happened."""
        with self.stage.transaction() as transaction:
            proxies = transaction.table(Proxy).all()
            ends = transaction.table(ProxyEndpoint).all()
            instances = {one.resource_id: one for one in transaction.table(Instance).all()}
        ids = [proxy.resource_id for proxy in proxies]
        assert sorted(end.proxy_id for end in ends if end.is_default) == sorted(ids)
        assert {end.proxy_id for end in ends} <= set(ids)
        assert len({(end.host, end.port) for end in ends}) == len(ends)
        targets = {proxy.group.target for proxy in proxies if proxy.group.target is not None}
        assert targets <= {key for key, one in instances.items() if one.status == "available"} | {
            proxy.group.target for proxy in proxies if proxy.status == "deleting"
        }
        desired = self.stage.plan().desired.proxies
        assert {one.resource_id for one in desired} == {one.resource_id for one in proxies if one.status != "deleting"}


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_left_half_done(tmp_path: Path, seed: int) -> None:
    chance = Chance(Stage(tmp_path), seed)
    for _ in range(STEPS):
        chance.step()
        chance.check()
    assert chance.answered > STEPS // 10
    chance.stage.settle()
    chance.check()
    with chance.stage.transaction() as transaction:
        proxies = transaction.table(Proxy).all()
        assert {proxy.status for proxy in proxies} <= {"available"}
        assert {end.status for end in transaction.table(ProxyEndpoint).all()} <= {"available"}
        assert {one.status for one in transaction.table(Instance).all()} <= {"available"}
