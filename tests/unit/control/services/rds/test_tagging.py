"""Tags of all that has tags."""

from __future__ import annotations

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, REGION, Stage


def arns(stage: Stage) -> dict[str, str]:
    stage.call("CreateDBSubnetGroup", DBSubnetGroupName="g", DBSubnetGroupDescription="d", SubnetIds=stage.subnets)
    instance = stage.create_instance(Tags=[{"Key": "tidegate:address", "Value": "127.0.0.1:5433"}])
    return {
        "db-proxy": stage.create_proxy()["DBProxyArn"],
        "db-proxy-endpoint": stage.create_endpoint("reader")["DBProxyEndpointArn"],
        "target-group": stage.call("DescribeDBProxyTargetGroups", DBProxyName="main")["TargetGroups"][0][
            "TargetGroupArn"
        ],
        "db": instance["DBInstanceArn"],
        "subgrp": f"arn:aws:rds:{REGION}:{ACCOUNT}:subgrp:g",
    }


def tags(stage: Stage, arn: str) -> dict[str, str]:
    listed = stage.call("ListTagsForResource", ResourceName=arn)["TagList"]
    return {tag["Key"]: tag["Value"] for tag in listed if tag["Key"] != "tidegate:address"}


@pytest.mark.parametrize("kind", ["db-proxy", "db-proxy-endpoint", "target-group", "db", "subgrp"])
def test_tags_are_added_and_removed(stage: Stage, kind: str) -> None:
    arn = arns(stage)[kind]
    given = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert stage.call("AddTagsToResource", ResourceName=arn, Tags=given) == {}
    stage.call("AddTagsToResource", ResourceName=arn, Tags=[{"Key": "a", "Value": "3"}])
    assert tags(stage, arn) == {"a": "3", "b": "2"}
    stage.guard.asked.clear()
    assert stage.call("RemoveTagsFromResource", ResourceName=arn, TagKeys=["b", "absent"]) == {}
    assert tags(stage, arn) == {"a": "3"}
    action, resource, context = stage.guard.asked[0]
    assert (action, resource) == ("rds:RemoveTagsFromResource", arn)
    assert (context["aws:ResourceTag/b"], context["aws:TagKeys"]) == ("2", ["b", "absent"])


def test_tags_change_nothing_that_runs(stage: Stage) -> None:
    arn = arns(stage)["db-proxy"]
    stage.settle()
    before = stage.plan()
    stage.call("AddTagsToResource", ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}])
    assert stage.plan() == before


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ("db-proxy:prx-x", "DBProxyNotFoundFault"),
        ("db-proxy-endpoint:prx-endpoint-x", "DBProxyEndpointNotFoundFault"),
        ("target-group:prx-tg-x", "DBProxyTargetGroupNotFoundFault"),
        ("db:absent", "DBInstanceNotFound"),
    ],
)
def test_resources_that_are_not_there(stage: Stage, resource: str, code: str) -> None:
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{resource}"
    stage.refused("ListTagsForResource", code, ResourceName=arn)
    stage.guard.refused = {"rds:ListTagsForResource"}
    stage.refused("ListTagsForResource", "AccessDenied", ResourceName=arn)


@pytest.mark.parametrize(
    "arn",
    [
        "prx-1",
        f"arn:aws:rds:us-east-1:{ACCOUNT}:db:db1",
        f"arn:aws:rds:{REGION}:999999999999:db:db1",
        f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:c",
        f"arn:aws:rds:{REGION}:{ACCOUNT}:db",
        f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{'x' * 1024}",
    ],
)
def test_names_of_nothing(stage: Stage, arn: str) -> None:
    stage.refused("ListTagsForResource", "InvalidParameterValue", ResourceName=arn)


def test_there_are_fifty_tags_at_most(stage: Stage) -> None:
    arn = arns(stage)["db-proxy"]
    stage.call("AddTagsToResource", ResourceName=arn, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    one_more = [{"Key": "more", "Value": ""}]
    error = stage.refused("AddTagsToResource", "InvalidParameterValue", ResourceName=arn, Tags=one_more)
    assert error.message == "A resource can have at most 50 tags, not 51."
