"""Managed policies, the account as a whole, and simulations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ALLOW_ALL, ROOT_KEY, World

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def allowing(action: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_policy(world: World, name: str = "mine", document: str = ALLOW_ALL, **more: Any) -> str:
    arn: str = world.call("CreatePolicy", PolicyName=name, PolicyDocument=document, **more)["Policy"]["Arn"]
    return arn


def test_a_policy_from_first_to_last(world: World) -> None:
    made = world.call("CreatePolicy", PolicyName="mine", Path="/a/", PolicyDocument=ALLOW_ALL, Description="d")[
        "Policy"
    ]
    assert made["PolicyId"].startswith("ANPA")
    assert made["Arn"] == f"{ARN}:policy/a/mine"
    assert (made["DefaultVersionId"], made["AttachmentCount"], made["IsAttachable"]) == ("v1", 0, True)
    assert world.call("GetPolicy", PolicyArn=made["Arn"])["Policy"]["Description"] == "d"
    assert world.fails("EntityAlreadyExists", "CreatePolicy", PolicyName="Mine", PolicyDocument=ALLOW_ALL) == (
        "A policy called Mine already exists. Duplicate names are not allowed."
    )
    foreign = made["Arn"].replace(ACCOUNT, "9" * 12)
    world.fails("AccessDenied", "GetPolicy", PolicyArn=foreign)
    world.role("app")
    world.fails("NoSuchEntity", "AttachRolePolicy", RoleName="app", PolicyArn=foreign)
    for arn in (f"{ARN}:policy/mine", f"{ARN}:policy/a/Mine"):
        assert world.fails("NoSuchEntity", "GetPolicy", PolicyArn=arn) == f"Policy {arn} was not found."
    world.call("DeletePolicy", PolicyArn=made["Arn"])
    assert world.fails("NoSuchEntity", "GetPolicy", PolicyArn=made["Arn"]) == f"Policy {made['Arn']} was not found."


def test_versions(world: World) -> None:
    arn = new_policy(world)
    for number in range(2, 6):
        document = allowing(f"s3:Action{number}")
        made = world.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document, SetAsDefault=number == 3)
        assert made["PolicyVersion"]["VersionId"] == f"v{number}"
        assert made["PolicyVersion"]["IsDefaultVersion"] is (number == 3)
    assert world.fails("LimitExceeded", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW_ALL) == (
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing "
        "version."
    )
    listed = world.call("ListPolicyVersions", PolicyArn=arn, MaxItems=3)
    assert [version["VersionId"] for version in listed["Versions"]] == ["v5", "v4", "v3"]
    listed = world.call("ListPolicyVersions", PolicyArn=arn, Marker=listed["Marker"])
    assert [version["VersionId"] for version in listed["Versions"]] == ["v2", "v1"]
    assert world.fails("DeleteConflict", "DeletePolicyVersion", PolicyArn=arn, VersionId="v3") == (
        "Cannot delete the default version of a policy."
    )
    world.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v5")
    made = world.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=ALLOW_ALL)
    assert made["PolicyVersion"]["VersionId"] == "v6"
    world.call("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v2")
    got = world.call("GetPolicyVersion", PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert got["IsDefaultVersion"] and unquote(got["Document"]) == allowing("s3:Action2")
    assert world.fails("NoSuchEntity", "GetPolicyVersion", PolicyArn=arn, VersionId="v5") == (
        f"Policy {arn} version v5 does not exist or is not attachable."
    )
    assert world.fails("DeleteConflict", "DeletePolicy", PolicyArn=arn).startswith(
        "This policy has more than one version."
    )


def test_attaching(world: World) -> None:
    arn = new_policy(world)
    world.role("app")
    world.call("CreateUser", UserName="alice")
    world.call("CreateGroup", GroupName="team")
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=arn)
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=arn)
    world.call("AttachUserPolicy", UserName="alice", PolicyArn=arn)
    world.call("AttachGroupPolicy", GroupName="team", PolicyArn=arn)
    assert world.call("GetPolicy", PolicyArn=arn)["Policy"]["AttachmentCount"] == 3
    entities = world.call("ListEntitiesForPolicy", PolicyArn=arn)
    assert [one["UserName"] for one in entities["PolicyUsers"]] == ["alice"]
    assert [one["GroupName"] for one in entities["PolicyGroups"]] == ["team"]
    assert [one["RoleName"] for one in entities["PolicyRoles"]] == ["app"]
    assert world.call("ListEntitiesForPolicy", PolicyArn=arn, EntityFilter="Role")["PolicyUsers"] == []
    attached = world.call("ListAttachedRolePolicies", RoleName="app")["AttachedPolicies"]
    assert attached == [{"PolicyName": "mine", "PolicyArn": arn}]
    assert (
        world.fails("DeleteConflict", "DeletePolicy", PolicyArn=arn) == "Cannot delete a policy attached to entities."
    )
    world.call("DetachRolePolicy", RoleName="app", PolicyArn=arn)
    assert world.fails("NoSuchEntity", "DetachRolePolicy", RoleName="app", PolicyArn=arn) == (
        f"Policy {arn} was not found."
    )
    gone = f"{ARN}:policy/gone"
    assert world.fails("NoSuchEntity", "AttachRolePolicy", RoleName="app", PolicyArn=gone) == (
        f"Policy {gone} does not exist or is not attachable."
    )
    assert world.fails("InvalidInput", "AttachRolePolicy", RoleName="app", PolicyArn="a" * 20) == (
        f"ARN {'a' * 20} is not valid."
    )
    service = "arn:aws:iam::aws:policy/aws-service-role/AmazonRDSServiceRolePolicy"
    assert world.fails("PolicyNotAttachable", "AttachRolePolicy", RoleName="app", PolicyArn=service) == (
        "Cannot attach a Service Role Policy to a Customer Role."
    )


def test_ten_policies_a_role(world: World) -> None:
    world.role("app")
    for number in range(10):
        arn = new_policy(world, f"p{number}")
        world.call("AttachRolePolicy", RoleName="app", PolicyArn=arn)
    assert world.fails("LimitExceeded", "AttachRolePolicy", RoleName="app", PolicyArn=READ_ONLY) == (
        "Cannot exceed quota for PoliciesPerRole: 10"
    )


def test_sizes_do_not_count_white_space(world: World) -> None:
    wide = ALLOW_ALL.replace(",", "," + " " * 3000)
    new_policy(world, "wide", wide)
    long = allowing("s3:" + "a" * 6200)
    assert world.fails("LimitExceeded", "CreatePolicy", PolicyName="long", PolicyDocument=long) == (
        "Cannot exceed quota for PolicySize: 6144"
    )


def test_listing_policies(world: World) -> None:
    arn = new_policy(world, Path="/x/")
    local = world.call("ListPolicies", Scope="Local")["Policies"]
    assert [policy["Arn"] for policy in local] == [arn] and "Description" not in local[0]
    assert world.call("ListPolicies", Scope="Local", OnlyAttached=True)["Policies"] == []
    world.role("app")
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=READ_ONLY)
    attached = world.call("ListPolicies", OnlyAttached=True)["Policies"]
    assert [(policy["Arn"], policy["AttachmentCount"]) for policy in attached] == [(READ_ONLY, 1)]
    jobs = world.call("ListPolicies", Scope="AWS", PathPrefix="/job-function/", MaxItems=1000)
    assert "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess" in {one["Arn"] for one in jobs["Policies"]}
    count, marker = 0, None
    while True:
        page = world.call("ListPolicies", MaxItems=1000, **({"Marker": marker} if marker else {}))
        count += len(page["Policies"])
        marker = page.get("Marker")
        if marker is None:
            break
    assert count > 1500


def test_policies_of_aws_are_not_ours_to_change(world: World) -> None:
    for operation, parameters in (
        ("DeletePolicy", {}),
        ("CreatePolicyVersion", {"PolicyDocument": ALLOW_ALL}),
        ("TagPolicy", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ):
        message = world.fails("AccessDenied", operation, PolicyArn=READ_ONLY, **parameters)
        assert message == (
            f"User: {ARN}:root is not authorized to perform: iam:{operation} on resource: policy {READ_ONLY}"
        )
    versions = world.call("ListPolicyVersions", PolicyArn=READ_ONLY)["Versions"]
    got = world.call("GetPolicyVersion", PolicyArn=READ_ONLY, VersionId=versions[0]["VersionId"])["PolicyVersion"]
    assert got["IsDefaultVersion"] and json.loads(unquote(got["Document"]))["Version"] == "2012-10-17"


def test_the_account(world: World) -> None:
    arn = new_policy(world)
    world.user("alice", ALLOW_ALL)
    world.call("CreateGroup", GroupName="team")
    world.call("AddUserToGroup", UserName="alice", GroupName="team")
    world.role("app")
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=arn)
    world.call("AttachRolePolicy", RoleName="app", PolicyArn=READ_ONLY)
    summary = world.call("GetAccountSummary")["SummaryMap"]
    assert (summary["Users"], summary["Groups"], summary["Roles"], summary["Policies"]) == (1, 1, 1, 1)
    details = world.call("GetAccountAuthorizationDetails")
    (user,) = details["UserDetailList"]
    assert (user["GroupList"], [one["PolicyName"] for one in user["UserPolicyList"]]) == (["team"], ["p0"])
    (role,) = details["RoleDetailList"]
    assert {one["PolicyArn"] for one in role["AttachedManagedPolicies"]} == {arn, READ_ONLY}
    assert {policy["Arn"] for policy in details["Policies"]} == {arn, READ_ONLY}
    local = world.call("GetAccountAuthorizationDetails", Filter=["LocalManagedPolicy"])
    assert [policy["Arn"] for policy in local["Policies"]] == [arn] and local["UserDetailList"] == []
    first = world.call("GetAccountAuthorizationDetails", MaxItems=2)
    rest = world.call("GetAccountAuthorizationDetails", MaxItems=100, Marker=first["Marker"])
    assert [len(first[name]) + len(rest[name]) for name in ("UserDetailList", "RoleDetailList", "Policies")] == [
        1,
        1,
        2,
    ]


def test_the_alias(world: World) -> None:
    world.call("CreateAccountAlias", AccountAlias="first")
    world.call("CreateAccountAlias", AccountAlias="second")
    assert world.call("ListAccountAliases")["AccountAliases"] == ["second"]
    world.fails("EntityAlreadyExists", "CreateAccountAlias", AccountAlias="second")
    world.fails("NoSuchEntity", "DeleteAccountAlias", AccountAlias="first")
    world.call("DeleteAccountAlias", AccountAlias="second")
    assert world.call("ListAccountAliases")["AccountAliases"] == []


def test_simulating_given_policies(world: World) -> None:
    answer = world.call(
        "SimulateCustomPolicy",
        PolicyInputList=[allowing("s3:Get*", Condition={"Bool": {"aws:SecureTransport": "true"}})],
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::bucket/x"],
        ContextEntries=[
            {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}
        ],
    )
    get, put = answer["EvaluationResults"]
    assert (get["EvalActionName"], get["EvalDecision"], get["EvalResourceName"]) == (
        "s3:GetObject",
        "allowed",
        "arn:aws:s3:::bucket/x",
    )
    assert get["MatchedStatements"] == [{"SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "none"}]
    assert put["EvalDecision"] == "implicitDeny" and put["MatchedStatements"] == []
    without = world.call(
        "SimulateCustomPolicy",
        PolicyInputList=[allowing("s3:Get*", Condition={"Bool": {"aws:SecureTransport": "true"}})],
        ActionNames=["s3:GetObject"],
    )["EvaluationResults"][0]
    assert (without["EvalDecision"], without["MissingContextValues"]) == ("implicitDeny", ["aws:SecureTransport"])
    assert world.fails("InvalidInput", "SimulateCustomPolicy", PolicyInputList=["{"], ActionNames=["s3:Get"]) == (
        "Invalid policy at PolicyInputList.1: Syntax errors in policy."
    )


def test_simulating_somebody(world: World) -> None:
    world.user("alice", allowing("rds:*"))
    arn = new_policy(
        world, "deny", ALLOW_ALL.replace("Allow", "Deny").replace('"Action":"*"', '"Action":"rds:Delete*"')
    )
    world.call("CreateGroup", GroupName="team")
    world.call("AttachGroupPolicy", GroupName="team", PolicyArn=arn)
    world.call("AddUserToGroup", UserName="alice", GroupName="team")
    actions = ["rds:CreateDBProxy", "rds:DeleteDBProxy", "s3:GetObject"]
    answer = world.call("SimulatePrincipalPolicy", PolicySourceArn=f"{ARN}:user/alice", ActionNames=actions)
    results = {one["EvalActionName"]: one for one in answer["EvaluationResults"]}
    assert [results[action]["EvalDecision"] for action in actions] == ["allowed", "explicitDeny", "implicitDeny"]
    assert results["rds:DeleteDBProxy"]["MatchedStatements"] == [
        {"SourcePolicyId": "deny", "SourcePolicyType": "user-managed"}
    ]
    assert results["rds:CreateDBProxy"]["MatchedStatements"] == [
        {"SourcePolicyId": "user_alice_p0", "SourcePolicyType": "user"}
    ]
    bounded = world.call(
        "SimulatePrincipalPolicy",
        PolicySourceArn=f"{ARN}:user/alice",
        ActionNames=actions[:1],
        PermissionsBoundaryPolicyInputList=[allowing("s3:*")],
    )["EvaluationResults"][0]
    assert bounded["EvalDecision"] == "implicitDeny"
    assert bounded["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    group = world.call("SimulatePrincipalPolicy", PolicySourceArn=f"{ARN}:group/team", ActionNames=actions)
    assert [one["EvalDecision"] for one in group["EvaluationResults"]] == [
        "implicitDeny",
        "explicitDeny",
        "implicitDeny",
    ]
    world.fails("NoSuchEntity", "SimulatePrincipalPolicy", PolicySourceArn=f"{ARN}:user/bob", ActionNames=actions)
    world.fails("InvalidInput", "SimulatePrincipalPolicy", PolicySourceArn=f"{ARN}:policy/x", ActionNames=actions)


def test_context_keys(world: World) -> None:
    document = allowing("s3:*", Condition={"StringLike": {"s3:Prefix": "${aws:username}/*"}})
    keys = world.call("GetContextKeysForCustomPolicy", PolicyInputList=[document])["ContextKeyNames"]
    assert keys == ["aws:username", "s3:Prefix"]
    world.user("alice", document)
    keys = world.call("GetContextKeysForPrincipalPolicy", PolicySourceArn=f"{ARN}:user/alice")["ContextKeyNames"]
    assert keys == ["aws:username", "s3:Prefix"]
    assert world.key(ROOT_KEY) is not None
