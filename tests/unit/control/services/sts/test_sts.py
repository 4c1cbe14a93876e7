"""Temporary keys: AssumeRole, GetSessionToken, GetFederationToken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ACCOUNT_TRUST, ALLOW_ALL, NOW, ROOT_KEY, World
from tidegate.control.services.iam.records import LastUse, Session
from tidegate.control.services.sts import sessions

ARN = f"arn:aws:iam::{ACCOUNT}"
STS = f"arn:aws:sts::{ACCOUNT}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def statement(effect: str, action: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowing(action: Any, resource: str = "*", **more: Any) -> str:
    return document(statement("Allow", action, Resource=resource, **more))


def trusting(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> str:
    return document(statement("Allow", action, Principal=principal, **more))


def assume(world: World, who: str, role: str, **more: Any) -> dict[str, Any]:
    return world.call("AssumeRole", who=who, service="sts", RoleArn=role, RoleSessionName="session", **more)


def denied(world: World, who: str, role: str, code: str = "AccessDenied", **more: Any) -> str:
    return world.fails(code, "AssumeRole", who=who, service="sts", RoleArn=role, RoleSessionName="session", **more)


def identity(world: World, who: str) -> dict[str, Any]:
    return world.call("GetCallerIdentity", who=who, service="sts")


def test_who_am_i(world: World) -> None:
    assert identity(world, ROOT_KEY) == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"{ARN}:root"}
    alice = world.user("alice", document(statement("Deny", "*", Resource="*")))
    found = identity(world, alice)
    assert found["Arn"] == f"{ARN}:user/alice" and found["UserId"].startswith("AIDA")


def test_a_session_of_a_role(world: World) -> None:
    alice = world.user("alice", allowing("sts:AssumeRole"))
    role = world.role("app", allowing("iam:ListUsers"), Path="/deep/")
    answer = assume(world, alice, role)
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA") and len(credentials["AccessKeyId"]) == 20
    assert len(credentials["SecretAccessKey"]) == 40 and len(credentials["SessionToken"]) > 200
    assert credentials["Expiration"] == datetime.fromtimestamp(int(NOW) + 3600, UTC)
    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"{STS}:assumed-role/app/session" and user["AssumedRoleId"].endswith(":session")
    assert "PackedPolicySize" not in answer
    session = credentials["AccessKeyId"]
    assert identity(world, session) == {"UserId": user["AssumedRoleId"], "Account": ACCOUNT, "Arn": user["Arn"]}
    world.call("ListUsers", who=session)
    message = world.fails("AccessDenied", "ListRoles", who=session)
    assert message.startswith(f"User: {STS}:assumed-role/app/session is not authorized to perform: iam:ListRoles")
    used = world.call("GetRole", RoleName="app")["Role"]["RoleLastUsed"]
    assert used["LastUsedDate"] == datetime.fromtimestamp(int(NOW), UTC)
    world.now += 1800
    world.call("ListUsers", who=session)
    used = world.call("GetRole", RoleName="app")["Role"]["RoleLastUsed"]
    assert used["LastUsedDate"] == datetime.fromtimestamp(int(NOW) + 1800, UTC)


def test_both_the_role_and_the_account_must_agree(world: World) -> None:
    alice, bob = world.user("alice", allowing("sts:AssumeRole")), world.user("bob")
    by_account = world.role("by-account", trust=trusting({"AWS": f"{ARN}:root"}))
    by_name = world.role("by-name", trust=trusting({"AWS": f"{ARN}:user/bob"}))
    prefix = f"User: {ARN}:user/{{}} is not authorized to perform: sts:AssumeRole on resource: {{}} because no "
    assert assume(world, alice, by_account)
    assert assume(world, bob, by_name)
    assert denied(world, bob, by_account) == (
        prefix.format("bob", by_account) + "identity-based policy allows the sts:AssumeRole action"
    )
    assert denied(world, alice, by_name) == (
        prefix.format("alice", by_name) + "role trust policy allows the sts:AssumeRole action"
    )
    unknown = f"{ARN}:role/unknown"
    assert denied(world, alice, unknown) == (
        prefix.format("alice", unknown) + "role trust policy allows the sts:AssumeRole action"
    )
    denied(world, alice, f"{ARN}:role/x/by-account")
    assert denied(world, ROOT_KEY, by_account) == "Roles may not be assumed by root accounts."
    denied(world, alice, "not-an-arn-at-all-really", "ValidationError")


def test_conditions_of_trust(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    condition = {
        "StringEquals": {"sts:ExternalId": "12345"},
        "StringLike": {"sts:RoleSessionName": "ses*", "aws:PrincipalTag/none": "*"},
    }
    role = world.role("third", trust=trusting({"AWS": ACCOUNT}, Condition={"StringEquals": condition["StringEquals"]}))
    assert assume(world, alice, role, ExternalId="12345")
    assert "explicit" not in denied(world, alice, role, ExternalId="54321")
    denied(world, alice, role)
    named = trusting({"AWS": ACCOUNT}, Condition={"StringEquals": {"sts:RoleSessionName": "${aws:username}"}})
    own = world.role("own", trust=named)
    denied(world, alice, own)
    assert world.assume(alice, own, "alice")


def test_durations(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    role = world.role("app", ALLOW_ALL, MaxSessionDuration=7200)
    assert assume(world, alice, role, DurationSeconds=7200)["Credentials"]["Expiration"].timestamp() == int(NOW) + 7200
    assert denied(world, alice, role, "ValidationError", DurationSeconds=7201) == (
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    )
    session = world.assume(alice, role)
    assert denied(world, session, role, "ValidationError", DurationSeconds=3601) == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )
    assert assume(world, session, role, DurationSeconds=3600)


def test_session_policies(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    role = world.role("app", allowing(["iam:List*", "sts:GetAccessKeyInfo"]))
    limited = assume(world, alice, role, Policy=allowing("iam:ListUsers"))
    assert limited["PackedPolicySize"] == 5
    session = limited["Credentials"]["AccessKeyId"]
    world.call("ListUsers", who=session)
    assert "because no session policy allows the iam:ListRoles action" in world.fails(
        "AccessDenied", "ListRoles", who=session
    )
    policy = world.call("CreatePolicy", PolicyName="m", PolicyDocument=allowing("iam:ListRoles"))["Policy"]["Arn"]
    both = world.assume(alice, role, Policy=allowing("iam:ListUsers"), PolicyArns=[{"arn": policy}])
    world.call("ListUsers", who=both)
    world.call("ListRoles", who=both)
    world.fails("AccessDenied", "ListGroups", who=both)
    world.call("DeletePolicy", PolicyArn=policy)
    world.fails("AccessDenied", "ListRoles", who=both)
    assert denied(world, alice, role, "MalformedPolicyDocument", Policy="{}") == "Syntax errors in policy."
    denied(world, alice, role, "MalformedPolicyDocument", PolicyArns=[{"arn": f"{ARN}:policy/gone"}])
    denied(world, alice, role, "ValidationError", PolicyArns=[{"arn": f"{ARN}:policy/p{n}"} for n in range(11)])
    big = denied(world, alice, role, "PackedPolicyTooLarge", Policy=allowing("s3:" + "a" * 2100))
    assert big == "Packed policy consumes 107% of allotted space, please use smaller policy."


def test_session_tags(world: World) -> None:
    tags = [{"Key": "Team", "Value": "blue"}]
    alice = world.user("alice", allowing("sts:AssumeRole"))
    role = world.role(
        "app",
        allowing("iam:ListUsers", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}}),
        allowing(["sts:AssumeRole", "sts:TagSession"]),
        Tags=[{"Key": "team", "Value": "red"}],
    )
    assert "sts:TagSession" in denied(world, alice, role, Tags=tags)
    world.call("PutUserPolicy", UserName="alice", PolicyName="p0", PolicyDocument=allowing("sts:*"))
    plain = world.assume(alice, role)
    world.fails("AccessDenied", "ListUsers", who=plain)
    tagged = world.assume(alice, role, Tags=tags, TransitiveTagKeys=["team"])
    world.call("ListUsers", who=tagged)
    chained = world.assume(tagged, role)
    world.call("ListUsers", who=chained)
    code = "InvalidParameterValue"
    denied(world, tagged, role, code, Tags=[{"Key": "TEAM", "Value": "x"}])
    assert denied(world, alice, role, code, TransitiveTagKeys=["x"]) == (
        "The specified transitive tag key must be included in the requested tags."
    )
    untransitive = world.assume(alice, role, Tags=tags)
    world.fails("AccessDenied", "ListUsers", who=world.assume(untransitive, role))


def test_the_source_identity_stays(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    role = world.role("app", allowing("sts:*"))
    answer = assume(world, alice, role, SourceIdentity="Alice")
    assert answer["SourceIdentity"] == "Alice"
    session = answer["Credentials"]["AccessKeyId"]
    assert assume(world, session, role)["SourceIdentity"] == "Alice"
    denied(world, session, role, SourceIdentity="Bob")
    denied(world, alice, role, "ValidationError", SourceIdentity="aws:me")
    world.role("strict", trust=trusting({"AWS": ACCOUNT}))
    assert "sts:SetSourceIdentity" in denied(world, alice, f"{ARN}:role/strict", SourceIdentity="Alice")


def test_mfa_is_not_here(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    serial = f"{ARN}:mfa/alice"
    assert denied(world, alice, world.role("app"), SerialNumber=serial, TokenCode="123456") == message
    got = world.fails(
        "AccessDenied", "GetSessionToken", who=alice, service="sts", SerialNumber=serial, TokenCode="123456"
    )
    assert got == message


def test_session_tokens_of_users(world: World) -> None:
    alice = world.user("alice", allowing(["rds:*", "iam:*", "sts:*"]))
    answer = world.call("GetSessionToken", who=alice, service="sts")["Credentials"]
    assert answer["Expiration"].timestamp() == int(NOW) + 43200
    session = answer["AccessKeyId"]
    assert identity(world, session) == identity(world, alice)
    assert assume(world, session, world.role("app"))
    assert world.fails("InvalidClientTokenId", "ListUsers", who=session) == (
        "The security token included in the request is invalid."
    )
    assert world.fails("AccessDenied", "GetSessionToken", who=session, service="sts") == (
        "Cannot call GetSessionToken with session credentials"
    )
    root = world.call("GetSessionToken", service="sts", DurationSeconds=7200)["Credentials"]
    assert root["Expiration"].timestamp() == int(NOW) + 3600
    assert identity(world, root["AccessKeyId"])["Arn"] == f"{ARN}:root"


def test_federated_users(world: World) -> None:
    alice = world.user("alice", allowing(["sts:*", "rds:*"]))
    answer = world.call(
        "GetFederationToken", who=alice, service="sts", Name="guest", Policy=allowing(["sts:GetAccessKeyInfo", "s3:*"])
    )
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:guest",
        "Arn": f"{STS}:federated-user/guest",
    }
    guest = answer["Credentials"]["AccessKeyId"]
    info = world.call("GetAccessKeyInfo", who=guest, service="sts", AccessKeyId=alice)
    assert info == {"Account": ACCOUNT}
    assert identity(world, guest)["Arn"] == f"{STS}:federated-user/guest"
    world.fails("InvalidClientTokenId", "ListUsers", who=guest)
    denied(world, guest, world.role("app"))
    bare = world.call("GetFederationToken", who=alice, service="sts", Name="bare")["Credentials"]["AccessKeyId"]
    message = world.fails("AccessDenied", "GetAccessKeyInfo", who=bare, service="sts", AccessKeyId=alice)
    assert "because no session policy allows the sts:GetAccessKeyInfo action" in message
    assert world.fails("AccessDenied", "GetFederationToken", who=guest, service="sts", Name="more")
    bob = world.user("bob")
    world.fails("AccessDenied", "GetFederationToken", who=bob, service="sts", Name="guest")
    of_root = world.call("GetFederationToken", service="sts", Name="boss", Policy=allowing("sts:GetAccessKeyInfo"))
    boss = of_root["Credentials"]["AccessKeyId"]
    assert world.call("GetAccessKeyInfo", who=boss, service="sts", AccessKeyId=alice) == {"Account": ACCOUNT}
    world.fails("ValidationError", "GetAccessKeyInfo", service="sts", AccessKeyId="AKIANOBODYNOBODYNOBO")


def test_expired_sessions_are_forgotten_in_time(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    role = world.role("app")
    old = world.assume(alice, role, DurationSeconds=900)
    world.now += 901
    key = world.key(old)
    assert key is not None and key.expires is not None and key.expires < world.now
    world.assume(alice, role, DurationSeconds=900)
    assert world.key(old) is not None, "its bearer is told that it has expired"
    world.now += 3600
    world.assume(alice, role)
    with world.transaction() as transaction:
        assert transaction.table(Session).get(old) is None
        assert len(transaction.table(Session).all()) == 2


def test_there_is_room_for_so_many_sessions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    alice = world.user("alice", allowing("sts:*"))
    role = world.role("app")
    for _ in range(2):
        world.assume(alice, role)
    assert denied(world, alice, role, "Throttling") == "Rate exceeded"
    world.now += 2 * 3600
    world.assume(alice, role)


def test_one_user_does_not_take_the_room_of_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever it has become in between: sessions of roles count for the user that they began with."""
    monkeypatch.setattr(sessions, "MAX_SESSIONS_OF_ONE", 3)
    alice, bob = world.user("alice", allowing("sts:*")), world.user("bob", allowing("sts:*"))
    role, other = world.role("app", allowing("sts:*")), world.role("other")
    chained = world.assume(alice, role, DurationSeconds=900)
    world.call("GetSessionToken", who=alice, service="sts")
    world.assume(chained, other)
    told = "Rate exceeded. 3 of your sessions have not expired yet: use these, or wait until one has."
    assert denied(world, alice, role, "Throttling") == denied(world, chained, other, "Throttling") == told
    assert world.fails("Throttling", "GetSessionToken", who=alice, service="sts") == told
    assert world.fails("Throttling", "GetFederationToken", who=alice, service="sts", Name="fed") == told
    assert identity(world, chained), "no session ends before its time"
    assert world.assume(bob, role)
    world.call("GetSessionToken", who=ROOT_KEY, service="sts")
    world.now += 900
    assert world.assume(alice, role), "one has expired"
    assert denied(world, alice, role, "Throttling") == told


def test_uses_of_temporary_keys_leave_nothing_behind(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    session = world.assume(alice, world.role("app", ALLOW_ALL))
    world.call("ListUsers", who=session)
    identity(world, session)
    with world.transaction() as transaction:
        subjects = {use.subject for use in transaction.table(LastUse).all()}
    assert alice in subjects and session not in subjects


def test_a_session_of_a_role_that_was_made_anew_is_nobodys(world: World) -> None:
    alice = world.user("alice", allowing("sts:*"))
    session = world.assume(alice, world.role("app"))
    world.call("DeleteRole", RoleName="app")
    assert world.key(session) is None
    world.role("app", ALLOW_ALL, trust=ACCOUNT_TRUST)
    assert world.key(session) is None
