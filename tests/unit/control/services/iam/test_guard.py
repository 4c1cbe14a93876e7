"""Who may do what: the guard over everything that can hang on a caller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ACCOUNT_TRUST, ALLOW_ALL, RDS_TRUST, ROOT_KEY, World
from tidegate.control.errors import AwsError
from tidegate.control.services.iam.keys import find_key
from tidegate.control.services.iam.roles import role_may, trusts_service

ARN = f"arn:aws:iam::{ACCOUNT}"
PROXY = f"arn:aws:rds:eu-west-1:{ACCOUNT}:db-proxy:prx-1"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:db-AbCdEf"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def document(effect: str, action: Any, resource: Any = "*", **more: Any) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def asks(
    world: World, who: str, action: str, resource: str = "*", service: str = "rds", **more: Any
) -> AwsError | None:
    """The refusal of what a service would require."""
    with world.transaction() as transaction:
        key = find_key(transaction, who)
        assert key is not None
        call = world.new_call(transaction, key, "Any", service, {})
        try:
            call.require(action, resource, more.get("context"), more.get("resource_policy"))
        except AwsError as error:
            return error
    return None


def refusal(world: World, who: str, action: str, resource: str = "*", **more: Any) -> str | None:
    found = asks(world, who, action, resource, **more)
    return None if found is None else found.message


def test_the_words_of_a_refusal(world: World) -> None:
    alice = world.user("alice")
    found = asks(world, alice, "rds:ModifyDBProxy", PROXY)
    assert found is not None
    assert (found.code, found.status) == ("AccessDenied", 403)
    assert found.message == (
        f"User: {ARN}:user/alice is not authorized to perform: rds:ModifyDBProxy on resource: {PROXY} "
        "because no identity-based policy allows the rds:ModifyDBProxy action"
    )
    assert refusal(world, alice, "rds:DescribeDBProxies") == (
        f"User: {ARN}:user/alice is not authorized to perform: rds:DescribeDBProxies "
        "because no identity-based policy allows the rds:DescribeDBProxies action"
    )
    secret = asks(world, alice, "secretsmanager:GetSecretValue", SECRET, service="secretsmanager")
    assert secret is not None and (secret.code, secret.status) == ("AccessDeniedException", 400)
    vpc = asks(world, alice, "ec2:DescribeVpcs", service="ec2")
    assert vpc is not None and (vpc.code, vpc.status) == ("UnauthorizedOperation", 403)
    assert vpc.message.startswith("You are not authorized to perform this operation. User: ")


def test_policies_come_from_everywhere(world: World) -> None:
    alice = world.user("alice", document("Allow", "rds:Describe*"))
    policy = world.call("CreatePolicy", PolicyName="m", PolicyDocument=document("Allow", "rds:Create*"))["Policy"][
        "Arn"
    ]
    world.call("AttachUserPolicy", UserName="alice", PolicyArn=policy)
    world.call("CreateGroup", GroupName="team")
    world.call("PutGroupPolicy", GroupName="team", PolicyName="g", PolicyDocument=document("Allow", "rds:Modify*"))
    world.call("AttachGroupPolicy", GroupName="team", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    world.call("AddUserToGroup", GroupName="team", UserName="alice")
    for action in ("rds:DescribeDBProxies", "rds:CreateDBProxy", "rds:ModifyDBProxy", "iam:ListUsers"):
        assert refusal(world, alice, action) is None
    assert refusal(world, alice, "rds:DeleteDBProxy") is not None
    world.call("CreatePolicyVersion", PolicyArn=policy, PolicyDocument=document("Deny", "rds:*"), SetAsDefault=True)
    assert "with an explicit deny in an identity-based policy" in str(refusal(world, alice, "rds:ModifyDBProxy"))


def test_a_change_is_in_force_with_the_next_call(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    assert refusal(world, alice, "rds:CreateDBProxy") is None
    world.call("DeleteUserPolicy", UserName="alice", PolicyName="p0")
    assert refusal(world, alice, "rds:CreateDBProxy") is not None


def test_a_boundary(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    boundary = world.call("CreatePolicy", PolicyName="b", PolicyDocument=document("Allow", "rds:*"))["Policy"]["Arn"]
    world.call("PutUserPermissionsBoundary", UserName="alice", PermissionsBoundary=boundary)
    assert refusal(world, alice, "rds:CreateDBProxy") is None
    assert "because no permissions boundary allows the iam:CreateUser action" in str(
        refusal(world, alice, "iam:CreateUser", f"{ARN}:user/x")
    )
    world.fails("DeleteConflict", "DeletePolicy", PolicyArn=boundary)


def test_root_may_everything_but_what_a_resource_denies(world: World) -> None:
    assert refusal(world, ROOT_KEY, "rds:CreateDBProxy") is None
    denying = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"},
        }
    )
    assert "with an explicit deny in a resource-based policy" in str(
        refusal(world, ROOT_KEY, "secretsmanager:GetSecretValue", SECRET, resource_policy=denying)
    )


def test_a_resource_policy_lets_in_alone(world: World) -> None:
    alice = world.user("alice")
    granting = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"AWS": f"{ARN}:user/alice"},
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
            },
        }
    )
    assert refusal(world, alice, "secretsmanager:GetSecretValue", SECRET, resource_policy=granting) is None
    assert refusal(world, alice, "secretsmanager:PutSecretValue", SECRET, resource_policy=granting) is not None
    bob = world.user("bob")
    assert refusal(world, bob, "secretsmanager:GetSecretValue", SECRET, resource_policy=granting) is not None


@pytest.mark.parametrize("granted_to", ["*", {"AWS": f"{ARN}:root"}, {"AWS": f"{ARN}:user/alice"}])
def test_a_federated_user_has_no_more_than_the_session_says(world: World, granted_to: Any) -> None:
    alice = world.user("alice", ALLOW_ALL)
    granting = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Principal": granted_to, "Action": "*", "Resource": "*"},
        }
    )
    for who in (ROOT_KEY, alice):
        given = {"who": who, "service": "sts", "Name": "guest", "Policy": document("Allow", "rds:Describe*")}
        guest = world.call("GetFederationToken", **given)["Credentials"]["AccessKeyId"]
        assert refusal(world, guest, "rds:DescribeDBProxies", resource_policy=granting) is None
        assert refusal(world, guest, "rds:DeleteDBProxy", resource_policy=granting) is not None


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:username": "alice"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "red"}}, False),
        ({"StringEquals": {"aws:PrincipalType": "User"}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": f"{ARN}:user/alice"}}, True),
        ({"StringLike": {"aws:userid": "AIDA*"}}, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"Bool": {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2027-01-15T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2027-01-15T00:00:00Z"}}, False),
        ({"NumericGreaterThanEquals": {"aws:EpochTime": "1800000000"}}, True),
        ({"StringLike": {"aws:UserAgent": "test*"}}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, True),
        ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"StringEquals": {"aws:ResourceTag/stage": "${aws:PrincipalTag/stage, 'dev'}"}}, True),
        ({"StringEquals": {"aws:RequestTag/stage": "dev"}}, False),
    ],
)
def test_what_conditions_are_told(world: World, condition: dict[str, Any], allowed: bool) -> None:
    alice = world.user(
        "alice", document("Allow", "rds:*", Condition=condition), Tags=[{"Key": "Team", "Value": "blue"}]
    )
    context = {"aws:ResourceTag/stage": "dev"}
    assert (refusal(world, alice, "rds:CreateDBProxy", PROXY, context=context) is None) is allowed


def test_iam_is_in_one_region(world: World) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    alice = world.user("alice", document("Allow", "*", Condition=condition))
    assert refusal(world, alice, "iam:ListUsers", service="iam") is None
    assert refusal(world, alice, "rds:DescribeDBProxies") is not None


def test_parameters_can_not_pose_as_the_caller(world: World) -> None:
    alice = world.user("alice", document("Allow", "rds:*", Condition={"StringEquals": {"aws:username": "admin"}}))
    assert refusal(world, alice, "rds:CreateDBProxy", context={"AWS:UserName": "admin"}) is not None


def test_operations_of_iam_tell_their_keys(world: World) -> None:
    only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    condition = {"ArnEquals": {"iam:PolicyARN": only}}
    boundary = {"StringEquals": {"iam:PermissionsBoundary": only}}
    tags = {"StringEquals": {"aws:RequestTag/team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    alice = world.user(
        "alice",
        document("Allow", "iam:AttachRolePolicy", f"{ARN}:role/app-*", Condition=condition),
        document("Allow", "iam:CreateUser", Condition=boundary),
        document("Allow", "iam:TagRole", Condition=tags),
    )
    world.role("app-1")
    world.role("other")
    world.call("AttachRolePolicy", who=alice, RoleName="app-1", PolicyArn=only)
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    world.fails("AccessDenied", "AttachRolePolicy", who=alice, RoleName="app-1", PolicyArn=administrator)
    world.fails("AccessDenied", "AttachRolePolicy", who=alice, RoleName="other", PolicyArn=only)
    world.fails("AccessDenied", "AttachRolePolicy", who=alice, RoleName="unknown", PolicyArn=only)
    world.fails("AccessDenied", "CreateUser", who=alice, UserName="bob")
    world.call("CreateUser", who=alice, UserName="bob", PermissionsBoundary=only)
    world.call("TagRole", who=alice, RoleName="app-1", Tags=[{"Key": "team", "Value": "blue"}])
    more = [{"Key": "team", "Value": "blue"}, {"Key": "x", "Value": "y"}]
    world.fails("AccessDenied", "TagRole", who=alice, RoleName="app-1", Tags=more)


def test_what_is_denied_changes_nothing(world: World) -> None:
    alice = world.user("alice")
    before = world.call("GetAccountSummary")
    for operation, parameters in (
        ("CreateUser", {"UserName": "x"}),
        ("CreateRole", {"RoleName": "x", "AssumeRolePolicyDocument": RDS_TRUST}),
        ("CreatePolicy", {"PolicyName": "x", "PolicyDocument": ALLOW_ALL}),
        ("DeleteUser", {"UserName": "alice"}),
    ):
        world.fails("AccessDenied", operation, who=alice, **parameters)
    assert world.call("GetAccountSummary") == before


def test_a_deleted_caller_may_nothing(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    with world.transaction() as transaction:
        key = find_key(transaction, alice)
    assert key is not None
    world.call("DeleteAccessKey", UserName="alice", AccessKeyId=alice)
    with world.transaction() as transaction:
        call = world.new_call(transaction, key, "ListUsers", "iam", {})
        with pytest.raises(AwsError) as caught:
            call.require("iam:ListUsers", "*")
    assert (caught.value.code, caught.value.status) == ("InvalidClientTokenId", 403)


def test_a_session_may_nothing_when_its_role_has_gone_in_the_meantime(world: World) -> None:
    session = world.assume(world.user("alice", ALLOW_ALL), world.role("app", ALLOW_ALL))
    key = world.key(session)
    assert key is not None
    world.call("DeleteRolePolicy", RoleName="app", PolicyName="p0")
    world.call("DeleteRole", RoleName="app")
    world.role("app", ALLOW_ALL)
    with world.transaction() as transaction, pytest.raises(AwsError) as caught:
        world.new_call(transaction, key, "ListUsers", "iam", {}).require("iam:ListUsers", "*")
    assert caught.value.code == "InvalidClientTokenId"


def may(world: World, role: str, action: str, resource: str, **more: Any) -> str | None:
    with world.transaction() as transaction:
        decision = role_may(
            transaction, role, action, resource, at=world.now, account=ACCOUNT, region="eu-west-1", **more
        )
    return None if decision.allowed else decision.reason


def test_what_a_service_may_in_a_roles_name(world: World) -> None:
    reading = document("Allow", "secretsmanager:GetSecretValue", SECRET.replace("AbCdEf", "??????"))
    role = world.role("proxy", reading, trust=RDS_TRUST, Path="/service-role/")
    assert may(world, role, "secretsmanager:GetSecretValue", SECRET) is None
    assert may(world, role, "secretsmanager:GetSecretValue", SECRET + "x") == (
        "because no identity-based policy allows the secretsmanager:GetSecretValue action"
    )
    denying = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Deny", "Principal": {"AWS": role}, "Action": "*", "Resource": "*"},
        }
    )
    assert may(world, role, "secretsmanager:GetSecretValue", SECRET, resource_policy=denying) == (
        "with an explicit deny in a resource-based policy"
    )
    plain = f"{ARN}:role/proxy"
    assert may(world, plain, "secretsmanager:GetSecretValue", SECRET) == f"because the role {plain} does not exist"
    other = role.replace(ACCOUNT, "9" * 12)
    assert may(world, other, "secretsmanager:GetSecretValue", SECRET) == f"because the role {other} does not exist"


def test_whether_a_role_trusts_a_service(world: World) -> None:
    rds, users = world.role("proxy", trust=RDS_TRUST), world.role("app", trust=ACCOUNT_TRUST)
    conditional = json.loads(RDS_TRUST)
    conditional["Statement"][0]["Condition"] = {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:rds:*:{ACCOUNT}:db-proxy:*"},
    }
    careful = world.role("careful", trust=json.dumps(conditional))

    def trusts(role: str, service: str = "rds.amazonaws.com", source: str | None = None) -> bool:
        with world.transaction() as transaction:
            return trusts_service(
                transaction, role, service, at=world.now, account=ACCOUNT, region="eu-west-1", source_arn=source
            )

    assert trusts(rds) and not trusts(rds, "ec2.amazonaws.com")
    assert not trusts(users) and not trusts(f"{ARN}:role/nobody")
    assert not trusts(rds.replace(ACCOUNT, "9" * 12))
    assert trusts(careful, source=PROXY) and not trusts(careful)
