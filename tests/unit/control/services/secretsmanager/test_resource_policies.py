"""Policies on secrets: put, read, taken off, validated; whom they let in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.control.services.secretsmanager.desk import NOON, Desk
from tidegate.control.services.iam.records import Role
from tidegate.control.services.secretsmanager.exposure import is_public


def policy(**parts: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:role/app"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
        **parts,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Where there is a role `app`."""
    make_role(desk, "AROAFIRST")
    return desk


def make_role(desk: Desk, unique_id: str) -> None:
    role = Role(name="app", path="/", id=unique_id, created=NOON, trust="")
    desk.run(lambda transaction: transaction.table(Role).put(role))


FINE = json.dumps(policy())
OPEN = json.dumps(policy(Principal="*"))


def test_put_get_list_and_delete(desk: Desk) -> None:
    arn = desk.create("app")
    named = {"ARN": arn, "Name": "app", "PolicyName": "default"}
    assert desk("get_resource_policy", SecretId="app") == named
    assert desk("list_resource_policies", SecretId="app") == {"ResourcePolicies": []}
    assert desk("put_resource_policy", SecretId="app", ResourcePolicy=FINE) == named
    assert desk("get_resource_policy", SecretId="app") == {**named, "ResourcePolicy": FINE}
    assert desk("list_resource_policies", SecretId="app") == {"ResourcePolicies": [{"PolicyName": "default"}]}
    for _ in range(2):
        assert desk("delete_resource_policy", SecretId="app") == named
    assert desk("get_resource_policy", SecretId="app") == named


def test_only_the_default_policy_can_be_changed(desk: Desk) -> None:
    desk.create("app")
    other = {"SecretId": "app", "PolicyName": "other"}
    told = ("InvalidParameterException", "You can only modify the resource policy named default.")
    assert desk.refused("put_resource_policy", ResourcePolicy=FINE, **other) == told
    assert desk.refused("delete_resource_policy", **other) == told
    assert desk.refused("get_resource_policy", **other)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("operation", ["put_resource_policy", "validate_resource_policy"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "This policy contains invalid Json"),
        (json.dumps({**policy(), "Statement": [{"Effect": "Allow"}]}), None),
        (json.dumps(policy(Principal=None)), None),
        ("[" * 5000, None),
    ],
)
def test_policies_that_are_none(desk: Desk, operation: str, text: str, told: str | None) -> None:
    desk.create("app")
    code, message = desk.refused(operation, SecretId="app", ResourcePolicy=text)
    assert code == "MalformedPolicyDocumentException" and (told is None or message == told)


@pytest.mark.parametrize("operation", ["put_resource_policy", "validate_resource_policy"])
@pytest.mark.parametrize("name", ["arn:aws:iam::123456789012:role/nobody", "arn:aws:iam::123456789012:role/*", "app"])
def test_principals_that_are_none(desk: Desk, operation: str, name: str) -> None:
    desk.create("app")
    text = json.dumps(policy(Principal={"AWS": name}))
    assert desk.refused(operation, SecretId="app", ResourcePolicy=text) == (
        "MalformedPolicyDocumentException",
        "This resource policy contains an unsupported principal.",
    )


def test_another_role_of_the_name_is_somebody_else(desk: Desk) -> None:
    """What is judged has the id of the role that was meant; so has what is told, once that role is gone."""
    arn = desk.create("app")
    desk("put_resource_policy", SecretId="app", ResourcePolicy=FINE)
    judged = json.loads(desk.secret(arn).policy_in_force or "")
    assert judged == policy(Principal={"AWS": "AROAFIRST"})
    make_role(desk, "AROASECOND")
    told = desk("get_resource_policy", SecretId="app")["ResourcePolicy"]
    assert json.loads(told) == policy(Principal={"AWS": "AROAFIRST"})
    desk.guard.asked.clear()
    desk("describe_secret", SecretId="app")
    assert json.loads(desk.guard.asked[0][3] or "") == judged
    assert desk.refused("put_resource_policy", SecretId="app", ResourcePolicy=told)[0].startswith("Malformed")
    desk("put_resource_policy", SecretId="app", ResourcePolicy=FINE)
    assert desk("get_resource_policy", SecretId="app")["ResourcePolicy"] == FINE
    assert "AROASECOND" in (desk.secret(arn).policy_in_force or "")


def test_a_policy_has_its_size(desk: Desk) -> None:
    desk.create("app")
    desk("put_resource_policy", SecretId="app", ResourcePolicy=FINE + " " * (20_480 - len(FINE)))
    too_long = FINE + " " * (20_481 - len(FINE))
    assert desk.refused("put_resource_policy", SecretId="app", ResourcePolicy=too_long) == (
        "InvalidParameterException",
        "A resource policy can have at most 20480 bytes.",
    )


def test_a_public_policy_is_blocked_if_asked(desk: Desk) -> None:
    desk.create("app")
    assert desk.refused("put_resource_policy", SecretId="app", ResourcePolicy=OPEN, BlockPublicPolicy=True) == (
        "PublicPolicyException",
        "The resource policy did not prevent broad access to the secret.",
    )
    desk("put_resource_policy", SecretId="app", ResourcePolicy=FINE, BlockPublicPolicy=True)
    desk("put_resource_policy", SecretId="app", ResourcePolicy=OPEN)


@pytest.mark.parametrize(
    ("parts", "public"),
    [
        ({}, False),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["123456789012", "*"]}}, True),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}}, False),
        ({"Principal": "*", "Condition": {"StringLike": {"AWS:PrincipalArn": "arn:aws:iam::1:role/*"}}}, False),
        ({"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "*"}}}, True),
        ({"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "1"}}}, True),
        ({"Principal": "*", "Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}}, True),
        ({"Principal": "*", "Condition": {"Null": {"aws:SourceVpc": "true"}}}, True),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}}, True),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}}, True),
    ],
)
def test_whom_a_policy_lets_in(parts: dict[str, Any], public: bool) -> None:
    assert is_public(policy(**parts)) is public


def test_everybody_but_one_is_public() -> None:
    document = policy(NotPrincipal={"AWS": "123456789012"})
    del document["Statement"][0]["Principal"]
    assert is_public(document)


def test_validation(desk: Desk) -> None:
    desk.create("app")
    passed = {"PolicyValidationPassed": True, "ValidationErrors": []}
    assert desk("validate_resource_policy", ResourcePolicy=FINE) == passed
    assert desk("validate_resource_policy", SecretId="app", ResourcePolicy=FINE) == passed
    answer = desk("validate_resource_policy", ResourcePolicy=OPEN)
    assert not answer["PolicyValidationPassed"]
    assert [error["CheckName"] for error in answer["ValidationErrors"]] == ["PublicPolicy"]
    answers = iter([False, True])
    desk.guard.refused = lambda action, resource, context: "Put" in action and next(answers)
    answer = desk("validate_resource_policy", SecretId="app", ResourcePolicy=FINE)
    assert [error["CheckName"] for error in answer["ValidationErrors"]] == ["CallerLockout"]
