"""Logging in to a database with an IAM token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ALLOW_ALL, REGION, ROOT_KEY, World
from tidegate.auth.rds_token import SigningKeys, TokenRefused, make_token
from tidegate.control.services.iam.database_tokens import TokenVerifier

RESOURCE = f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:prx-0123/app"
HOST = "127.0.0.5"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def connect(resource: str = RESOURCE, effect: str = "Allow", **more: Any) -> str:
    statement = {"Effect": effect, "Action": "rds-db:connect", "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def token(world: World, access_key: str, **changes: Any) -> str:
    key = world.key(access_key)
    assert key is not None
    user = changes.pop("user", "app")
    given = {"secret_key": key.secret, "session_token": key.session_token or ""} | changes
    return make_token(HOST, 5432, user, SigningKeys(region=REGION, access_key=access_key, **given), world.now)


def refused(world: World, text: str, **changes: Any) -> str | None:
    given: dict[str, Any] = {
        "user": "app",
        "hosts": [HOST, "db.example"],
        "source_ip": "203.0.113.5",
        "account": ACCOUNT,
    }
    with world.transaction() as transaction:
        try:
            TokenVerifier().verify(
                transaction,
                text,
                port=5432,
                region=REGION,
                resource_id="prx-0123",
                now=world.now,
                **(given | changes),
            )
        except TokenRefused as refusal:
            return str(refusal)
    return None


def test_a_user_with_the_right_policy(world: World) -> None:
    alice = world.user("alice", connect())
    text = token(world, alice)
    assert refused(world, text) is None
    assert refused(world, text, user="other") == 'the token was made for another user than "other"'
    assert refused(world, text, hosts=["elsewhere"]) == "the token was made for another host"
    other = token(world, alice, user="boss")
    assert refused(world, other, user="boss") == (
        f"arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: rds-db:connect on resource: "
        f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:prx-0123/boss "
        "because no identity-based policy allows the rds-db:connect action"
    )


def test_a_policy_that_is_taken_away_refuses_the_next_login(world: World) -> None:
    alice = world.user("alice", connect())
    text = token(world, alice)
    assert refused(world, text) is None
    world.call("DeleteUserPolicy", UserName="alice", PolicyName="p0")
    assert "is not authorized" in str(refused(world, text))


@pytest.mark.parametrize(
    ("documents", "allowed"),
    [
        ((), False),
        ((ALLOW_ALL,), True),
        ((ALLOW_ALL, connect(effect="Deny")), False),
        ((connect("arn:aws:rds-db:*:*:dbuser:*/app"),), True),
        ((connect(f"arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:*/app"),), False),
        ((connect("arn:aws:rds-db:*:*:dbuser:*/${aws:username}"),), False),
        ((connect(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),), True),
        ((connect(Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),), False),
        ((connect(Condition={"Bool": {"aws:SecureTransport": "true"}}),), True),
    ],
)
def test_policies(world: World, documents: tuple[str, ...], allowed: bool) -> None:
    alice = world.user("alice", *documents)
    assert (refused(world, token(world, alice)) is None) is allowed


def test_root_may(world: World) -> None:
    assert refused(world, token(world, ROOT_KEY)) is None


def test_another_account_is_not_ours_to_allow(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    for who in (alice, ROOT_KEY):
        assert "because no resource-based policy allows the rds-db:connect action" in str(
            refused(world, token(world, who), account="9" * 12)
        )


def test_keys_that_do_not_count(world: World) -> None:
    alice = world.user("alice", connect())
    text = token(world, alice)
    wrong = token(world, alice, secret_key="x" * 40)
    assert refused(world, wrong) == "the token's signature does not match"
    world.call("UpdateAccessKey", UserName="alice", AccessKeyId=alice, Status="Inactive")
    assert refused(world, text) == f"the access key {alice} is inactive"
    world.call("DeleteAccessKey", UserName="alice", AccessKeyId=alice)
    assert refused(world, text) == f"there is no access key {alice}"
    assert refused(world, "password") == "the token is not of the form HOST:PORT/?Action=connect&..."


def test_temporary_keys(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    role = world.role("app", connect())
    session = world.assume(alice, role, DurationSeconds=900)
    text = token(world, session)
    assert refused(world, text) is None
    mine = f"the session token does not belong to the access key {session}"
    assert refused(world, token(world, session, session_token="")) == mine
    assert refused(world, token(world, session, session_token="wrong")) == mine
    assert refused(world, token(world, alice, session_token="odd")) == (
        f"the session token does not belong to the access key {alice}"
    )
    world.now = int(world.now) + 900.0
    fresh = token(world, session)
    assert refused(world, fresh) == f"the temporary access key {session} has expired"


def test_a_session_policy_limits_it(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    role = world.role("app", connect())
    limited = world.assume(alice, role, Policy=connect(RESOURCE + "x"))
    assert "because no session policy allows the rds-db:connect action" in str(refused(world, token(world, limited)))


def test_a_session_ends_with_its_role(world: World) -> None:
    alice = world.user("alice", ALLOW_ALL)
    role = world.role("app", connect())
    session = world.assume(alice, role)
    text = token(world, session)
    world.call("DeleteRolePolicy", RoleName="app", PolicyName="p0")
    world.call("DeleteRole", RoleName="app")
    world.role("app", connect())
    assert refused(world, text) == f"there is no access key {session}"


def test_a_token_expires(world: World) -> None:
    alice = world.user("alice", connect())
    text = token(world, alice)
    world.now += 901
    assert refused(world, text) == "the token has expired"


def test_reasons_hold_no_secret(world: World) -> None:
    alice = world.user("alice")
    key = world.key(alice)
    assert key is not None
    text = token(world, alice)
    reason = str(refused(world, text))
    assert key.secret not in reason and text.rpartition("=")[2] not in reason
