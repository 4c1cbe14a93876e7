"""AWS's own policies, all of which must be understood."""

from __future__ import annotations

import pytest

from tests.unit.control.policies.judging import judged, request
from tidegate.control.policies.documents import Policy, parse
from tidegate.control.policies.rules import MAX_TEXT, PolicyKind, check
from tidegate.control.policies.syntax import PolicyProblem
from tidegate.control.services.iam.managed import AWS_PREFIX, aws_policies


def named(name: str) -> Policy:
    return parse(aws_policies()[AWS_PREFIX + name].document)


def test_all_of_them_keep_the_rules() -> None:
    broken = {}
    for arn, policy in aws_policies().items():
        try:
            parse(policy.document)
            if len(policy.document) <= MAX_TEXT:
                check(policy.document, PolicyKind.IDENTITY)
        except PolicyProblem as problem:
            broken[arn] = problem.message
    assert len(aws_policies()) > 1000
    assert broken == {}


@pytest.mark.parametrize(
    ("name", "action", "resource", "allowed"),
    [
        ("AdministratorAccess", "iam:DeleteUser", "arn:aws:iam::1:user/x", True),
        ("PowerUserAccess", "rds:CreateDBProxy", "arn:aws:rds:r:1:db-proxy:x", True),
        ("PowerUserAccess", "iam:CreateUser", "arn:aws:iam::1:user/x", False),
        ("PowerUserAccess", "iam:ListRoles", "arn:aws:iam::1:role/", True),
        ("ReadOnlyAccess", "rds:DescribeDBProxies", "*", True),
        ("ReadOnlyAccess", "rds:CreateDBProxy", "*", False),
        (
            "SecretsManagerReadWrite",
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:r:1:secret:x-abcdef",
            True,
        ),
        ("AmazonRDSReadOnlyAccess", "rds:DescribeDBProxies", "*", True),
        ("IAMReadOnlyAccess", "iam:GetUser", "arn:aws:iam::1:user/x", True),
        ("IAMReadOnlyAccess", "iam:CreateUser", "arn:aws:iam::1:user/x", False),
    ],
)
def test_what_some_of_them_allow(name: str, action: str, resource: str, allowed: bool) -> None:
    assert judged(request(action, resource), named(name)).allowed is allowed


def test_their_ids_are_the_same_in_every_process() -> None:
    administrator = aws_policies()[AWS_PREFIX + "AdministratorAccess"]
    assert administrator.arn == "arn:aws:iam::aws:policy/AdministratorAccess"
    assert administrator.path == "/"
    assert administrator.id.startswith("ANPA") and len(administrator.id) == 21
    service = AWS_PREFIX + "aws-service-role/AmazonRDSServiceRolePolicy"
    assert aws_policies()[service].path == "/aws-service-role/"
