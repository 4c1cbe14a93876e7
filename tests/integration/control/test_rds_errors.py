"""Each error that botocore's model gives to an RDS proxy operation, through boto3: code, status and class.

One account is arranged once: proxies and endpoints in every state that an error needs, held there by a data plane that
does not go on. What is refused must change nothing, so one arrangement serves all cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.integration.control.rds_running import MODEL, OPERATIONS, Running
from tests.support.tidegate import wait_until
from tests.unit.control.services.rds.stage import AUTH, ROLE, instance
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.rds.settings import Settings

QUOTAS = Settings(proxies=4, endpoints=2, addresses_per_proxy=100)
"""As many proxies as are arranged; as many endpoints as `main` has; more addresses than two small subnets have."""

Given = dict[str, Any]
NEW_PROXY: Given = {"EngineFamily": "POSTGRESQL", "RoleArn": ROLE, "Auth": AUTH, "VpcSubnetIds": "large"}
"""VpcSubnetIds: a name of Arranged.subnets."""
NEW_ENDPOINT: Given = {"DBProxyEndpointName": "new", "VpcSubnetIds": "large"}
GROUP: Given = {"TargetGroupName": "default"}
DB: Given = {"DBInstanceIdentifiers": ["free"]}

ERRORS: list[tuple[str, str, Given]] = [
    ("CreateDBProxy", "DBProxyAlreadyExistsFault", {**NEW_PROXY, "DBProxyName": "MAIN"}),
    ("CreateDBProxy", "DBProxyQuotaExceededFault", {**NEW_PROXY, "DBProxyName": "new"}),
    ("CreateDBProxy", "InvalidSubnet", {**NEW_PROXY, "DBProxyName": "new", "VpcSubnetIds": "unknown"}),
    ("CreateDBProxy", "InvalidSubnet", {**NEW_PROXY, "DBProxyName": "new", "VpcSubnetIds": "one zone"}),
    ("CreateDBProxy", "InvalidSubnet", {**NEW_PROXY, "DBProxyName": "new", "VpcSubnetIds": "no id"}),
    ("ModifyDBProxy", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("ModifyDBProxy", "DBProxyAlreadyExistsFault", {"DBProxyName": "main", "NewDBProxyName": "small"}),
    ("ModifyDBProxy", "InvalidDBProxyStateFault", {"DBProxyName": "leaving"}),
    ("ModifyDBProxy", "InvalidDBProxyStateFault", {"DBProxyName": "coming"}),
    ("DeleteDBProxy", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("DeleteDBProxy", "InvalidDBProxyStateFault", {"DBProxyName": "leaving"}),
    ("DescribeDBProxies", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("DescribeDBProxyTargetGroups", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("DescribeDBProxyTargetGroups", "DBProxyTargetGroupNotFoundFault", {"DBProxyName": "main", "TargetGroupName": "x"}),
    ("DescribeDBProxyTargetGroups", "InvalidDBProxyStateFault", {"DBProxyName": "leaving"}),
    ("ModifyDBProxyTargetGroup", "DBProxyNotFoundFault", {"DBProxyName": "absent", **GROUP}),
    ("ModifyDBProxyTargetGroup", "DBProxyTargetGroupNotFoundFault", {"DBProxyName": "main", "TargetGroupName": "x"}),
    ("ModifyDBProxyTargetGroup", "InvalidDBProxyStateFault", {"DBProxyName": "leaving", **GROUP}),
    ("RegisterDBProxyTargets", "DBProxyNotFoundFault", {"DBProxyName": "absent", **DB}),
    (
        "RegisterDBProxyTargets",
        "DBProxyTargetGroupNotFoundFault",
        {"DBProxyName": "main", "TargetGroupName": "x", **DB},
    ),
    ("RegisterDBProxyTargets", "InvalidDBProxyStateFault", {"DBProxyName": "leaving", **DB}),
    ("RegisterDBProxyTargets", "DBInstanceNotFound", {"DBProxyName": "small", "DBInstanceIdentifiers": ["absent"]}),
    ("RegisterDBProxyTargets", "InvalidDBInstanceState", {"DBProxyName": "small", "DBInstanceIdentifiers": ["gone"]}),
    ("RegisterDBProxyTargets", "DBClusterNotFoundFault", {"DBProxyName": "small", "DBClusterIdentifiers": ["absent"]}),
    ("RegisterDBProxyTargets", "DBProxyTargetAlreadyRegisteredFault", {"DBProxyName": "main", **DB}),
    ("RegisterDBProxyTargets", "InsufficientAvailableIPsInSubnetFault", {"DBProxyName": "small", **DB}),
    ("DeregisterDBProxyTargets", "DBProxyNotFoundFault", {"DBProxyName": "absent", **DB}),
    (
        "DeregisterDBProxyTargets",
        "DBProxyTargetGroupNotFoundFault",
        {"DBProxyName": "main", "TargetGroupName": "x", **DB},
    ),
    ("DeregisterDBProxyTargets", "InvalidDBProxyStateFault", {"DBProxyName": "leaving", **DB}),
    ("DeregisterDBProxyTargets", "DBProxyTargetNotFoundFault", {"DBProxyName": "main", **DB}),
    (
        "DeregisterDBProxyTargets",
        "DBProxyTargetNotFoundFault",
        {"DBProxyName": "main", "DBClusterIdentifiers": ["absent"]},
    ),
    ("DeregisterDBProxyTargets", "DBProxyTargetNotFoundFault", {"DBProxyName": "small", **DB}),  # it has no target
    ("DescribeDBProxyTargets", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("DescribeDBProxyTargets", "DBProxyTargetGroupNotFoundFault", {"DBProxyName": "main", "TargetGroupName": "x"}),
    ("DescribeDBProxyTargets", "InvalidDBProxyStateFault", {"DBProxyName": "leaving"}),
    ("CreateDBProxyEndpoint", "DBProxyNotFoundFault", {"DBProxyName": "absent", **NEW_ENDPOINT}),
    (
        "CreateDBProxyEndpoint",
        "DBProxyEndpointAlreadyExistsFault",
        {"DBProxyName": "small", **NEW_ENDPOINT, "DBProxyEndpointName": "Reader"},
    ),
    (
        "CreateDBProxyEndpoint",
        "DBProxyEndpointAlreadyExistsFault",  # the default endpoint has its proxy's name
        {"DBProxyName": "small", **NEW_ENDPOINT, "DBProxyEndpointName": "main"},
    ),
    (
        "CreateDBProxyEndpoint",
        "DBProxyEndpointAlreadyExistsFault",  # which is told before the quota
        {"DBProxyName": "main", **NEW_ENDPOINT, "DBProxyEndpointName": "reader"},
    ),
    ("CreateDBProxyEndpoint", "DBProxyEndpointQuotaExceededFault", {"DBProxyName": "main", **NEW_ENDPOINT}),
    ("CreateDBProxyEndpoint", "InvalidDBProxyStateFault", {"DBProxyName": "leaving", **NEW_ENDPOINT}),
    ("CreateDBProxyEndpoint", "InvalidSubnet", {"DBProxyName": "small", **NEW_ENDPOINT, "VpcSubnetIds": "unknown"}),
    ("CreateDBProxyEndpoint", "InvalidSubnet", {"DBProxyName": "small", **NEW_ENDPOINT, "VpcSubnetIds": "one zone"}),
    ("ModifyDBProxyEndpoint", "DBProxyEndpointNotFoundFault", {"DBProxyEndpointName": "absent"}),
    (
        "ModifyDBProxyEndpoint",
        "DBProxyEndpointAlreadyExistsFault",
        {"DBProxyEndpointName": "reader", "NewDBProxyEndpointName": "going"},
    ),
    ("ModifyDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", {"DBProxyEndpointName": "going"}),
    (
        "ModifyDBProxyEndpoint",
        "InvalidDBProxyEndpointStateFault",
        {"DBProxyEndpointName": "main", "NewDBProxyEndpointName": "new"},
    ),
    ("ModifyDBProxyEndpoint", "InvalidDBProxyStateFault", {"DBProxyEndpointName": "leaving"}),
    ("ModifyDBProxyEndpoint", "InvalidDBProxyStateFault", {"DBProxyEndpointName": "last"}),
    ("DeleteDBProxyEndpoint", "DBProxyEndpointNotFoundFault", {"DBProxyEndpointName": "absent"}),
    ("DeleteDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", {"DBProxyEndpointName": "going"}),
    ("DeleteDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", {"DBProxyEndpointName": "main"}),
    ("DescribeDBProxyEndpoints", "DBProxyNotFoundFault", {"DBProxyName": "absent"}),
    ("DescribeDBProxyEndpoints", "DBProxyEndpointNotFoundFault", {"DBProxyEndpointName": "absent"}),
    (
        "DescribeDBProxyEndpoints",
        "DBProxyEndpointNotFoundFault",
        {"DBProxyName": "small", "DBProxyEndpointName": "reader"},
    ),
]
NEVER = {
    ("RegisterDBProxyTargets", "InvalidDBClusterStateFault"): "there are no clusters: each is DBClusterNotFoundFault",
    ("DescribeDBProxyTargets", "DBProxyTargetNotFoundFault"): "no parameter of it names a target",
}


class Arranged:
    """Proxies main (with the target `used`, and the endpoints reader and second), small (in small subnets, with the
    endpoint going, which is being deleted), leaving (being deleted, with its endpoint last), coming (being created);
    and instances used, free and gone (being deleted).
    """

    def __init__(self, running: Running) -> None:
        self.rds = running.client("rds")
        self.subnets = _make_subnets(running.client("ec2"))
        for name in ("main", "leaving"):
            self.call("CreateDBProxy", {**NEW_PROXY, "DBProxyName": name})
        self.call("CreateDBProxy", {**NEW_PROXY, "DBProxyName": "small", "VpcSubnetIds": "little"})
        for number, name in enumerate(("used", "free", "gone")):
            self.rds.create_db_instance(**instance(name, f"127.0.0.1:{7000 + number}"))
        self.rds.register_db_proxy_targets(DBProxyName="main", DBInstanceIdentifiers=["used"])
        for proxy, name in (("main", "reader"), ("main", "second"), ("small", "going"), ("leaving", "last")):
            self.call("CreateDBProxyEndpoint", {**NEW_ENDPOINT, "DBProxyName": proxy, "DBProxyEndpointName": name})
        wait_until(lambda: self.states() == {"available"}, "all is available")
        running.hold()
        self.rds.delete_db_proxy(DBProxyName="leaving")
        self.rds.delete_db_proxy_endpoint(DBProxyEndpointName="going")
        self.rds.delete_db_instance(DBInstanceIdentifier="gone", SkipFinalSnapshot=True)
        self.call("CreateDBProxy", {**NEW_PROXY, "DBProxyName": "coming"})

    def call(self, operation: str, given: Given) -> dict[str, Any]:
        """The operation, with subnets instead of their names."""
        if "VpcSubnetIds" in given:
            given = {**given, "VpcSubnetIds": self.subnets[given["VpcSubnetIds"]]}
        return dict(getattr(self.rds, xform_name(operation))(**given))

    def everything(self) -> list[Any]:
        """What describe calls tell of all that there is."""
        rds = self.rds
        proxies = rds.describe_db_proxies()["DBProxies"]
        named = [one["DBProxyName"] for one in proxies if one["Status"] != "deleting"]
        return [
            proxies,
            rds.describe_db_proxy_endpoints()["DBProxyEndpoints"],
            rds.describe_db_instances()["DBInstances"],
            [rds.describe_db_proxy_target_groups(DBProxyName=name)["TargetGroups"] for name in named],
            [rds.describe_db_proxy_targets(DBProxyName=name)["Targets"] for name in named],
        ]

    def states(self) -> set[str]:
        """Of all proxies and endpoints."""
        proxies, endpoints, *_ = self.everything()
        return {one["Status"] for one in (*proxies, *endpoints)}


def _make_subnets(ec2: Any) -> dict[str, list[str]]:
    """By the names that the table uses."""
    large = ec2.describe_subnets()["Subnets"]
    zones = sorted(str(one["AvailabilityZone"]) for one in large)
    little = [
        ec2.create_subnet(VpcId=large[0]["VpcId"], CidrBlock=f"172.31.255.{16 * at}/28", AvailabilityZone=zone)
        for at, zone in enumerate(zones[:2])
    ]
    return {
        "large": [one["SubnetId"] for one in large],
        "little": [one["Subnet"]["SubnetId"] for one in little],
        "one zone": [large[0]["SubnetId"]],
        "unknown": ["subnet-00000000000000000", large[0]["SubnetId"]],
        "no id": ["subnet-x"],
    }


@pytest.fixture(scope="module")
def arranged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arranged]:
    with Running(tmp_path_factory.mktemp("rds"), QUOTAS) as running:
        yield Arranged(running)
        running.release()


def modelled(operation: str) -> dict[str, tuple[str, int]]:
    """By its code on the wire: the name of the error in boto3, and its HTTP status."""
    shapes = MODEL.operation_model(operation).error_shapes
    return {
        str(one.metadata["error"].get("code", one.name)): (one.name, one.metadata["error"]["httpStatusCode"])
        for one in shapes
    }


def test_no_error_of_the_model_is_forgotten() -> None:
    """The table, with what can't occur, is the model: an error that botocore adds, or a lost case, fails here."""
    known = {(operation, code) for operation in OPERATIONS for code in modelled(operation)}
    tried = {(operation, code) for operation, code, _ in ERRORS}
    assert len(OPERATIONS) == 13
    assert tried | set(NEVER) == known
    assert tried & set(NEVER) == set()


def test_what_never_occurs() -> None:
    """The reasons of NEVER still hold."""
    assert not hasattr(RdsService, "create_db_cluster")
    members = MODEL.operation_model("DescribeDBProxyTargets").input_shape.members
    assert set(members) == {"DBProxyName", "TargetGroupName", "Filters", "Marker", "MaxRecords"}


@pytest.mark.parametrize(
    ("operation", "code", "given"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}-{number}") for number, case in enumerate(ERRORS)],
)
def test_an_error(arranged: Arranged, operation: str, code: str, given: Given) -> None:
    """Its code, status, class in boto3 and a text; and nothing has changed."""
    before = arranged.everything()
    name, status = modelled(operation)[code]
    with pytest.raises(getattr(arranged.rds.exceptions, name)) as caught:
        arranged.call(operation, given)
    assert isinstance(caught.value, ClientError)
    error, metadata = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert (error["Code"], metadata["HTTPStatusCode"]) == (code, status)
    assert status == (404 if "NotFound" in code else 400)
    assert error["Type"] == "Sender"
    assert len(error["Message"]) > 20
    if code == "InvalidDBProxyStateFault":
        assert f"is in the state {'creating' if 'coming' in given.values() else 'deleting'}" in error["Message"]
    assert arranged.everything() == before
