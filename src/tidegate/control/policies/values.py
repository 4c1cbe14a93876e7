"""How one value of a request compares with one value of a condition.

Owns the tests of all condition operators (IAM User Guide, "IAM JSON policy elements: Condition operators"). Refuses
several values, missing keys and negation (`conditions`).

Each function makes, once per document, the test for one value of the policy. A value that makes no sense (a date that
is none) matches nothing.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tidegate.control.policies.arns import ArnPattern
from tidegate.control.policies.context import Context
from tidegate.control.policies.templates import Template

Test = Callable[[str, Context], bool]
"""Whether the request's value is as the policy's says."""

MAX_NUMBER = 64
"""Characters. Numbers of any length would make a comparison as slow as somebody likes."""


class Value:
    """One value of a condition."""

    __slots__ = ("keys", "test")

    def __init__(self, test: Test, keys: Iterator[str] | None = None) -> None:
        self.test = test
        self.keys = tuple(keys or ())
        """Context keys that its variables ask for."""


def _never(_text: str, _context: Context) -> bool:
    return False


NOTHING = Value(_never)


def equal_text(text: str, variables: bool) -> Value:
    """StringEquals."""
    template = Template.parse(text, variables=variables)
    return Value(lambda value, context: value == template.literal(context), template.keys)


def equal_folded(text: str, variables: bool) -> Value:
    """StringEqualsIgnoreCase."""
    template = Template.parse(text, variables=variables)

    def test(value: str, context: Context) -> bool:
        wanted = template.literal(context)
        return wanted is not None and value.casefold() == wanted.casefold()

    return Value(test, template.keys)


def like_text(text: str, variables: bool) -> Value:
    """StringLike."""
    template = Template.parse(text, variables=variables)
    return Value(template.matches, template.keys)


def like_arn(text: str, variables: bool) -> Value:
    """ArnEquals and ArnLike, which are the same."""
    pattern = ArnPattern(Template.parse(text, variables=variables))
    return Value(pattern.matches, pattern.keys)


def equal_bool(text: str, variables: bool) -> Value:
    """Bool."""
    template = Template.parse(text, variables=variables)

    def test(value: str, context: Context) -> bool:
        wanted = template.literal(context)
        return wanted is not None and wanted.lower() in ("true", "false") and value.lower() == wanted.lower()

    return Value(test, template.keys)


def equal_bytes(text: str, variables: bool) -> Value:
    """BinaryEquals: base64 on both sides."""
    wanted = _bytes(text)
    return NOTHING if wanted is None else Value(lambda value, context: _bytes(value) == wanted)


def within_network(text: str, variables: bool) -> Value:
    """IpAddress: an address or a network of IPv4 or IPv6."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return NOTHING

    def test(value: str, _context: Context) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return Value(test)


def compared(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Callable[[str, bool], Value]:
    """Numeric and Date operators: read both sides, and compare them."""

    def make(text: str, variables: bool) -> Value:
        wanted = read(text)
        if wanted is None:
            return NOTHING

        def test(value: str, _context: Context) -> bool:
            given = read(value)
            return given is not None and compare(given, wanted)

        return Value(test)

    return make


def number(text: str) -> Decimal | None:
    """A finite decimal number."""
    if len(text) > MAX_NUMBER:
        return None
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def moment(text: str) -> float | None:
    """Seconds since 1970, of ISO 8601 ("2026-01-31", "2026-01-31T08:00:00Z") or of such a number itself."""
    text = text.strip()
    plain = number(text)
    if plain is not None:
        return float(plain)
    try:
        found = datetime.fromisoformat(text.upper() if "t" in text or "z" in text else text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
