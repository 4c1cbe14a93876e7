"""Roles, instance profiles, service-linked roles, tags and boundaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ACCOUNT_TRUST, ALLOW_ALL, RDS_TRUST, World

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def trust(principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_role_from_first_to_last(world: World) -> None:
    made = world.call(
        "CreateRole",
        RoleName="proxy",
        Path="/service-role/",
        AssumeRolePolicyDocument=RDS_TRUST,
        Description="reads secrets",
        MaxSessionDuration=7200,
        Tags=[{"Key": "stage", "Value": "test"}],
    )["Role"]
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    assert made["Arn"] == f"{ARN}:role/service-role/proxy"
    assert unquote(made["AssumeRolePolicyDocument"]) == RDS_TRUST and "{" not in made["AssumeRolePolicyDocument"]
    assert made["RoleLastUsed"] == {}
    world.call("UpdateRole", RoleName="proxy", MaxSessionDuration=3600)
    assert world.call("UpdateRoleDescription", RoleName="proxy", Description="x")["Role"]["Description"] == "x"
    world.call("UpdateAssumeRolePolicy", RoleName="proxy", PolicyDocument=ACCOUNT_TRUST)
    got = world.call("GetRole", RoleName="proxy")["Role"]
    assert (got["MaxSessionDuration"], unquote(got["AssumeRolePolicyDocument"])) == (3600, ACCOUNT_TRUST)
    assert [role["RoleName"] for role in world.call("ListRoles", PathPrefix="/service-role/")["Roles"]] == ["proxy"]
    world.call("DeleteRole", RoleName="proxy")
    assert world.fails("NoSuchEntity", "GetRole", RoleName="proxy") == "The role with name proxy cannot be found."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "This policy contains invalid Json"),
        (ALLOW_ALL, "Has prohibited field Resource"),
        (trust({"AWS": f"{ARN}:user/nobody"}), f'Invalid principal in policy: "AWS":"{ARN}:user/nobody"'),
        (trust({"AWS": f"{ARN}:role/*"}), f'Invalid principal in policy: "AWS":"{ARN}:role/*"'),
        (trust({"AWS": "alice"}), 'Invalid principal in policy: "AWS":"alice"'),
        (trust({"Service": "rds"}), 'Invalid principal in policy: "Service":"rds"'),
    ],
)
def test_trust_policies_that_are_none(world: World, document: str, message: str) -> None:
    parameters = {"RoleName": "x", "AssumeRolePolicyDocument": document}
    assert world.fails("MalformedPolicyDocument", "CreateRole", **parameters) == message
    assert world.call("ListRoles")["Roles"] == []


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": "*"},
        {"AWS": ACCOUNT},
        {"AWS": [f"{ARN}:user/alice", f"{ARN}:role/app", f"{ARN}:root"]},
        {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one"},
        {"AWS": "arn:aws:iam::999999999999:role/elsewhere"},
        {"Service": ["lambda.amazonaws.com", "rds.amazonaws.com"]},
        {"Federated": "cognito-identity.amazonaws.com"},
    ],
)
def test_trust_policies_that_are_some(world: World, principal: Any) -> None:
    world.call("CreateUser", UserName="alice")
    world.role("app")
    world.role("trusting", trust=trust(principal))


def test_limits_of_a_role(world: World) -> None:
    many = trust({"Service": [f"service{number}.amazonaws.com" for number in range(100)]})
    parameters = {"RoleName": "x", "AssumeRolePolicyDocument": many}
    assert world.fails("LimitExceeded", "CreateRole", **parameters) == "Cannot exceed quota for ACLSizePerRole: 2048"
    world.role("app")
    world.fails("EntityAlreadyExists", "CreateRole", RoleName="APP", AssumeRolePolicyDocument=RDS_TRUST)
    big = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": [f"s3:Action{n:05d}" for n in range(350)], "Resource": "*"},
            ],
        }
    )
    world.call("PutRolePolicy", RoleName="app", PolicyName="one", PolicyDocument=big)
    world.call("PutRolePolicy", RoleName="app", PolicyName="one", PolicyDocument=big)
    assert world.fails("LimitExceeded", "PutRolePolicy", RoleName="app", PolicyName="two", PolicyDocument=big) == (
        "Maximum policy size of 10240 bytes exceeded for role app"
    )


def test_what_keeps_a_role(world: World) -> None:
    world.role("app", ALLOW_ALL)
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=READ_ONLY)
    world.call("CreateInstanceProfile", InstanceProfileName="box")
    world.call("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    assert world.required[-1] == ("iam:PassRole", f"{ARN}:role/app")
    steps: list[tuple[str, str, dict[str, Any]]] = [
        (
            "Cannot delete entity, must remove roles from instance profile first.",
            "RemoveRoleFromInstanceProfile",
            {"InstanceProfileName": "box"},
        ),
        ("Cannot delete entity, must detach all policies first.", "DetachRolePolicy", {"PolicyArn": READ_ONLY}),
        ("Cannot delete entity, must delete policies first.", "DeleteRolePolicy", {"PolicyName": "p0"}),
    ]
    for message, operation, parameters in steps:
        assert world.fails("DeleteConflict", "DeleteRole", RoleName="app") == message
        world.call(operation, RoleName="app", **parameters)
    world.call("DeleteRole", RoleName="app")


def test_inline_policies(world: World) -> None:
    world.role("app", ALLOW_ALL)
    got = world.call("GetRolePolicy", RoleName="app", PolicyName="p0")
    assert (got["RoleName"], got["PolicyName"], unquote(got["PolicyDocument"])) == ("app", "p0", ALLOW_ALL)
    assert world.call("ListRolePolicies", RoleName="app")["PolicyNames"] == ["p0"]
    missing = "The role policy with name p9 cannot be found."
    assert world.fails("NoSuchEntity", "GetRolePolicy", RoleName="app", PolicyName="p9") == missing
    assert world.fails("NoSuchEntity", "DeleteRolePolicy", RoleName="app", PolicyName="p9") == missing
    bad = world.fails("MalformedPolicyDocument", "PutRolePolicy", RoleName="app", PolicyName="p", PolicyDocument="{}")
    assert bad == "Syntax errors in policy."
    world.fails("NoSuchEntity", "PutRolePolicy", RoleName="no", PolicyName="p", PolicyDocument=ALLOW_ALL)


def test_instance_profiles(world: World) -> None:
    world.role("app")
    made = world.call("CreateInstanceProfile", InstanceProfileName="box", Path="/x/")["InstanceProfile"]
    assert made["Arn"] == f"{ARN}:instance-profile/x/box" and made["Roles"] == []
    world.call("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    assert world.fails("LimitExceeded", "AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app") == (
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"
    )
    got = world.call("GetInstanceProfile", InstanceProfileName="box")["InstanceProfile"]
    assert [role["RoleName"] for role in got["Roles"]] == ["app"]
    assert len(world.call("ListInstanceProfilesForRole", RoleName="app")["InstanceProfiles"]) == 1
    world.fails("DeleteConflict", "DeleteInstanceProfile", InstanceProfileName="box")
    world.call("RemoveRoleFromInstanceProfile", InstanceProfileName="box", RoleName="app")
    world.fails("NoSuchEntity", "RemoveRoleFromInstanceProfile", InstanceProfileName="box", RoleName="app")
    world.call("DeleteInstanceProfile", InstanceProfileName="box")
    assert world.fails("NoSuchEntity", "GetInstanceProfile", InstanceProfileName="box") == (
        "Instance Profile box cannot be found."
    )


def test_service_linked_roles_belong_to_their_service(world: World) -> None:
    role = world.call("CreateServiceLinkedRole", AWSServiceName="rds.amazonaws.com")["Role"]
    assert role["Arn"] == f"{ARN}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    assert world.fails("InvalidInput", "CreateServiceLinkedRole", AWSServiceName="rds.amazonaws.com") == (
        "Service role name AWSServiceRoleForRDS has been taken in this account, please try a different suffix."
    )
    world.fails("InvalidInput", "CreateServiceLinkedRole", AWSServiceName="nobody.amazonaws.com")
    name = "AWSServiceRoleForRDS"
    protected = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
    for operation, parameters in (
        ("DeleteRole", {}),
        ("AttachRolePolicy", {"PolicyArn": READ_ONLY}),
        ("PutRolePolicy", {"PolicyName": "p", "PolicyDocument": ALLOW_ALL}),
        ("UpdateAssumeRolePolicy", {"PolicyDocument": RDS_TRUST}),
    ):
        assert world.fails("UnmodifiableEntity", operation, RoleName=name, **parameters) == protected
    attached = world.call("ListAttachedRolePolicies", RoleName=name)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonRDSServiceRolePolicy"]
    task = world.call("DeleteServiceLinkedRole", RoleName=name)["DeletionTaskId"]
    assert world.call("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task) == {"Status": "SUCCEEDED"}
    world.fails("NoSuchEntity", "GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task + "x")
    world.fails("NoSuchEntity", "GetRole", RoleName=name)


def test_tags(world: World) -> None:
    world.role("app")
    world.call("TagRole", RoleName="app", Tags=[{"Key": "Team", "Value": "blue"}, {"Key": "x", "Value": ""}])
    world.call("TagRole", RoleName="app", Tags=[{"Key": "team", "Value": "red"}])
    assert world.call("ListRoleTags", RoleName="app")["Tags"] == [
        {"Key": "team", "Value": "red"},
        {"Key": "x", "Value": ""},
    ]
    world.call("UntagRole", RoleName="app", TagKeys=["TEAM", "none"])
    assert [tag["Key"] for tag in world.call("ListRoleTags", RoleName="app")["Tags"]] == ["x"]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    assert world.fails("InvalidInput", "TagRole", RoleName="app", Tags=twice) == (
        "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    )
    world.fails("InvalidInput", "TagRole", RoleName="app", Tags=[{"Key": "aws:x", "Value": "1"}])
    world.fails("ValidationError", "TagRole", RoleName="app", Tags=[{"Key": "a<b", "Value": "1"}])
    many = [{"Key": f"k{number}", "Value": "Größe 1+1=2"} for number in range(50)]
    assert world.fails("LimitExceeded", "TagRole", RoleName="app", Tags=many) == (
        "The number of tags has reached the maximum limit."
    )


def test_boundaries(world: World) -> None:
    world.role("app")
    none = "Role app does not have a permissions boundary."
    assert world.fails("NoSuchEntity", "DeleteRolePermissionsBoundary", RoleName="app") == none
    world.call("PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=READ_ONLY)
    assert world.call("GetRole", RoleName="app")["Role"]["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": READ_ONLY,
    }
    policy = world.call("GetPolicy", PolicyArn=READ_ONLY)["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (0, 1)
    world.call("DeleteRolePermissionsBoundary", RoleName="app")
    gone = f"{ARN}:policy/gone"
    world.fails("NoSuchEntity", "PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=gone)
    world.fails(
        "InvalidInput", "PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=f"{ARN}:user/some-one"
    )
    world.fails("NoSuchEntity", "CreateUser", UserName="alice", PermissionsBoundary=gone)
