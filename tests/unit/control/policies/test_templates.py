"""Policy variables, and ARNs with them."""

from __future__ import annotations

import pytest

from tidegate.control.policies.arns import ArnPattern, account_of
from tidegate.control.policies.context import Context
from tidegate.control.policies.templates import Template

CONTEXT = Context(
    {
        "aws:username": "alice",
        "aws:PrincipalTag/Team": "blue",
        "aws:PrincipalTag/odd": "a*:b",
        "aws:TagKeys": ["one", "two"],
        "empty": [],
    }
)


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("home/${aws:username}/*", "home/alice/*"),
        ("${AWS:UserName}", "alice"),
        ("${aws:PrincipalTag/team}", "blue"),
        ("${aws:PrincipalTag/none, 'company-wide'}", "company-wide"),
        ("${aws:username, 'unused'}", "alice"),
        ("${aws:none, ''}", ""),
        ("${*}${?}${$}", "*?$"),
        ("${$}{x}", "${x}"),
        ("${unclosed", "${unclosed"),
        ("$ {a}", "$ {a}"),
        ("${aws:none}", None),
        ("${aws:TagKeys}", None),
        ("${aws:TagKeys, 'several'}", "several"),
        ("${empty}", None),
        ("${}", None),
        ("${aws:none, unquoted}", None),
    ],
)
def test_what_a_variable_stands_for(text: str, resolved: str | None) -> None:
    assert Template.parse(text, variables=True).literal(CONTEXT) == resolved


def test_the_old_version_has_no_variables() -> None:
    assert Template.parse("${aws:username}", variables=False).literal(CONTEXT) == "${aws:username}"


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("${aws:username}*", "alice2", True),
        ("${*}", "*", True),
        ("${*}", "x", False),
        ("a${?}", "a?", True),
        ("a${?}", "ab", False),
        ("${aws:PrincipalTag/odd}", "a*:b", True),
        ("${aws:PrincipalTag/odd}", "axx:b", False),
        ("${aws:none}", "", False),
        ("*${aws:none}", "anything", False),
    ],
)
def test_wildcards_stand_in_the_text_only(text: str, value: str, matches: bool) -> None:
    assert Template.parse(text, variables=True).matches(value, CONTEXT) is matches


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("*", "*", True),
        ("*", "arn:aws:s3:::bucket", True),
        ("**", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3:::bucket", "*", False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b:c", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::Bucket", "arn:aws:s3:::bucket", False),
        ("arn:aws:sns:*:123456789012:*", "arn:aws:sns:us-east-1:123456789012:topic", True),
        ("arn:aws:*:123456789012:topic", "arn:aws:sns:us-east-1:123456789012:topic", False),
        ("arn:aws:s*:topic", "arn:aws:sns:us-east-1:123456789012:topic", False),
        ("arn:aws:rds-db:*:*:dbuser:*/jane_doe", "arn:aws:rds-db:us-east-2:1:dbuser:prx-1/jane_doe", True),
        ("arn:aws:iam::*:role/${aws:username}-*", "arn:aws:iam::1:role/alice-x", True),
        ("arn:aws:x:${aws:PrincipalTag/odd}:r", "arn:aws:x:a*:b:r", False),
        ("arn:aws:x:::${aws:PrincipalTag/odd}", "arn:aws:x:::a*:b", True),
        ("arn:aws:s3", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3", "arn:aws:sqs:r:1:queue", False),
        ("arn:*", "arn:aws:s3", False),
        ("*:*", "arn:aws", False),
        ("${aws:PrincipalTag/team}", "arn:aws:s3:::bucket", False),
        ("arn:${*}:s3:::bucket", "arn:aws:s3:::bucket", False),
    ],
)
def test_arns_match_part_by_part(pattern: str, arn: str, matches: bool) -> None:
    assert ArnPattern(Template.parse(pattern, variables=True)).matches(arn, CONTEXT) is matches


def test_the_account_in_an_arn() -> None:
    assert account_of("arn:aws:iam::123456789012:role/x") == "123456789012"
    assert account_of("arn:aws:s3:::bucket") == ""
    assert account_of("*") == ""
