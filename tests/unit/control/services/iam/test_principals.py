"""Whom a trust policy means when a user or role is deleted and made anew, renamed or moved; what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ACCOUNT_TRUST, ALLOW_ALL, World
from tidegate.control.services.iam.identities import identity_of

ARN = f"arn:aws:iam::{ACCOUNT}"
ALICE = f"{ARN}:user/alice"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def trust(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": statement}, indent=1)


def told(world: World, name: str = "trusting") -> Any:
    """The principal of a role's trust policy, in all answers that have it."""
    world.call("CreateInstanceProfile", InstanceProfileName="one")
    world.call("AddRoleToInstanceProfile", InstanceProfileName="one", RoleName=name)
    (in_list,) = (role for role in world.call("ListRoles")["Roles"] if role["RoleName"] == name)
    (detail,) = (
        role for role in world.call("GetAccountAuthorizationDetails")["RoleDetailList"] if role["RoleName"] == name
    )
    (in_profile,) = world.call("GetInstanceProfile", InstanceProfileName="one")["InstanceProfile"]["Roles"]
    (in_detail,) = detail["InstanceProfileList"][0]["Roles"]
    got = world.call("GetRole", RoleName=name)["Role"]
    world.call("RemoveRoleFromInstanceProfile", InstanceProfileName="one", RoleName=name)
    world.call("DeleteInstanceProfile", InstanceProfileName="one")
    texts = {unquote(role["AssumeRolePolicyDocument"]) for role in (got, in_list, detail, in_profile, in_detail)}
    assert len(texts) == 1, texts
    return json.loads(texts.pop())["Statement"]["Principal"]


def remove_user(world: World, name: str, key: str) -> str:
    """Delete a user with one key and no policies; its unique id."""
    unique_id: str = world.call("GetUser", UserName=name)["User"]["UserId"]
    world.call("DeleteAccessKey", UserName=name, AccessKeyId=key)
    world.call("DeleteUser", UserName=name)
    return unique_id


def no_entry(world: World, who: str, role: str) -> None:
    world.fails("AccessDenied", "AssumeRole", who=who, service="sts", RoleArn=role, RoleSessionName="session")


def test_a_user_made_anew_is_not_trusted(world: World) -> None:
    key = world.user("alice")
    role = world.role("trusting", trust=trust({"AWS": [ALICE, f"{ARN}:root"]}))
    assert world.assume(key, role)
    assert told(world) == {"AWS": [ALICE, f"{ARN}:root"]}
    old = remove_user(world, "alice", key)
    assert told(world) == {"AWS": [old, f"{ARN}:root"]}
    key = world.user("alice")
    assert told(world) == {"AWS": [old, f"{ARN}:root"]}
    no_entry(world, key, role)
    world.call("UpdateAssumeRolePolicy", RoleName="trusting", PolicyDocument=trust({"AWS": ALICE}))
    assert world.assume(key, role) and told(world) == {"AWS": ALICE}


def test_a_role_made_anew_is_not_trusted(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    first = world.role("first", ALLOW_ALL)
    role = world.role("trusting", trust=trust({"AWS": first}))
    assert world.assume(world.assume(alice, first), role)
    old = world.call("GetRole", RoleName="first")["Role"]["RoleId"]
    world.call("DeleteRolePolicy", RoleName="first", PolicyName="p0")
    world.call("DeleteRole", RoleName="first")
    world.role("first", ALLOW_ALL)
    no_entry(world, world.assume(alice, first), role)
    assert told(world) == {"AWS": old}


def test_a_deny_does_not_mean_the_new_one_either(world: World) -> None:
    """As in AWS: the statement is about somebody who is gone."""
    key = world.user("alice", ALLOW_ALL)
    deny = {"Effect": "Deny", "Principal": {"AWS": ALICE}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [json.loads(ACCOUNT_TRUST)["Statement"][0], deny]})
    role = world.role("trusting", trust=document)
    no_entry(world, key, role)
    world.call("DeleteUserPolicy", UserName="alice", PolicyName="p0")
    remove_user(world, "alice", key)
    assert world.assume(world.user("alice", ALLOW_ALL), role)


def test_a_renamed_user_is_trusted_and_told_by_its_new_arn(world: World) -> None:
    key = world.user("alice")
    role = world.role("trusting", trust=trust({"AWS": ALICE}))
    world.call("UpdateUser", UserName="alice", NewUserName="bob", NewPath="/staff/")
    other = world.user("alice")
    assert world.assume(key, role) and told(world) == {"AWS": f"{ARN}:user/staff/bob"}
    no_entry(world, other, role)


def test_the_text_stays_as_it_was_given(world: World) -> None:
    """As long as it says who is meant."""
    world.user("alice")
    text = trust({"AWS": ALICE}, Condition={"Bool": {"aws:SecureTransport": True}})
    made = world.call("CreateRole", RoleName="trusting", AssumeRolePolicyDocument=text)["Role"]
    got = world.call("GetRole", RoleName="trusting")["Role"]
    assert unquote(made["AssumeRolePolicyDocument"]) == unquote(got["AssumeRolePolicyDocument"]) == text


def test_an_id_that_is_told_is_no_principal_that_can_be_given(world: World) -> None:
    key = world.user("alice")
    world.role("trusting", trust=trust({"AWS": ALICE}))
    old = remove_user(world, "alice", key)
    parameters = {"RoleName": "trusting", "PolicyDocument": trust(told(world))}
    assert world.fails("MalformedPolicyDocument", "UpdateAssumeRolePolicy", **parameters) == (
        f'Invalid principal in policy: "AWS":"{old}"'
    )


def test_a_federated_user_is_named_by_whom_it_comes_from(world: World) -> None:
    key = world.user("alice", ALLOW_ALL)
    session = world.call("GetFederationToken", who=key, service="sts", Name="fed", Policy=ALLOW_ALL)["Credentials"]
    found = world.key(session["AccessKeyId"])
    assert found is not None
    with world.transaction() as transaction:
        identity = identity_of(transaction, found.caller)
    unique_id = world.call("GetUser", UserName="alice")["User"]["UserId"]
    assert identity is not None and {ALICE, unique_id} <= identity.principal.limited
