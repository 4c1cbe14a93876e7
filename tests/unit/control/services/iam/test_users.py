"""Users, groups and access keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ALLOW_ALL, NOW, REGION, ROOT_KEY, World
from tidegate.control.services.iam.records import AccessKey

ARN = f"arn:aws:iam::{ACCOUNT}"
CREATED = datetime.fromtimestamp(int(NOW), UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_user_from_first_to_last(world: World) -> None:
    made = world.call("CreateUser", UserName="alice", Path="/team/", Tags=[{"Key": "Team", "Value": "blue"}])["User"]
    assert made.pop("UserId").startswith("AIDA")
    assert made == {
        "Path": "/team/",
        "UserName": "alice",
        "Arn": f"{ARN}:user/team/alice",
        "CreateDate": CREATED,
        "Tags": [{"Key": "Team", "Value": "blue"}],
    }
    assert world.required == [("iam:CreateUser", f"{ARN}:user/team/alice"), ("iam:TagUser", f"{ARN}:user/team/alice")]
    assert world.call("GetUser", UserName="alice")["User"].items() >= made.items()
    assert world.required == [("iam:GetUser", f"{ARN}:user/team/alice")]
    listed = world.call("ListUsers", PathPrefix="/team/")
    assert [user["UserName"] for user in listed["Users"]] == ["alice"] and "Tags" not in listed["Users"][0]
    assert world.call("ListUsers", PathPrefix="/other/")["Users"] == []
    world.call("DeleteUser", UserName="alice")
    assert world.fails("NoSuchEntity", "GetUser", UserName="alice") == "The user with name alice cannot be found."


def test_names_are_taken_without_regard_to_case(world: World) -> None:
    world.call("CreateUser", UserName="alice")
    assert world.fails("EntityAlreadyExists", "CreateUser", UserName="Alice") == "User with name Alice already exists."
    assert world.fails("NoSuchEntity", "GetUser", UserName="ALICE") == "The user with name ALICE cannot be found."


def test_what_keeps_a_user(world: World) -> None:
    access_key = world.user("alice", ALLOW_ALL)
    world.call("AttachUserPolicy", UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    world.call("CreateGroup", GroupName="team")
    world.call("AddUserToGroup", GroupName="team", UserName="alice")
    steps = [
        ("Cannot delete entity, must delete access keys first.", "DeleteAccessKey", {"AccessKeyId": access_key}),
        (
            "Cannot delete entity, must detach all policies first.",
            "DetachUserPolicy",
            {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        ),
        ("Cannot delete entity, must delete policies first.", "DeleteUserPolicy", {"PolicyName": "p0"}),
        ("Cannot delete entity, must remove users from group first.", "RemoveUserFromGroup", {"GroupName": "team"}),
    ]
    for message, operation, parameters in steps:
        assert world.fails("DeleteConflict", "DeleteUser", UserName="alice") == message
        world.call(operation, UserName="alice", **parameters)
    world.call("DeleteUser", UserName="alice")


def test_a_renamed_user_is_the_same(world: World) -> None:
    access_key = world.user("alice", ALLOW_ALL)
    session = world.call("GetSessionToken", who=access_key, service="sts")["Credentials"]["AccessKeyId"]
    before = world.call("GetUser", UserName="alice")["User"]["UserId"]
    world.call("UpdateUser", UserName="alice", NewUserName="alicia", NewPath="/new/")
    assert world.required == [("iam:UpdateUser", f"{ARN}:user/alice"), ("iam:UpdateUser", f"{ARN}:user/new/alicia")]
    after = world.call("GetUser", who=access_key)["User"]
    assert (after["UserId"], after["Arn"]) == (before, f"{ARN}:user/new/alicia")
    for key in (access_key, session):
        identity = world.call("GetCallerIdentity", who=key, service="sts")
        assert identity["Arn"] == f"{ARN}:user/new/alicia"
    world.call("CreateUser", UserName="bob")
    world.fails("EntityAlreadyExists", "UpdateUser", UserName="bob", NewUserName="Alicia")
    world.call("UpdateUser", UserName="bob", NewUserName="BOB")
    assert world.call("GetUser", UserName="BOB")["User"]["UserName"] == "BOB"


def test_oneself(world: World) -> None:
    root = world.call("GetUser")["User"]
    assert (root["UserId"], root["Arn"]) == (ACCOUNT, f"{ARN}:root")
    access_key = world.user("alice", ALLOW_ALL)
    assert world.call("GetUser", who=access_key)["User"]["UserName"] == "alice"
    second = world.call("CreateAccessKey", who=access_key)["AccessKey"]
    assert second["UserName"] == "alice"
    session = world.assume(access_key, world.role("app", ALLOW_ALL))
    assert world.fails("ValidationError", "GetUser", who=session) == (
        "Must specify userName when calling with non-User credentials"
    )
    assert world.call("ListAccessKeys")["AccessKeyMetadata"][0]["AccessKeyId"] == ROOT_KEY


def test_access_keys(world: World) -> None:
    world.call("CreateUser", UserName="alice")
    first, second = (world.call("CreateAccessKey", UserName="alice")["AccessKey"] for _ in range(2))
    assert first["AccessKeyId"].startswith("AKIA") and len(first["SecretAccessKey"]) == 40
    assert first["Status"] == "Active" and first["SecretAccessKey"] != second["SecretAccessKey"]
    assert world.fails("LimitExceeded", "CreateAccessKey", UserName="alice") == (
        "Cannot exceed quota for AccessKeysPerUser: 2"
    )
    world.call("UpdateAccessKey", UserName="alice", AccessKeyId=first["AccessKeyId"], Status="Inactive")
    key = world.key(first["AccessKeyId"])
    assert key is not None and not key.active and key.secret == first["SecretAccessKey"]
    listed = world.call("ListAccessKeys", UserName="alice")["AccessKeyMetadata"]
    assert {item["AccessKeyId"]: item["Status"] for item in listed} == {
        first["AccessKeyId"]: "Inactive",
        second["AccessKeyId"]: "Active",
    }
    assert not any("SecretAccessKey" in item for item in listed)
    world.call("DeleteAccessKey", UserName="alice", AccessKeyId=first["AccessKeyId"])
    assert world.key(first["AccessKeyId"]) is None
    assert world.fails("NoSuchEntity", "DeleteAccessKey", UserName="alice", AccessKeyId=first["AccessKeyId"]) == (
        f"The Access Key with id {first['AccessKeyId']} cannot be found."
    )
    world.call("CreateUser", UserName="bob")
    world.fails("NoSuchEntity", "DeleteAccessKey", UserName="bob", AccessKeyId=second["AccessKeyId"])


def test_last_use_is_noted_now_and_then(world: World) -> None:
    access_key = world.user("alice", ALLOW_ALL)
    unused = world.call("GetAccessKeyLastUsed", AccessKeyId=access_key)
    assert unused == {"UserName": "alice", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    world.call("ListUsers", who=access_key)
    world.now += 600
    world.call("GetCallerIdentity", who=access_key, service="sts")
    used = world.call("GetAccessKeyLastUsed", AccessKeyId=access_key)["AccessKeyLastUsed"]
    assert used == {"LastUsedDate": CREATED, "ServiceName": "iam", "Region": "us-east-1"}
    world.now += 600
    world.call("GetCallerIdentity", who=access_key, service="sts")
    used = world.call("GetAccessKeyLastUsed", AccessKeyId=access_key)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", REGION) and used["LastUsedDate"].timestamp() == int(
        NOW
    ) + 1200


def test_secrets_are_not_in_representations(world: World) -> None:
    access_key = world.user("alice", ALLOW_ALL)
    key = world.key(access_key)
    assert key is not None and key.secret not in repr(key)
    session = world.call("GetSessionToken", who=access_key, service="sts")["Credentials"]
    temporary = world.key(session["AccessKeyId"])
    assert temporary is not None and temporary.session_token == session["SessionToken"]
    assert session["SessionToken"] not in repr(temporary) and session["SecretAccessKey"] not in repr(temporary)
    assert world.key("AKIANOBODYNOBODYNOBO") is None


def test_a_key_counts_only_if_its_user_has_it(world: World) -> None:
    world.call("CreateUser", UserName="alice")
    stray = AccessKey(id="AKIASTRAYSTRAYSTRAYS", secret="x" * 40, user="alice", created=NOW)
    with world.transaction() as transaction:
        transaction.table(AccessKey).put(stray)
    assert world.key(stray.id) is None and stray.secret not in repr(stray)


def test_groups(world: World) -> None:
    group = world.call("CreateGroup", GroupName="admins", Path="/it/")["Group"]
    assert group["GroupId"].startswith("AGPA") and group["Arn"] == f"{ARN}:group/it/admins"
    for name in ("alice", "bob"):
        world.call("CreateUser", UserName=name)
        world.call("AddUserToGroup", GroupName="admins", UserName=name)
    world.call("AddUserToGroup", GroupName="admins", UserName="bob")
    assert [user["UserName"] for user in world.call("GetGroup", GroupName="admins")["Users"]] == ["alice", "bob"]
    world.call("UpdateGroup", GroupName="admins", NewGroupName="operators", NewPath="/")
    assert [one["GroupName"] for one in world.call("ListGroupsForUser", UserName="bob")["Groups"]] == ["operators"]
    assert world.fails("DeleteConflict", "DeleteGroup", GroupName="operators") == (
        "Cannot delete entity, must remove users from group first."
    )
    for name in ("alice", "bob"):
        world.call("RemoveUserFromGroup", GroupName="operators", UserName=name)
    world.fails("NoSuchEntity", "RemoveUserFromGroup", GroupName="operators", UserName="bob")
    world.fails("NoSuchEntity", "AddUserToGroup", GroupName="operators", UserName="carol")
    world.call("DeleteGroup", GroupName="operators")
    assert world.call("ListGroups")["Groups"] == []
    assert world.fails("NoSuchEntity", "GetGroup", GroupName="operators") == (
        "The group with name operators cannot be found."
    )


def test_a_user_is_in_ten_groups_at_most(world: World) -> None:
    world.call("CreateUser", UserName="alice")
    for number in range(11):
        world.call("CreateGroup", GroupName=f"g{number}")
    for number in range(10):
        world.call("AddUserToGroup", GroupName=f"g{number}", UserName="alice")
    assert world.fails("LimitExceeded", "AddUserToGroup", GroupName="g10", UserName="alice") == (
        "Cannot exceed quota for GroupsPerUser: 10"
    )


def test_pages(world: World) -> None:
    for name in ("d", "b", "a", "c", "e"):
        world.call("CreateUser", UserName=name)
    first = world.call("ListUsers", MaxItems=2)
    assert [user["UserName"] for user in first["Users"]] == ["a", "b"] and first["IsTruncated"] is True
    world.call("DeleteUser", UserName="b")
    world.call("CreateUser", UserName="aa")
    second = world.call("ListUsers", MaxItems=2, Marker=first["Marker"])
    assert [user["UserName"] for user in second["Users"]] == ["c", "d"]
    third = world.call("ListUsers", MaxItems=2, Marker=second["Marker"])
    assert [user["UserName"] for user in third["Users"]] == ["e"]
    assert third["IsTruncated"] is False and "Marker" not in third
    for marker in ("x", "é", "////"):
        assert world.fails("ValidationError", "ListUsers", Marker=marker) == "Invalid Marker."


def test_what_no_user_has(world: World) -> None:
    world.call("CreateUser", UserName="alice")
    assert world.call("ListMFADevices", UserName="alice")["MFADevices"] == []
    assert world.call("ListSSHPublicKeys", UserName="alice")["SSHPublicKeys"] == []
    assert world.call("ListSigningCertificates", UserName="alice")["Certificates"] == []
    assert world.fails("NoSuchEntity", "GetLoginProfile", UserName="alice") == (
        "Login Profile for User alice cannot be found."
    )
    world.fails("NoSuchEntity", "ListMFADevices", UserName="bob")
