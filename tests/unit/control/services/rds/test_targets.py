"""Target groups and targets: success, and each error of the five operations."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, NOW, REGION, Stage
from tidegate.control.ports import Health, HealthReason, TargetHealth
from tidegate.control.services.rds.settings import Settings

TARGET = {
    "TargetArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db1",
    "Endpoint": "127.0.0.1",
    "RdsResourceId": "db1",
    "Port": 5433,
    "Type": "RDS_INSTANCE",
}
OF_GROUPS = [
    "DescribeDBProxyTargetGroups",
    "ModifyDBProxyTargetGroup",
    "RegisterDBProxyTargets",
    "DeregisterDBProxyTargets",
    "DescribeDBProxyTargets",
]


@pytest.fixture
def ready(stage: Stage) -> Stage:
    """A proxy, and an instance that is not its target yet."""
    stage.create_proxy()
    stage.create_instance()
    return stage


def register(stage: Stage, *names: str) -> list[dict[str, object]]:
    answer = stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=list(names))
    return list(answer["DBProxyTargets"])


def pool(stage: Stage, **given: object) -> dict[str, object]:
    answer = stage.call(
        "ModifyDBProxyTargetGroup", DBProxyName="main", TargetGroupName="default", ConnectionPoolConfig=given
    )
    return dict(answer["DBProxyTargetGroup"]["ConnectionPoolConfig"])


def test_the_default_group_is_told_with_its_defaults(stage: Stage) -> None:
    stage.create_proxy()
    (group,) = stage.call("DescribeDBProxyTargetGroups", DBProxyName="main", TargetGroupName="default")["TargetGroups"]
    arn = group.pop("TargetGroupArn")
    assert re.fullmatch(rf"arn:aws:rds:{REGION}:{ACCOUNT}:target-group:prx-tg-[0-9a-f]{{17}}", arn)
    moment = datetime.fromtimestamp(NOW, UTC)
    assert group == {
        "DBProxyName": "main",
        "TargetGroupName": "default",
        "IsDefault": True,
        "Status": "available",
        "ConnectionPoolConfig": {
            "MaxConnectionsPercent": 100,
            "MaxIdleConnectionsPercent": 50,
            "ConnectionBorrowTimeout": 120,
            "SessionPinningFilters": [],
        },
        "CreatedDate": moment,
        "UpdatedDate": moment,
    }


def test_a_pool_is_configured(stage: Stage) -> None:
    stage.create_proxy()
    stage.now += 1
    told = pool(
        stage,
        MaxConnectionsPercent=80,
        MaxIdleConnectionsPercent=10,
        ConnectionBorrowTimeout=0,
        InitQuery="SET x = 1",
        SessionPinningFilters=[],
    )
    assert told == {
        "MaxConnectionsPercent": 80,
        "MaxIdleConnectionsPercent": 10,
        "ConnectionBorrowTimeout": 0,
        "SessionPinningFilters": [],
        "InitQuery": "SET x = 1",
    }
    desired = stage.desired()
    assert (
        desired.max_connections_percent,
        desired.max_idle_connections_percent,
        desired.connection_borrow_timeout,
        desired.init_query,
    ) == (80, 10, 0, "SET x = 1")
    assert "InitQuery" not in pool(stage, InitQuery="")
    assert pool(stage) == {name: value for name, value in told.items() if name != "InitQuery"}


def test_the_idle_share_follows_the_whole(stage: Stage) -> None:
    stage.create_proxy()

    def idle(**given: object) -> object:
        return pool(stage, **given)["MaxIdleConnectionsPercent"]

    assert idle(MaxConnectionsPercent=81) == 40
    assert idle(MaxConnectionsPercent=80, MaxIdleConnectionsPercent=60) == 60
    assert idle(MaxConnectionsPercent=70) == 60
    assert idle(MaxConnectionsPercent=50) == 25
    assert idle(MaxConnectionsPercent=1) == 0
    assert idle(MaxConnectionsPercent=100, MaxIdleConnectionsPercent=0) == 0


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"MaxConnectionsPercent": 0}, "InvalidParameterValue", "between 1 and 100"),
        ({"MaxConnectionsPercent": 101}, "InvalidParameterValue", "between 1 and 100"),
        ({"MaxConnectionsPercent": True}, "InvalidParameterValue", "between 1 and 100"),
        (
            {"MaxConnectionsPercent": 50, "MaxIdleConnectionsPercent": 51},
            "InvalidParameterValue",
            "between 0 and 50",
        ),
        ({"MaxIdleConnectionsPercent": 10}, "InvalidParameterCombination", "must also include a value for Max"),
        ({"ConnectionBorrowTimeout": 301}, "InvalidParameterValue", "between 0 and 300"),
        ({"ConnectionBorrowTimeout": -1}, "InvalidParameterValue", "between 0 and 300"),
        ({"SessionPinningFilters": ["EXCLUDE_VARIABLE_SETS"]}, "InvalidParameterValue", "engine family POSTGRESQL"),
        ({"SessionPinningFilters": ["OTHER"]}, "InvalidParameterValue", "Valid values: EXCLUDE_VARIABLE_SETS"),
        ({"InitQuery": "x" * 16385}, "InvalidParameterValue", "at most 16384"),
        ({"InitQuery": "SET x = '\0'"}, "InvalidParameterValue", "NUL"),
    ],
)
def test_pools_that_can_not_be(stage: Stage, given: dict[str, object], code: str, message: str) -> None:
    stage.create_proxy()
    error = stage.refused(
        "ModifyDBProxyTargetGroup",
        code,
        DBProxyName="main",
        TargetGroupName="default",
        ConnectionPoolConfig=given,
    )
    assert message in error.message


def test_the_default_group_can_not_be_renamed(stage: Stage) -> None:
    stage.create_proxy()
    given = {"DBProxyName": "main", "TargetGroupName": "default", "NewName": "other"}
    error = stage.refused("ModifyDBProxyTargetGroup", "InvalidParameterValue", **given)
    assert error.message == "You can't rename the default target group."


@pytest.mark.parametrize("operation", OF_GROUPS)
def test_proxies_and_groups_that_are_not_there(ready: Stage, operation: str) -> None:
    given = {"DBProxyName": "main", "TargetGroupName": "default"}
    if "ister" in operation:
        given["DBInstanceIdentifiers"] = ["db1"]  # type: ignore[assignment]
    ready.refused(operation, "DBProxyNotFoundFault", **given | {"DBProxyName": "absent"})
    ready.refused(operation, "DBProxyTargetGroupNotFoundFault", **given | {"TargetGroupName": "other"})
    ready.call("DeleteDBProxy", DBProxyName="main")
    error = ready.refused(operation, "InvalidDBProxyStateFault", **given)
    assert "is in the state deleting" in error.message


def test_a_target_is_registered_until_it_is_not(ready: Stage) -> None:
    new = TARGET | {"Role": "UNKNOWN", "TargetHealth": {"State": "REGISTERING"}}
    assert register(ready, "DB1") == [new]
    assert ready.call("DescribeDBProxyTargets", DBProxyName="main") == {"Targets": [new]}
    desired = ready.desired().target
    assert desired is not None
    assert (desired.host, desired.port, desired.user, desired.password, desired.database) == (
        "127.0.0.1",
        5433,
        "postgres",
        "canary-password",
        "postgres",
    )
    assert "canary-password" not in repr(ready.plan())
    assert ready.call("DeregisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"]) == {}
    assert ready.call("DescribeDBProxyTargets", DBProxyName="main") == {"Targets": []}
    assert ready.desired().target is None


def test_health_is_what_the_proxy_has_seen(ready: Stage) -> None:
    register(ready, "db1")
    resource_id = ready.proxy()["DBProxyArn"].rpartition(":")[2]

    def told() -> tuple[object, object]:
        (target,) = ready.call("DescribeDBProxyTargets", DBProxyName="main")["Targets"]
        return target["Role"], target["TargetHealth"]

    ready.health[resource_id] = TargetHealth(state=Health.AVAILABLE)
    assert told() == ("READ_WRITE", {"State": "AVAILABLE"})
    ready.health[resource_id] = TargetHealth(
        state=Health.UNAVAILABLE, reason=HealthReason.UNREACHABLE, description="connection refused"
    )
    assert told() == (
        "READ_WRITE",
        {"State": "UNAVAILABLE", "Reason": "UNREACHABLE", "Description": "connection refused"},
    )


def test_targets_that_can_not_be(ready: Stage) -> None:
    ready.create_instance("db2", "127.0.0.1:5434")

    def refused(code: str, **given: object) -> str:
        return ready.refused("RegisterDBProxyTargets", code, DBProxyName="main", **given).message

    assert refused("DBInstanceNotFound", DBInstanceIdentifiers=["absent"]) == "DBInstance absent not found."
    assert refused("DBClusterNotFoundFault", DBClusterIdentifiers=["aurora"]) == "DBCluster aurora not found."
    refused("InvalidParameterCombination")
    refused("InvalidParameterCombination", DBInstanceIdentifiers=["db1"], DBClusterIdentifiers=["aurora"])
    refused("InvalidParameterCombination", DBInstanceIdentifiers=["db1", "db2"])
    register(ready, "db1")
    for name in ("db1", "db2"):
        message = refused("DBProxyTargetAlreadyRegisteredFault", DBInstanceIdentifiers=[name])
        assert message == "The proxy main is already associated with the RDS DB instance or Aurora DB cluster db1."


def test_an_instance_on_its_way_out_is_no_target(ready: Stage) -> None:
    ready.call("DeleteDBInstance", DBInstanceIdentifier="db1", SkipFinalSnapshot=True)
    error = ready.refused(
        "RegisterDBProxyTargets", "InvalidDBInstanceState", DBProxyName="main", DBInstanceIdentifiers=["db1"]
    )
    assert error.message == (
        "DB Instance db1 is in an unsupported state - DELETING, "
        "needs to be in [AVAILABLE, MODIFYING, BACKING_UP, CREATING]"
    )


def test_subnets_without_free_addresses(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(addresses_per_proxy=10_000))
    stage.create_proxy()
    stage.create_instance()
    given = {"DBProxyName": "main", "DBInstanceIdentifiers": ["db1"]}
    error = stage.refused("RegisterDBProxyTargets", "InsufficientAvailableIPsInSubnetFault", **given)
    assert f"it needs 10000, and there are {2 * 4091}." in error.message


def test_what_is_no_target_is_not_deregistered(ready: Stage) -> None:
    deregister = "DeregisterDBProxyTargets"
    ready.refused(deregister, "DBProxyTargetNotFoundFault", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    register(ready, "db1")
    ready.refused(deregister, "DBProxyTargetNotFoundFault", DBProxyName="main", DBInstanceIdentifiers=["db2"])
    ready.refused(deregister, "DBProxyTargetNotFoundFault", DBProxyName="main", DBClusterIdentifiers=["db1"])
    ready.refused(deregister, "InvalidParameterCombination", DBProxyName="main")
    assert len(ready.call("DescribeDBProxyTargets", DBProxyName="main")["Targets"]) == 1


def test_leave_is_asked_for_the_group_that_changes(ready: Stage) -> None:
    ready.guard.asked.clear()
    register(ready, "db1")
    pool(ready)
    arn = ready.call("DescribeDBProxyTargetGroups", DBProxyName="main")["TargetGroups"][0]["TargetGroupArn"]
    assert [(action, resource) for action, resource, _ in ready.guard.asked] == [
        ("rds:RegisterDBProxyTargets", arn),
        ("rds:ModifyDBProxyTargetGroup", arn),
        ("rds:DescribeDBProxyTargetGroups", ready.proxy()["DBProxyArn"]),
    ]


@pytest.mark.parametrize("operation", OF_GROUPS)
def test_who_may_not_does_not_learn_what_there_is(ready: Stage, operation: str) -> None:
    ready.guard.refused = {f"rds:{operation}"}
    there = ready.refused(operation, "AccessDenied", DBProxyName="main")
    assert there.message == ready.refused(operation, "AccessDenied", DBProxyName="absent").message
