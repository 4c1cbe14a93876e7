"""CreateDBProxyEndpoint, ModifyDBProxyEndpoint, DeleteDBProxyEndpoint, DescribeDBProxyEndpoints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, NOW, REGION, Stage
from tidegate.control.services.ec2.records import SecurityGroup
from tidegate.control.services.rds.settings import Settings


def test_a_created_endpoint_is_told_as_it_was_wanted(stage: Stage) -> None:
    stage.create_proxy()
    made = stage.create_endpoint("reader", TargetRole="READ_ONLY", Tags=[{"Key": "a", "Value": "b"}])
    arn, host = made["DBProxyEndpointArn"], made["Endpoint"]
    assert re.fullmatch(rf"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy-endpoint:prx-endpoint-[0-9a-f]{{17}}", arn)
    assert host != stage.proxy()["Endpoint"]
    assert made == {
        "DBProxyEndpointName": "reader",
        "DBProxyEndpointArn": arn,
        "DBProxyName": "main",
        "Status": "creating",
        "VpcId": stage.vpc,
        "VpcSecurityGroupIds": [stage.group],
        "VpcSubnetIds": stage.subnets,
        "Endpoint": host,
        "CreatedDate": datetime.fromtimestamp(NOW, UTC),
        "TargetRole": "READ_ONLY",
        "IsDefault": False,
        "EndpointNetworkType": "IPV4",
    }
    stage.settle()
    told = stage.call("DescribeDBProxyEndpoints", DBProxyEndpointName="READER")["DBProxyEndpoints"]
    assert told == [made | {"Status": "available"}]
    desired = {end.name: (end.host, end.port, end.read_only, end.names) for end in stage.desired().endpoints}
    assert desired["reader"] == (host, 5432, True, (host,))


def test_a_proxy_comes_with_an_endpoint_of_its_name(stage: Stage) -> None:
    proxy = stage.create_proxy("Main")
    (end,) = stage.call("DescribeDBProxyEndpoints", DBProxyEndpointName="main")["DBProxyEndpoints"]
    told = {name: end[name] for name in ("DBProxyEndpointName", "IsDefault", "TargetRole", "Endpoint", "Status")}
    assert told == {
        "DBProxyEndpointName": "Main",
        "IsDefault": True,
        "TargetRole": "READ_WRITE",
        "Endpoint": proxy["Endpoint"],
        "Status": "available",
    }


def test_an_endpoint_that_can_not_be(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    given = {"DBProxyName": "main", "DBProxyEndpointName": "other", "VpcSubnetIds": stage.subnets}
    create = "CreateDBProxyEndpoint"
    stage.refused(create, "DBProxyNotFoundFault", **given | {"DBProxyName": "absent"})
    stage.refused(create, "DBProxyEndpointAlreadyExistsFault", **given | {"DBProxyEndpointName": "Reader"})
    stage.refused(create, "DBProxyEndpointAlreadyExistsFault", **given | {"DBProxyEndpointName": "main"})
    stage.refused(create, "InvalidSubnet", **given | {"VpcSubnetIds": ["subnet-x"]})
    stage.refused(create, "InvalidSubnet", **given | {"VpcSubnetIds": stage.subnets[:1]})
    stage.refused(create, "InvalidParameterValue", **given | {"TargetRole": "WRITE_ONLY"})
    stage.refused(create, "InvalidParameterValue", **given | {"DBProxyEndpointName": "a_b"})
    stage.refused(create, "MissingParameter", **given | {"DBProxyEndpointName": ""})
    stage.refused(create, "InvalidParameterValue", **given | {"VpcSecurityGroupIds": ["sg-x"]})


@pytest.mark.parametrize("under_way", ["creating", "deleting"])
def test_no_endpoint_for_a_proxy_that_comes_or_goes(stage: Stage, under_way: str) -> None:
    stage.create_proxy(settled=under_way == "deleting")
    if under_way == "deleting":
        stage.call("DeleteDBProxy", DBProxyName="main")
    given = {"DBProxyName": "main", "DBProxyEndpointName": "reader", "VpcSubnetIds": stage.subnets}
    error = stage.refused("CreateDBProxyEndpoint", "InvalidDBProxyStateFault", **given)
    assert f"is in the state {under_way}" in error.message


def test_there_are_twenty_endpoints_at_most(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(endpoints=2))
    stage.create_proxy()
    stage.create_endpoint("one")
    stage.create_endpoint("two")
    given = {"DBProxyName": "main", "DBProxyEndpointName": "three", "VpcSubnetIds": stage.subnets}
    stage.refused("CreateDBProxyEndpoint", "DBProxyEndpointQuotaExceededFault", **given)
    assert Settings().endpoints == 20


def test_an_endpoint_is_renamed_and_gets_security_groups(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    stage.settle()
    with stage.transaction() as transaction:
        group = SecurityGroup(identifier="sg-3", name="three", description="d", vpc_id=stage.vpc)
        transaction.table(SecurityGroup).put(group)
    before = stage.call("DescribeDBProxyEndpoints", DBProxyEndpointName="reader")["DBProxyEndpoints"][0]
    changed = stage.call(
        "ModifyDBProxyEndpoint",
        DBProxyEndpointName="reader",
        NewDBProxyEndpointName="Readers",
        VpcSecurityGroupIds=["sg-3"],
    )["DBProxyEndpoint"]
    assert changed == before | {
        "DBProxyEndpointName": "Readers",
        "VpcSecurityGroupIds": ["sg-3"],
        "Status": "modifying",
    }
    error = stage.refused("ModifyDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", DBProxyEndpointName="Readers")
    assert error.message.endswith("Readers is in the state modifying.")
    stage.settle()
    told = stage.call("DescribeDBProxyEndpoints", DBProxyEndpointName="readers")["DBProxyEndpoints"]
    assert told == [changed | {"Status": "available"}]
    stage.refused("DescribeDBProxyEndpoints", "DBProxyEndpointNotFoundFault", DBProxyEndpointName="reader")


def test_a_change_that_can_not_be(stage: Stage) -> None:
    stage.create_proxy()
    for name in ("one", "two"):
        stage.create_endpoint(name)
    stage.settle()
    modify = "ModifyDBProxyEndpoint"
    stage.refused(modify, "DBProxyEndpointNotFoundFault", DBProxyEndpointName="absent")
    stage.refused(modify, "InvalidParameterValue", DBProxyEndpointName="default/prx-1")
    stage.refused(modify, "MissingParameter")
    for taken in ("Two", "main"):
        stage.refused(
            modify,
            "DBProxyEndpointAlreadyExistsFault",
            DBProxyEndpointName="one",
            NewDBProxyEndpointName=taken,
        )
    error = stage.refused(
        modify,
        "InvalidDBProxyEndpointStateFault",
        DBProxyEndpointName="main",
        NewDBProxyEndpointName="other",
    )
    assert "is the default endpoint, which can't be renamed" in error.message
    stage.call("DeleteDBProxy", DBProxyName="main")
    stage.refused(modify, "InvalidDBProxyStateFault", DBProxyEndpointName="one")


def test_a_deleted_endpoint_goes_when_it_is_settled(stage: Stage) -> None:
    stage.create_proxy()
    made = stage.create_endpoint("reader")
    gone = stage.call("DeleteDBProxyEndpoint", DBProxyEndpointName="reader")["DBProxyEndpoint"]
    assert gone == made | {"Status": "deleting"}
    assert [end.name for end in stage.desired().endpoints] == ["main"]
    stage.refused("DeleteDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", DBProxyEndpointName="reader")
    stage.settle()
    stage.refused("DeleteDBProxyEndpoint", "DBProxyEndpointNotFoundFault", DBProxyEndpointName="reader")
    error = stage.refused("DeleteDBProxyEndpoint", "InvalidDBProxyEndpointStateFault", DBProxyEndpointName="main")
    assert "is the default endpoint, which goes with its proxy only" in error.message


def test_endpoints_are_found_by_proxy_and_name(stage: Stage) -> None:
    for proxy in ("main", "other"):
        stage.create_proxy(proxy)
    stage.create_endpoint("reader")

    def names(**given: object) -> set[str]:
        return {
            end["DBProxyEndpointName"] for end in stage.call("DescribeDBProxyEndpoints", **given)["DBProxyEndpoints"]
        }

    assert names() == {"main", "other", "reader"}
    assert names(DBProxyName="main") == {"main", "reader"}
    assert names(DBProxyName="main", DBProxyEndpointName="Reader") == {"reader"}
    describe = "DescribeDBProxyEndpoints"
    stage.refused(describe, "DBProxyNotFoundFault", DBProxyName="absent")
    stage.refused(describe, "DBProxyEndpointNotFoundFault", DBProxyEndpointName="absent")
    stage.refused(describe, "DBProxyEndpointNotFoundFault", DBProxyName="other", DBProxyEndpointName="reader")
    stage.refused(describe, "InvalidParameterValue", MaxRecords=5)


@pytest.mark.parametrize("operation", ["ModifyDBProxyEndpoint", "DeleteDBProxyEndpoint", "DescribeDBProxyEndpoints"])
def test_who_may_not_does_not_learn_what_there_is(stage: Stage, operation: str) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    stage.guard.refused = {f"rds:{operation}"}
    there = stage.refused(operation, "AccessDenied", DBProxyEndpointName="reader")
    assert there.message == stage.refused(operation, "AccessDenied", DBProxyEndpointName="absent").message


def test_security_groups_of_the_default_endpoint_are_the_proxys(stage: Stage) -> None:
    stage.create_proxy()
    with stage.transaction() as transaction:
        group = SecurityGroup(identifier="sg-3", name="three", description="d", vpc_id=stage.vpc)
        transaction.table(SecurityGroup).put(group)
    stage.call("ModifyDBProxyEndpoint", DBProxyEndpointName="main", VpcSecurityGroupIds=["sg-3"])
    stage.settle()
    told = stage.proxy()
    assert (told["VpcSecurityGroupIds"], told["Status"]) == (["sg-3"], "available")
