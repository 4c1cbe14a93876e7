"""AWS's evaluation logic: who must allow, and who can deny."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control.policies.judging import (
    ACCOUNT,
    ALICE,
    ROLE,
    ROLE_SESSION,
    ROOT,
    SESSION,
    USER,
    allow,
    deny,
    judged,
    policy,
    request,
)
from tidegate.control.policies.decision import Decision, InForce, Source, decide
from tidegate.control.policies.documents import NOTHING, Policy
from tidegate.control.policies.principals import Principal

ANY = policy(allow())
GET = request("s3:GetObject", "arn:aws:s3:::bucket/key")
GET_IN_ROLE = request("s3:GetObject", "arn:aws:s3:::bucket/key", principal=ROLE_SESSION)
BY_ROOT = request("s3:GetObject", "arn:aws:s3:::bucket/key", principal=ROOT)


def hanging(principal: Any, effect: str = "Allow", element: str = "Principal") -> Policy:
    return policy({"Effect": effect, element: principal, "Action": "s3:*", "Resource": "*"})


IDENTITY = "because no identity-based policy allows the s3:GetObject action"
BOUNDARY = "because no permissions boundary allows the s3:GetObject action"
SESSION_POLICY = "because no session policy allows the s3:GetObject action"
RESOURCE = "because no resource-based policy allows the s3:GetObject action"
TRUST = "because no role trust policy allows the s3:GetObject action"


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (judged(GET), IDENTITY),
        (judged(GET, policy(allow("s3:Put*"))), IDENTITY),
        (judged(GET, ANY), None),
        (judged(GET, policy(allow("S3:getobject"))), None),
        (judged(GET, ANY, boundary=NOTHING), BOUNDARY),
        (judged(GET, boundary=ANY), IDENTITY),
        (judged(GET, ANY, boundary=ANY, session=()), SESSION_POLICY),
        (judged(GET, ANY, session=(NOTHING,)), SESSION_POLICY),
        (judged(GET, ANY, session=(NOTHING, ANY)), None),
        (judged(GET, ANY, policy(deny("s3:Get*"))), "with an explicit deny in an identity-based policy"),
        (judged(GET, ANY, resource=hanging("*", "Deny")), "with an explicit deny in a resource-based policy"),
        (judged(GET, ANY, boundary=policy(allow(), deny())), "with an explicit deny in a permissions boundary"),
        (judged(GET, ANY, session=(ANY, policy(deny()))), "with an explicit deny in a session policy"),
        (judged(GET, ANY, other_account=True), RESOURCE),
        (judged(GET, ANY, other_account=True, resource=hanging({"AWS": ALICE})), None),
        (judged(GET, other_account=True, resource=hanging({"AWS": ALICE})), IDENTITY),
        (judged(GET, other_account=True, resource=hanging("*")), IDENTITY),
        (judged(GET, ANY, trust=True, resource=hanging({"AWS": ROLE})), TRUST),
        (judged(GET, ANY, trust=True, resource=hanging({"AWS": "arn:aws:iam::999999999999:root"})), TRUST),
        (judged(GET, ANY, trust=True, resource=hanging({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})), None),
        (judged(GET, ANY, trust=True, resource=hanging("*", "Deny")), "with an explicit deny in the role trust policy"),
        (judged(BY_ROOT), None),
        (judged(BY_ROOT, resource=hanging("*", "Deny")), "with an explicit deny in a resource-based policy"),
    ],
)
def test_who_must_allow(decision: Decision, reason: str | None) -> None:
    assert (decision.allowed, decision.reason or None) == (reason is None, reason)
    assert decision.denied is ("explicit" in (reason or ""))


@pytest.mark.parametrize(
    ("asked", "principal", "alone", "within_nothing"),
    [
        # IAM User Guide, "Resource-based policies and implicit denies in other policy types".
        (GET, {"AWS": ALICE}, True, True),
        (GET, {"AWS": ACCOUNT}, False, False),
        (GET, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False, False),
        (GET, {"AWS": "*"}, True, False),
        (GET, "*", True, False),
        (GET, {"AWS": "arn:aws:iam::999999999999:user/alice"}, False, False),
        (GET, {"AWS": ROLE}, False, False),
        (GET, {"Service": "rds.amazonaws.com"}, False, False),
        (GET_IN_ROLE, {"AWS": ROLE}, True, False),
        (GET_IN_ROLE, {"AWS": SESSION}, True, True),
        (GET_IN_ROLE, {"AWS": [ALICE, SESSION]}, True, True),
        (GET_IN_ROLE, {"AWS": SESSION + "x"}, False, False),
    ],
)
def test_what_a_resource_policy_grants_alone(asked: Any, principal: Any, alone: bool, within_nothing: bool) -> None:
    resource = hanging(principal)
    assert judged(asked, resource=resource).allowed is alone
    assert judged(asked, resource=resource, boundary=NOTHING, session=(NOTHING,)).allowed is within_nothing
    assert judged(asked, ANY, resource=resource).allowed


@pytest.mark.parametrize("element", ["Principal", "NotPrincipal"])
def test_not_principal_denies_all_others(element: str) -> None:
    resource = hanging({"AWS": ALICE}, "Deny", element)
    assert judged(GET, ANY, resource=resource).allowed is (element == "NotPrincipal")
    assert judged(GET_IN_ROLE, ANY, resource=resource).allowed is (element == "Principal")


@pytest.mark.parametrize(
    ("asked", "spared", "allowed"),
    [
        (GET, {"AWS": ACCOUNT}, False),
        (GET, {"AWS": [ALICE, ACCOUNT]}, True),
        (GET_IN_ROLE, {"AWS": ROLE}, False),
        (GET_IN_ROLE, {"AWS": [ROLE, SESSION, ACCOUNT]}, True),
    ],
)
def test_not_principal_spares_who_is_named_oneself(asked: Any, spared: Any, allowed: bool) -> None:
    assert judged(asked, ANY, resource=hanging(spared, "Deny", "NotPrincipal")).allowed is allowed


def test_a_trust_policy_that_names_the_account_leaves_it_to_the_account() -> None:
    trust = policy(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    )
    asked = request("sts:AssumeRole", ROLE)
    assert judged(asked, resource=trust, trust=True).reason == (
        "because no identity-based policy allows the sts:AssumeRole action"
    )
    assert judged(asked, policy(allow("sts:AssumeRole", ROLE)), resource=trust, trust=True).allowed


def test_a_service_needs_nothing_but_the_trust() -> None:
    trust = policy({"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"})
    for name, allowed in (("rds.amazonaws.com", True), ("ec2.amazonaws.com", False)):
        asked = request("sts:AssumeRole", ROLE, principal=Principal.service(name))
        assert decide(asked, InForce(), resource=trust, trust=True).allowed is allowed


def test_a_name_of_a_service_is_not_an_arn_and_none_is_a_service() -> None:
    odd = Principal(account=ACCOUNT, arn="rds.amazonaws.com", direct=frozenset({"rds.amazonaws.com"}))
    resource = hanging({"Service": "rds.amazonaws.com"})
    assert not judged(request("s3:GetObject", "*", principal=odd), resource=resource).allowed
    resource = hanging({"AWS": "rds.amazonaws.com"})
    service = Principal.service("rds.amazonaws.com")
    assert not judged(request("s3:GetObject", "*", principal=service), resource=resource).allowed


def test_the_deciding_policies_are_told() -> None:
    one, two = Source(ANY, "one", "user"), Source(policy(deny("s3:Get*")), "two", "group")
    assert decide(GET, InForce(identity=(one,))).matched == (one,)
    assert decide(GET, InForce(identity=(one, two))).matched == (two,)
    outside = decide(GET, InForce(identity=(one,), boundary=NOTHING))
    assert (outside.allowed, outside.within_boundary, outside.matched) == (False, False, ())


def test_not_resource_with_a_variable_without_value_gives_nothing_away() -> None:
    pattern = "arn:aws:s3:::${aws:PrincipalTag/none}/*"
    allowing = policy({"Effect": "Allow", "Action": "*", "NotResource": pattern})
    denying = policy({"Effect": "Deny", "Action": "*", "NotResource": pattern})
    assert not judged(GET, allowing).allowed
    assert judged(GET, ANY, denying).denied


def test_not_action() -> None:
    everything_else = policy({"Effect": "Allow", "NotAction": ["s3:*", "iam:*"], "Resource": "*"})
    assert judged(request("rds:CreateDBProxy"), everything_else).allowed
    assert not judged(GET, everything_else).allowed


def test_all_conditions_of_a_statement_must_hold() -> None:
    condition = {"StringEquals": {"a:x": "1", "a:y": "2"}, "Bool": {"a:z": True}}
    rule = policy(allow(Condition=condition))
    whole = {"a:x": "1", "a:y": "2", "a:z": "true"}
    assert judged(request("s3:Get", context=whole), rule).allowed
    for key in whole:
        assert not judged(request("s3:Get", context=whole | {key: "no"}), rule).allowed
    assert USER.arn == ALICE
