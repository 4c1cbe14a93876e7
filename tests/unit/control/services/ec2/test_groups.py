"""Security groups and their rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.services.ec2.stage import Stage, tags
from tests.unit.control.services.rds.stage import ACCOUNT
from tidegate.control.services.ec2.base import Limits

POSTGRES = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432}


def group(stage: Stage, identifier: str) -> dict[str, Any]:
    return dict(stage.call("DescribeSecurityGroups", GroupIds=[identifier])["SecurityGroups"][0])


def test_a_group_from_its_making_to_its_end(stage: Stage) -> None:
    web = stage.create_group(TagSpecifications=tags("security-group", a="b"))
    told = group(stage, web)
    assert (told["GroupName"], told["Description"], told["VpcId"], told["Tags"]) == (
        "web",
        "d",
        stage.vpc,
        [{"Key": "a", "Value": "b"}],
    )
    assert told["IpPermissions"] == []
    assert told["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert stage.call("DeleteSecurityGroup", GroupId=web) == {"Return": True, "GroupId": web}
    for operation, named in (
        ("DeleteSecurityGroup", {"GroupId": web}),
        ("DescribeSecurityGroups", {"GroupIds": [web]}),
    ):
        stage.refused(operation, "InvalidGroup.NotFound", **named)


def test_rules_are_told_as_permissions_and_one_by_one(stage: Stage) -> None:
    app, web = stage.create_group("app"), stage.create_group("web")
    answer = stage.call(
        "AuthorizeSecurityGroupIngress",
        GroupId=web,
        IpPermissions=[
            {
                **POSTGRES,
                "IpRanges": [{"CidrIp": "10.0.0.1/8", "Description": "inside"}],
                "UserIdGroupPairs": [{"GroupId": app}],
            },
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ],
    )
    told = group(stage, web)["IpPermissions"]
    assert told == [
        {
            "IpProtocol": "tcp",
            "FromPort": 5432,
            "ToPort": 5432,
            "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [{"GroupId": app, "UserId": ACCOUNT}],
        },
        {
            "IpProtocol": "-1",
            "IpRanges": [],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        },
    ]
    ids = {rule["SecurityGroupRuleId"] for rule in answer["SecurityGroupRules"]}
    listed = stage.call("DescribeSecurityGroupRules", Filters=[{"Name": "group-id", "Values": [web]}])
    assert {rule["SecurityGroupRuleId"] for rule in listed["SecurityGroupRules"] if not rule["IsEgress"]} == ids
    assert stage.found("DescribeSecurityGroups", "SecurityGroups", "GroupId", {"ip-permission.from-port": "5432"}) == [
        web
    ]
    error = stage.refused("DeleteSecurityGroup", "DependencyViolation", GroupId=app)
    assert "has a dependent object" in error.message


def test_rules_are_revoked_by_what_they_say_or_by_id(stage: Stage) -> None:
    web = stage.create_group()
    cidr = {**POSTGRES, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    stage.call("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[cidr])
    stage.call("AuthorizeSecurityGroupIngress", GroupName="web", CidrIp="11.0.0.0/8", **POSTGRES)
    error = stage.refused(
        "AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", GroupId=web, IpPermissions=[cidr]
    )
    assert 'the specified rule "peer: 10.0.0.0/8, TCP, from port: 5432, to port: 5432, ALLOW" already' in error.message
    answer = stage.call("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[cidr])
    assert [rule["CidrIpv4"] for rule in answer["RevokedSecurityGroupRules"]] == ["10.0.0.0/8"]
    stage.refused("RevokeSecurityGroupIngress", "InvalidPermission.NotFound", GroupId=web, IpPermissions=[cidr])
    rules = stage.call("DescribeSecurityGroupRules")["SecurityGroupRules"]
    own = {rule["IsEgress"]: rule["SecurityGroupRuleId"] for rule in rules if rule["GroupId"] == web}
    code = "InvalidSecurityGroupRuleId.NotFound"
    stage.refused("RevokeSecurityGroupIngress", code, GroupId=web, SecurityGroupRuleIds=[own[True]])
    stage.call("RevokeSecurityGroupIngress", GroupId=web, SecurityGroupRuleIds=[own[False]])
    stage.call("RevokeSecurityGroupEgress", GroupId=web, SecurityGroupRuleIds=[own[True]])
    told = group(stage, web)
    assert (told["IpPermissions"], told["IpPermissionsEgress"]) == ([], [])


@pytest.mark.parametrize(
    ("permission", "code"),
    [
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**POSTGRES, "ToPort": 5431, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**POSTGRES, "ToPort": 65536, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**POSTGRES, "IpRanges": [{"CidrIp": "10.0.0.300/8"}]}, "InvalidParameterValue"),
        ({**POSTGRES, "IpRanges": [{"CidrIp": "::/0"}]}, "InvalidParameterValue"),
        ({**POSTGRES, "UserIdGroupPairs": [{"GroupId": "sg-x"}]}, "InvalidGroup.NotFound"),
        ({**POSTGRES, "UserIdGroupPairs": [{"GroupName": "web"}]}, "MissingParameter"),
        ({"IpProtocol": "256", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "tpc", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "MissingParameter"),
        (POSTGRES, "MissingParameter"),
        ({**POSTGRES, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x" * 256}]}, "InvalidParameterValue"),
    ],
)
def test_rules_that_can_not_be(stage: Stage, permission: dict[str, Any], code: str) -> None:
    web = stage.create_group()
    stage.refused("AuthorizeSecurityGroupIngress", code, GroupId=web, IpPermissions=[permission])


def test_groups_that_can_not_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Limits(groups=2, rules=1))
    web = stage.create_group()
    create = "CreateSecurityGroup"
    given = {"GroupName": "other", "Description": "d"}
    stage.refused(create, "InvalidGroup.Duplicate", **given | {"GroupName": "web"})
    stage.refused(create, "SecurityGroupLimitExceeded", **given)
    stage.refused(create, "InvalidVpcID.NotFound", **given, VpcId="vpc-x")
    for name in ("sg-1", "default", "x" * 256, "a|b"):
        stage.refused(create, "InvalidParameterValue", **given | {"GroupName": name})
    stage.refused(create, "InvalidParameterValue", **given | {"Description": "é"})
    rules = [{**POSTGRES, "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "11.0.0.0/8"}]}]
    code = "RulesPerSecurityGroupLimitExceeded"
    stage.refused("AuthorizeSecurityGroupIngress", code, GroupId=web, IpPermissions=rules)
    (default,) = stage.found("DescribeSecurityGroups", "SecurityGroups", "GroupId", {"group-name": "default"})
    stage.refused("DeleteSecurityGroup", "CannotDelete", GroupId=default)
    stage.refused("AuthorizeSecurityGroupEgress", "MissingParameter", GroupId=web)
    stage.refused("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", GroupName="absent")
    stage.refused("DescribeSecurityGroups", "InvalidGroup.NotFound", GroupNames=["absent"])


def test_all_kinds_of_peers_and_protocols(stage: Stage) -> None:
    web = stage.create_group()
    permissions = [
        {"IpProtocol": "1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "58", "FromPort": 1, "ToPort": 2, "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}]},
        {"IpProtocol": "50", "PrefixListIds": [{"PrefixListId": "pl-1", "Description": "list"}]},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
    ]
    tagged = tags("security-group-rule", a="b")
    made = stage.call(
        "AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=permissions, TagSpecifications=tagged
    )["SecurityGroupRules"]
    told = [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in made]
    assert told == [("icmp", -1, -1), ("icmpv6", 1, 2), ("50", -1, -1), ("-1", -1, -1)]
    assert all(rule["Tags"] == [{"Key": "a", "Value": "b"}] for rule in made)
    assert group(stage, web)["IpPermissions"][2]["PrefixListIds"] == [{"PrefixListId": "pl-1", "Description": "list"}]
    error = stage.refused(
        "AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", GroupId=web, IpPermissions=permissions[3:]
    )
    assert '"peer: 10.0.0.0/8, ALL, ALLOW"' in error.message
    named = {"GroupId": web, "IpProtocol": "tcp", "SourceSecurityGroupName": "web"}
    stage.refused("AuthorizeSecurityGroupIngress", "InvalidParameterCombination", **named)


def test_a_group_that_a_proxy_has_stays(stage: Stage) -> None:
    web = stage.create_group()
    stage.service.used = lambda _, identifier: "DB proxy main" if identifier == web else None
    error = stage.refused("DeleteSecurityGroup", "DependencyViolation", GroupId=web)
    assert error.message == f"resource {web} is used by DB proxy main and cannot be deleted."


def test_without_a_default_vpc_a_group_needs_one(stage: Stage) -> None:
    for subnet in stage.call("DescribeSubnets")["Subnets"]:
        stage.call("DeleteSubnet", SubnetId=subnet["SubnetId"])
    gateway = stage.call("DescribeInternetGateways")["InternetGateways"][0]["InternetGatewayId"]
    stage.call("DetachInternetGateway", InternetGatewayId=gateway, VpcId=stage.vpc)
    stage.call("DeleteVpc", VpcId=stage.vpc)
    stage.refused("CreateSecurityGroup", "MissingParameter", GroupName="web", Description="d")


def test_who_may_not_does_not_learn_which_names_there_are(stage: Stage) -> None:
    stage.create_group()
    stage.guard.refused = {"ec2:DeleteSecurityGroup"}
    there = stage.refused("DeleteSecurityGroup", "UnauthorizedOperation", GroupName="web")
    assert there.message == stage.refused("DeleteSecurityGroup", "UnauthorizedOperation", GroupName="absent").message
