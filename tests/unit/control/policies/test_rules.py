"""What IAM refuses as a document, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.control.policies.judging import allow, document, judged, policy, request
from tidegate.control.policies.conditions import OPERATORS
from tidegate.control.policies.documents import load, parse
from tidegate.control.policies.rules import PolicyKind, check, principals_of, size
from tidegate.control.policies.syntax import PolicyProblem, read

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"


def problem(text: str, kind: PolicyKind = PolicyKind.IDENTITY) -> str:
    with pytest.raises(PolicyProblem) as caught:
        check(text, kind)
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"Version":"2012-10-17"}',
        '{"Version":"2012-10-17","Statement":[]}',
        '{"Version":"2012-10-17","Statement":"x"}',
        '{"Version":"2012-10-17","Statement":[1]}',
        '{"Version":"2013-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
        '{"Version":"2012-10-17","Extra":1,"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
        '{"Version":"2012-10-17","Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":NaN}}',
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:\\ud800","Resource":"*"}}',
        "[" * 200_000,
        '{"Statement":' + "[" * 50_000,
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(PolicyProblem):
        check(text, PolicyKind.IDENTITY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Effect": None}, SYNTAX),
        ({"Effect": "Permit"}, SYNTAX),
        ({"Effect": "allow"}, LEGACY),
        ({"Verb": "x"}, SYNTAX),
        ({"Action": 1}, SYNTAX),
        ({"NotAction": "s3:*"}, SYNTAX),
        ({"NotResource": "*"}, SYNTAX),
        ({"Resource": {"a": 1}}, SYNTAX),
        ({"Sid": 1}, SYNTAX),
        ({"Condition": []}, SYNTAX),
        ({"Condition": {"StringEquals": "x"}}, SYNTAX),
        ({"Condition": {"StringEqual": {"a": "b"}}}, SYNTAX),
        ({"Condition": {"StringEquals": {"a": {"b": 1}}}}, SYNTAX),
        ({"Condition": {"StringEquals": {"a": None}}}, SYNTAX),
        ({"Condition": {"DateLessThan": {"aws:CurrentTime": "soon"}}}, LEGACY),
        ({"Action": []}, "Policy statement must contain actions."),
        ({"Resource": []}, "Policy statement must contain resources."),
        ({"Action": "s3"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ({"Action": "s3:a:b"}, "Actions/Condition can contain only one colon."),
        ({"Action": "s 3:a"}, "Vendor s 3 is not valid"),
        ({"Action": "s*:a"}, "Vendor s* is not valid"),
        ({"Resource": "bucket"}, 'Resource bucket must be in ARN format or "*".'),
        ({"Resource": "arn:foo:s3:::x"}, 'Partition "foo" is not valid for resource "arn:foo:s3:::x".'),
        ({"Resource": "arn:foo"}, 'Partition "foo" is not valid for resource "arn:foo:*:*:*:*".'),
        ({"Resource": "arn:aws"}, "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            {"Resource": "arn:aws:iam:us-east-1:1:user/x"},
            "IAM resource arn:aws:iam:us-east-1:1:user/x cannot contain region information.",
        ),
        (
            {"Resource": "arn:aws:iam::1:thing/x"},
            'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
            "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, "
            "access-report/.",
        ),
        (
            {"Sid": "a b"},
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*",
        ),
        ({"Principal": "*"}, "Policy document should not specify a principal."),
        ({"Principal": "arn:aws:iam::1:root"}, SYNTAX),
        ({"Principal": {}}, SYNTAX),
        ({"Principal": {"Aws": "*"}}, SYNTAX),
    ],
)
def test_what_an_identity_policy_must_not_say(change: dict[str, Any], message: str) -> None:
    statement = {key: value for key, value in (allow() | change).items() if value is not None}
    assert problem(document(statement)) == message


def test_identity_policies_are_of_the_new_version() -> None:
    wanted = "Policy document must be version 2012-10-17 or greater."
    assert problem(document(allow(), version="2008-10-17")) == wanted
    assert problem(json.dumps({"Statement": allow()})) == wanted


def test_statement_ids_are_unique() -> None:
    wanted = "Statement IDs (SID) in a single policy must be unique."
    assert problem(document(allow(Sid="one"), allow(Sid="one"))) == wanted
    check(document(allow(Sid=""), allow(Sid="")), PolicyKind.IDENTITY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Resource": "*"}, "Has prohibited field Resource"),
        ({"NotResource": "*"}, "Has prohibited field Resource"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "sts:GetCallerIdentity"}, "AssumeRole policy may only specify STS AssumeRole actions."),
    ],
)
def test_what_a_trust_policy_must_not_say(change: dict[str, Any], message: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}
    check(document(trust, version="2008-10-17"), PolicyKind.TRUST)
    statement = {key: value for key, value in (trust | change).items() if value is not None}
    assert problem(document(statement), PolicyKind.TRUST) == message


@pytest.mark.parametrize("action", ["sts:AssumeRole", "STS:assumerole", "sts:*", ["sts:AssumeRole", "sts:TagSession"]])
def test_actions_of_trust_policies(action: Any) -> None:
    check(document({"Effect": "Allow", "Principal": "*", "Action": action}), PolicyKind.TRUST)


def test_broken_json_in_a_trust_policy_has_words_of_its_own() -> None:
    assert problem("{", PolicyKind.TRUST) == "This policy contains invalid Json"
    assert problem("{", PolicyKind.RESOURCE) == "This policy contains invalid Json"
    assert problem("{") == SYNTAX


def test_a_resource_policy_needs_principals_and_resources() -> None:
    check(document(allow("secretsmanager:GetSecretValue", Principal="*")), PolicyKind.RESOURCE)
    assert problem(document(allow()), PolicyKind.RESOURCE) == "Missing required field Principal"
    no_resource = {"Effect": "Allow", "Principal": "*", "Action": "s3:*"}
    assert problem(document(no_resource), PolicyKind.RESOURCE) == "Policy statement must contain resources."


def test_principals_are_told_with_their_form() -> None:
    trust = document(
        {"Effect": "Allow", "Principal": {"AWS": ["a", "b"], "Service": "c"}, "Action": "sts:AssumeRole"},
        {"Effect": "Deny", "NotPrincipal": {"AWS": "d"}, "Action": "sts:AssumeRole"},
        {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"},
    )
    assert list(principals_of(read(trust))) == [("AWS", "a"), ("AWS", "b"), ("Service", "c"), ("AWS", "d")]


def test_white_space_does_not_count() -> None:
    assert size(' {"a":\n\t"b c"}\r') == 10


def test_a_text_that_is_too_long_is_not_read() -> None:
    assert "longer than" in problem(document(allow(Sid="a" * 140_000)))


def test_kept_documents_are_compiled_once() -> None:
    text = document(allow("s3:KeptOnce"))
    assert load(text) is load(text)
    assert parse(text) is not parse(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["Allow", "*", "s3:*", "arn:aws:s3:::x", "${a", "2012-10-17"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "AWS", "Condition", "StringLike"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values, st.sampled_from(PolicyKind))
def test_anything_is_either_a_policy_or_a_problem(value: Any, kind: PolicyKind) -> None:
    text = json.dumps(value)
    try:
        check(text, kind)
    except PolicyProblem:
        return
    parse(text)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(OPERATORS)),
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.lists(
        st.text(max_size=12) | st.sampled_from(["${a:b}", "1e5", "9999-12-31T23:59:59-23:59", "::/0"]), max_size=3
    ),
    st.lists(st.text(max_size=12) | st.sampled_from(["0001-01-01T00:00:00+23:59", "-1", "fe80::1%eth0"]), max_size=3),
)
def test_no_value_breaks_a_condition(operator: str, prefix: str, wanted: list[str], given: list[str]) -> None:
    rule = policy(allow(Condition={prefix + operator: {"a:b": wanted}}))
    asked = request("s3:GetObject", context={"a:b": given})
    assert judged(asked, rule).allowed in (True, False)
