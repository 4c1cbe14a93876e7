"""DB subnet groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, REGION, Stage
from tidegate.control.services.rds.settings import Settings


def given(stage: Stage, **more: object) -> dict[str, object]:
    return {
        "DBSubnetGroupName": "Group 1",
        "DBSubnetGroupDescription": "a group",
        "SubnetIds": stage.subnets[:2],
        **more,
    }


def test_a_subnet_group_from_its_making_to_its_end(stage: Stage) -> None:
    made = stage.call("CreateDBSubnetGroup", **given(stage))["DBSubnetGroup"]
    assert made == {
        "DBSubnetGroupName": "group 1",
        "DBSubnetGroupDescription": "a group",
        "VpcId": stage.vpc,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet,
                "SubnetAvailabilityZone": {"Name": f"{REGION}{zone}"},
                "SubnetOutpost": {},
                "SubnetStatus": "Active",
            }
            for subnet, zone in zip(stage.subnets[:2], "ab", strict=True)
        ],
        "DBSubnetGroupArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:subgrp:group 1",
        "SupportedNetworkTypes": ["IPV4"],
    }
    assert stage.call("DescribeDBSubnetGroups", DBSubnetGroupName="GROUP 1") == {"DBSubnetGroups": [made]}
    changed = stage.call(
        "ModifyDBSubnetGroup", DBSubnetGroupName="group 1", DBSubnetGroupDescription="new", SubnetIds=stage.subnets
    )["DBSubnetGroup"]
    assert (changed["DBSubnetGroupDescription"], len(changed["Subnets"])) == ("new", 3)
    assert stage.call("DescribeDBSubnetGroups") == {"DBSubnetGroups": [changed]}
    assert stage.call("DeleteDBSubnetGroup", DBSubnetGroupName="group 1") == {}
    for operation in ("DeleteDBSubnetGroup", "DescribeDBSubnetGroups"):
        stage.refused(operation, "DBSubnetGroupNotFoundFault", DBSubnetGroupName="group 1")
    stage.refused("ModifyDBSubnetGroup", "DBSubnetGroupNotFoundFault", DBSubnetGroupName="x", SubnetIds=[])


def test_groups_that_can_not_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(subnet_groups=1, subnets_in_group=2))
    create = "CreateDBSubnetGroup"
    error = stage.refused(create, "DBSubnetGroupDoesNotCoverEnoughAZs", **given(stage, SubnetIds=stage.subnets[:1]))
    assert f"Current AZ coverage: {REGION}a." in error.message
    stage.refused(create, "InvalidSubnet", **given(stage, SubnetIds=["subnet-x"]))
    stage.refused(create, "InvalidSubnet", **given(stage, SubnetIds=[stage.subnets[0], stage.other_vpc()[0][1]]))
    stage.refused(create, "InvalidParameterValue", **given(stage, SubnetIds=stage.subnets))
    for name in ("default", "a/b", "x" * 256):
        stage.refused(create, "InvalidParameterValue", **given(stage, DBSubnetGroupName=name))
    stage.refused(create, "MissingParameter", **given(stage, DBSubnetGroupDescription=""))
    stage.call(create, **given(stage))
    stage.refused(create, "DBSubnetGroupAlreadyExists", **given(stage))
    stage.refused(create, "DBSubnetGroupQuotaExceeded", **given(stage, DBSubnetGroupName="other"))
    others = stage.other_vpc()[0]
    stage.refused("ModifyDBSubnetGroup", "InvalidSubnet", DBSubnetGroupName="group 1", SubnetIds=others)


@pytest.mark.parametrize("operation", ["DeleteDBSubnetGroup", "DescribeDBSubnetGroups"])
def test_who_may_not_does_not_learn_what_there_is(stage: Stage, operation: str) -> None:
    stage.call("CreateDBSubnetGroup", **given(stage))
    stage.guard.refused = {f"rds:{operation}"}
    there = stage.refused(operation, "AccessDenied", DBSubnetGroupName="group 1")
    absent = stage.refused(operation, "AccessDenied", DBSubnetGroupName="group 2")
    assert there.message.replace("group 1", "group 2") == absent.message
