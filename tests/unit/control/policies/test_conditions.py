"""Condition operators: the tables of the IAM User Guide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate.control.policies.conditions import Condition, OperatorName
from tidegate.control.policies.context import Context

T, F = True, False


def holds(operator: str, key: str, wanted: Any, context: dict[str, Any]) -> bool:
    name = OperatorName.parse(operator)
    assert name is not None
    values = tuple(wanted if isinstance(wanted, list) else [wanted])
    return Condition(name, key, values, variables=True).holds(Context({"aws:username": "alice"}, context))


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("StringEquals", "a", "a", T),
        ("StringEquals", "a", "A", F),
        ("StringEquals", "a*", "ab", F),
        ("StringEquals", ["a", "b"], "b", T),
        ("StringEquals", "${aws:username}", "alice", T),
        ("StringEquals", "${aws:nobody}", "", F),
        ("StringNotEquals", "a", "b", T),
        ("StringNotEquals", ["a", "b"], "b", F),
        ("StringEqualsIgnoreCase", "${aws:username}", "ALICE", T),
        ("StringNotEqualsIgnoreCase", "a", "A", F),
        ("StringLike", "a?c*", "abcd", T),
        ("StringLike", ["x", "*"], "", T),
        ("StringLike", "a${*}c", "a*c", T),
        ("StringLike", "a${*}c", "abc", F),
        ("StringNotLike", "a*", "b", T),
        ("stringlike", "a*", "abc", T),
        ("NumericEquals", "10", "10.0", T),
        ("NumericNotEquals", "10", "11", T),
        ("NumericLessThan", "10", "9", T),
        ("NumericLessThan", "10", "10", F),
        ("NumericLessThanEquals", "10", 10, T),
        ("NumericGreaterThan", "10", "9", F),
        ("NumericGreaterThanEquals", "-1", "-1", T),
        ("NumericEquals", "ten", "ten", F),
        ("NumericEquals", "1", "NaN", F),
        ("NumericLessThan", "1", "1e999999999", F),
        ("NumericLessThan", "1", "-1e999999999", T),
        ("NumericLessThan", "1", "0" * 100, F),
        ("DateEquals", "2026-01-31T08:00:00Z", "2026-01-31T09:00:00+01:00", T),
        ("DateNotEquals", "2026-01-31", "2026-01-31T00:00:00Z", F),
        ("DateLessThan", "2026-01-31T08:00:00Z", datetime(2026, 1, 31, 7, 59, tzinfo=UTC), T),
        ("DateLessThanEquals", "2026-01-31", "2026-01-31", T),
        ("DateGreaterThan", "1769846400", "2026-01-31T08:00:01Z", T),
        ("DateGreaterThanEquals", "soon", "2026-01-31", F),
        ("Bool", "true", True, T),
        ("Bool", "TRUE", "true", T),
        ("Bool", "false", True, F),
        ("Bool", "yes", "yes", F),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", T),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", F),
        ("BinaryEquals", "***", "***", F),
        ("IpAddress", "203.0.113.0/24", "203.0.113.77", T),
        ("IpAddress", "203.0.113.0/24", "203.0.114.1", F),
        ("IpAddress", "203.0.113.9", "203.0.113.9", T),
        ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1", T),
        ("IpAddress", "2001:db8::/32", "203.0.113.9", F),
        ("IpAddress", "anywhere", "203.0.113.9", F),
        ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", T),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.1", F),
        ("ArnEquals", "arn:aws:sns:*:123456789012:my-*", "arn:aws:sns:r:123456789012:my-topic", T),
        ("ArnLike", "arn:aws:sns:*", "arn:aws:sns:r:1:t", T),
        ("ArnLike", "arn:*:t", "arn:aws:sns:r:1:t", F),
        ("ArnNotLike", "arn:aws:iam::*:role/x", "arn:aws:iam::1:role/y", T),
        ("ArnNotEquals", "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x", F),
        ("Null", "false", "here", T),
        ("Null", "true", "here", F),
    ],
)
def test_one_value(operator: str, wanted: Any, given: Any, expected: bool) -> None:
    assert holds(operator, "k:key", wanted, {"K:Key": given}) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("StringEquals", "a", F),
        ("StringNotEquals", "a", T),
        ("StringLike", "*", F),
        ("StringNotLike", "*", T),
        ("NumericLessThan", "1", F),
        ("NumericNotEquals", "1", T),
        ("DateLessThan", "2026-01-01", F),
        ("Bool", "false", F),
        ("NotIpAddress", "203.0.113.0/24", T),
        ("ArnNotLike", "arn:aws:s3:::x", T),
        ("StringEqualsIfExists", "a", T),
        ("StringNotEqualsIfExists", "a", T),
        ("BoolIfExists", "false", T),
        ("Null", "true", T),
        ("Null", "false", F),
        ("ForAllValues:StringEquals", "a", T),
        ("ForAnyValue:StringEquals", "a", F),
        ("ForAnyValue:StringNotEquals", "a", F),
        ("ForAnyValue:StringLikeIfExists", "a", T),
    ],
)
def test_a_key_that_is_missing(operator: str, wanted: str, expected: bool) -> None:
    assert holds(operator, "k:key", wanted, {}) is expected
    assert holds(operator, "k:key", wanted, {"k:key": []}) is expected


WANTED = ["ID", "PostDateTime", "UserName"]


@pytest.mark.parametrize(
    ("operator", "given", "expected"),
    [
        # IAM User Guide, "Set operators for multivalued context keys", dynamodb:Attributes.
        ("ForAllValues:StringEquals", ["ID", "UserName"], T),
        ("ForAllValues:StringEquals", ["ID", "Password"], F),
        ("ForAllValues:StringEquals", [""], T),
        ("ForAnyValue:StringEquals", ["ID", "Password"], T),
        ("ForAnyValue:StringEquals", ["Password"], F),
        ("ForAllValues:StringNotEquals", ["Password", "x"], T),
        ("ForAllValues:StringNotEquals", ["Password", "ID"], F),
        ("ForAnyValue:StringNotEquals", ["ID", "Password"], T),
        ("ForAnyValue:StringNotEquals", ["ID", "UserName"], F),
        # Without a set operator: any for what must match, none for what must not.
        ("StringEquals", ["Password", "ID"], T),
        ("StringNotEquals", ["Password", "ID"], F),
        ("StringEqualsIfExists", ["Password"], F),
    ],
)
def test_several_values(operator: str, given: list[str], expected: bool) -> None:
    assert holds(operator, "dynamodb:Attributes", WANTED, {"dynamodb:attributes": given}) is expected


@pytest.mark.parametrize(
    "name", ["", "Equals", "StringEquals:", "ForSome:StringEquals", "NullIfExists", ":StringEquals", "IfExists"]
)
def test_operators_that_there_are_not(name: str) -> None:
    assert OperatorName.parse(name) is None


def test_keys_tell_what_is_asked_for() -> None:
    name = OperatorName.parse("StringLike")
    assert name is not None
    condition = Condition(name, "S3:Prefix", ("home/${aws:UserName}/*",), variables=True)
    assert list(condition.keys) == ["S3:Prefix", "aws:UserName"]
