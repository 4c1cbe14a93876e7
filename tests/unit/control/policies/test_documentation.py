"""Policies from AWS's public documentation, and what it says of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control.policies.judging import (
    ACCOUNT,
    USER,
    Raw,
    allow,
    deny,
    document,
    judged,
    policy,
    request,
)
from tidegate.control.policies.documents import parse
from tidegate.control.policies.rules import PolicyKind, check

HOME = policy(
    allow(
        "s3:ListBucket",
        "arn:aws:s3:::amzn-s3-demo-bucket",
        Condition={"StringLike": {"s3:prefix": ["${aws:username}/*"]}},
    ),
    allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::amzn-s3-demo-bucket/${aws:username}/*"),
)
"""IAM policy elements: Variables and tags."""
TEAM = policy(
    allow("dynamodb:*", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team, 'company-wide'}"),
)
"""The same page, "Specifying default values"."""
DATES = policy(
    allow(
        "service-prefix:action-name",
        Condition={
            "DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"},
            "DateLessThan": {"aws:CurrentTime": "2020-06-30T23:59:59Z"},
        },
    )
)
"""AWS: Allows access based on date and time."""
SOURCE_IP = policy(
    allow(),
    deny(
        Condition={
            "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
            "Bool": {"aws:ViaAWSService": "false"},
        }
    ),
)
"""AWS: Denies access to AWS based on the source IP."""
REGION = policy(
    allow(),
    {
        "Sid": "DenyAllOutsideRequestedRegions",
        "Effect": "Deny",
        "NotAction": ["cloudfront:*", "iam:*", "organizations:*", "route53:*", "support:*"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1", "eu-west-3"]}},
    },
)
"""AWS: Denies access to AWS based on the requested Region."""
TAGS = policy(
    allow(
        "ec2:CreateTags",
        "arn:aws:ec2:*:*:instance/*",
        Condition={
            "StringEquals": {"aws:RequestTag/environment": ["preprod", "production"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "CostCenter"]},
        },
    )
)
"""Controlling access during AWS requests; set operators with aws:TagKeys."""
OWNER = policy(
    allow(
        ["ec2:StartInstances", "ec2:StopInstances"],
        "arn:aws:ec2:*:*:instance/*",
        Condition={"StringEquals": {"aws:ResourceTag/Owner": "${aws:username}"}},
    )
)
"""EC2: Start or stop instances based on matching principal and resource tags."""
INSTANCE_TYPE = policy(
    allow("ec2:RunInstances", Condition={"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}})
)
"""...IfExists condition operators."""
NO_TEMPORARY = policy(allow(Condition={"Null": {"aws:TokenIssueTime": "true"}}))
"""Condition operator to check existence of condition keys."""
MFA = policy(
    allow(),
    {
        "Effect": "Deny",
        "NotAction": ["iam:ListUsers", "sts:GetSessionToken"],
        "Resource": "*",
        "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    },
)
"""AWS: Allows MFA-authenticated IAM users to manage their own credentials."""
PASS_ROLE = policy(
    allow(
        "iam:PassRole",
        f"arn:aws:iam::{ACCOUNT}:role/EC2-roles-for-XYZ-*",
        Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    )
)
"""Grant a user permissions to pass a role to an AWS service."""
DATABASE = policy(
    allow("rds-db:connect", "arn:aws:rds-db:us-east-2:123456789012:dbuser:db-ABCDEFGHIJKL01234/db_user"),
    allow("rds-db:connect", "arn:aws:rds-db:us-east-2:123456789012:dbuser:*/jane_doe"),
)
"""RDS: Creating and using an IAM policy for IAM database access."""
SECRET = policy(
    allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:MyDBSecret-??????")
)
"""Secrets Manager: permissions by a name's pattern."""
COLUMNS = policy(
    allow(
        "dynamodb:GetItem",
        "arn:aws:dynamodb:*:*:table/Thread",
        Condition={"ForAllValues:StringEquals": {"dynamodb:Attributes": ["ID", "Message", "Tags"]}},
    )
)
"""Set operators for multivalued context keys."""

THREAD = "arn:aws:dynamodb:us-east-1:1:table/Thread"
INSTANCE = "arn:aws:ec2:us-east-1:1:instance/i-1"
BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"
DBUSER = "arn:aws:rds-db:us-east-2:123456789012:dbuser:"
SECRETS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
ME = {"aws:username": "JohnDoe"}
T, F = True, False


@pytest.mark.parametrize(
    ("rules", "action", "resource", "context", "allowed"),
    [
        (HOME, "s3:ListBucket", BUCKET, ME | {"s3:prefix": "JohnDoe/x"}, T),
        (HOME, "s3:ListBucket", BUCKET, ME | {"s3:prefix": "JaneDoe/x"}, F),
        (HOME, "s3:ListBucket", BUCKET, ME, F),
        (HOME, "s3:GetObject", f"{BUCKET}/JohnDoe/photo", ME, T),
        (HOME, "s3:GetObject", f"{BUCKET}/JaneDoe/photo", ME, F),
        (HOME, "s3:GetObject", f"{BUCKET}//photo", {}, F),
        (TEAM, "dynamodb:GetItem", "arn:aws:dynamodb:r:1:table/yellow", {"aws:PrincipalTag/team": "yellow"}, T),
        (TEAM, "dynamodb:GetItem", "arn:aws:dynamodb:r:1:table/company-wide", {}, T),
        (TEAM, "dynamodb:GetItem", "arn:aws:dynamodb:r:1:table/yellow", {}, F),
        (DATES, "service-prefix:action-name", "*", {"aws:CurrentTime": "2020-05-01T12:00:00Z"}, T),
        (DATES, "service-prefix:action-name", "*", {"aws:CurrentTime": "2020-07-01T00:00:00Z"}, F),
        (SOURCE_IP, "s3:GetObject", BUCKET, {"aws:SourceIp": "203.0.113.5", "aws:ViaAWSService": False}, T),
        (SOURCE_IP, "s3:GetObject", BUCKET, {"aws:SourceIp": "198.51.100.5", "aws:ViaAWSService": False}, F),
        (SOURCE_IP, "s3:GetObject", BUCKET, {"aws:SourceIp": "198.51.100.5", "aws:ViaAWSService": True}, T),
        (REGION, "rds:CreateDBProxy", "*", {"aws:RequestedRegion": "eu-west-1"}, T),
        (REGION, "rds:CreateDBProxy", "*", {"aws:RequestedRegion": "us-east-1"}, F),
        (REGION, "iam:CreateUser", "*", {"aws:RequestedRegion": "us-east-1"}, T),
        (
            TAGS,
            "ec2:CreateTags",
            INSTANCE,
            {"aws:RequestTag/environment": "preprod", "aws:TagKeys": ["environment"]},
            T,
        ),
        (
            TAGS,
            "ec2:CreateTags",
            INSTANCE,
            {"aws:RequestTag/environment": "preprod", "aws:TagKeys": ["environment", "other"]},
            F,
        ),
        (TAGS, "ec2:CreateTags", INSTANCE, {"aws:RequestTag/environment": "test", "aws:TagKeys": ["environment"]}, F),
        (OWNER, "ec2:StartInstances", INSTANCE, ME | {"aws:ResourceTag/owner": "JohnDoe"}, T),
        (OWNER, "ec2:StartInstances", INSTANCE, ME | {"aws:ResourceTag/Owner": "JaneDoe"}, F),
        (OWNER, "ec2:TerminateInstances", INSTANCE, ME | {"aws:ResourceTag/Owner": "JohnDoe"}, F),
        (INSTANCE_TYPE, "ec2:RunInstances", INSTANCE, {"ec2:InstanceType": "t2.micro"}, T),
        (INSTANCE_TYPE, "ec2:RunInstances", INSTANCE, {"ec2:InstanceType": "m5.large"}, F),
        (INSTANCE_TYPE, "ec2:RunInstances", "arn:aws:ec2:r:1:subnet/s", {}, T),
        (NO_TEMPORARY, "s3:GetObject", BUCKET, {}, T),
        (NO_TEMPORARY, "s3:GetObject", BUCKET, {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}, F),
        (MFA, "s3:GetObject", BUCKET, {"aws:MultiFactorAuthPresent": True}, T),
        (MFA, "s3:GetObject", BUCKET, {"aws:MultiFactorAuthPresent": False}, F),
        (MFA, "s3:GetObject", BUCKET, {}, F),
        (MFA, "iam:ListUsers", "*", {}, T),
        (
            PASS_ROLE,
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/EC2-roles-for-XYZ-web",
            {"iam:PassedToService": "ec2.amazonaws.com"},
            T,
        ),
        (
            PASS_ROLE,
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/EC2-roles-for-XYZ-web",
            {"iam:PassedToService": "rds.amazonaws.com"},
            F,
        ),
        (
            PASS_ROLE,
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/admin",
            {"iam:PassedToService": "ec2.amazonaws.com"},
            F,
        ),
        (DATABASE, "rds-db:connect", f"{DBUSER}db-ABCDEFGHIJKL01234/db_user", {}, T),
        (DATABASE, "rds-db:connect", f"{DBUSER}db-other/db_user", {}, F),
        (DATABASE, "rds-db:connect", f"{DBUSER}prx-0123/jane_doe", {}, T),
        (DATABASE, "rds-db:connect", "arn:aws:rds-db:us-east-1:123456789012:dbuser:prx-0123/jane_doe", {}, F),
        (SECRET, "secretsmanager:GetSecretValue", f"{SECRETS}MyDBSecret-a1b2c3", {}, T),
        (SECRET, "secretsmanager:GetSecretValue", f"{SECRETS}MyDBSecret-prod-a1b2c3", {}, F),
        (SECRET, "secretsmanager:PutSecretValue", f"{SECRETS}MyDBSecret-a1b2c3", {}, F),
        (COLUMNS, "dynamodb:GetItem", THREAD, {"dynamodb:Attributes": ["ID", "Tags"]}, T),
        (COLUMNS, "dynamodb:GetItem", THREAD, {"dynamodb:Attributes": ["ID", "Secret"]}, F),
    ],
)
def test_examples(rules: Any, action: str, resource: str, context: Raw, allowed: bool) -> None:
    assert judged(request(action, resource, context), rules).allowed is allowed


def test_a_permissions_boundary_sets_the_most_that_a_user_may() -> None:
    """Permissions boundaries for IAM entities: ShirleyRodriguez."""
    boundary = policy(allow(["s3:*", "cloudwatch:*", "ec2:*"]))
    create_user = policy(allow("iam:CreateUser"))
    assert judged(request("iam:CreateUser"), create_user, boundary=boundary).reason == (
        "because no permissions boundary allows the iam:CreateUser action"
    )
    assert not judged(request("s3:GetObject"), create_user, boundary=boundary).allowed
    assert judged(request("s3:GetObject"), create_user, policy(allow("s3:*")), boundary=boundary).allowed


def test_the_confused_deputy_needs_the_external_id() -> None:
    """Access to AWS accounts owned by third parties."""
    text = document(
        {
            "Effect": "Allow",
            "Principal": {"AWS": ACCOUNT},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "12345"}},
        }
    )
    check(text, PolicyKind.TRUST)
    may = policy(allow("sts:AssumeRole"))
    for given, allowed in (("12345", True), ("54321", False), (None, False)):
        asked = request("sts:AssumeRole", "arn:aws:iam::1:role/r", {"sts:ExternalId": given}, USER)
        assert judged(asked, may, resource=parse(text), trust=True).allowed is allowed


def test_a_bucket_policy_that_wants_tls() -> None:
    """Amazon S3: Allow or deny access based on aws:SecureTransport."""
    rules = policy(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [BUCKET, f"{BUCKET}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
    for secure in (True, False):
        asked = request("s3:GetObject", f"{BUCKET}/x", {"aws:SecureTransport": secure})
        assert judged(asked, policy(allow()), resource=rules).allowed is secure
