"""Condition blocks: operators, several values, missing keys.

Owns the table of operators, `...IfExists`, `ForAllValues:` and `ForAnyValue:`, and Null (IAM User Guide, "IAM JSON
policy elements: Condition operators" and "Single-valued vs. multivalued context keys"). Refuses to compare two values
(`values`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from tidegate.control.policies import values
from tidegate.control.policies.context import Context
from tidegate.control.policies.values import COMPARISONS, Value

IF_EXISTS = "ifexists"


class Over(Enum):
    """Which of a key's values must pass."""

    PLAIN = ""
    ALL = "forallvalues"
    ANY = "foranyvalue"


@dataclass(frozen=True, slots=True)
class Operator:
    """make: from a value of the policy to its test; negated: passes if no test does."""

    make: Callable[[str, bool], Value]
    negated: bool = False


def _both(name: str, opposite: str, make: Callable[[str, bool], Value]) -> dict[str, Operator]:
    return {name.lower(): Operator(make), opposite.lower(): Operator(make, negated=True)}


def _comparisons(family: str, read: Callable[[str], object]) -> dict[str, Operator]:
    found = {f"{family}{name}".lower(): Operator(values.compared(read, test)) for name, test in COMPARISONS.items()}
    found[f"{family}NotEquals".lower()] = Operator(values.compared(read, COMPARISONS["Equals"]), negated=True)
    return found


NULL = "null"
OPERATORS: dict[str, Operator] = {
    **_both("StringEquals", "StringNotEquals", values.equal_text),
    **_both("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", values.equal_folded),
    **_both("StringLike", "StringNotLike", values.like_text),
    **_comparisons("Numeric", values.number),
    **_comparisons("Date", values.moment),
    **_both("IpAddress", "NotIpAddress", values.within_network),
    **_both("ArnEquals", "ArnNotEquals", values.like_arn),
    **_both("ArnLike", "ArnNotLike", values.like_arn),
    "bool": Operator(values.equal_bool),
    "binaryequals": Operator(values.equal_bytes),
    NULL: Operator(values.equal_bool),
}
"""By their names in lower case: IAM does not mind case there."""


@dataclass(frozen=True, slots=True)
class OperatorName:
    """An operator as a document writes it, taken apart: "ForAnyValue:StringLikeIfExists"."""

    base: str
    over: Over
    if_exists: bool

    @classmethod
    def parse(cls, text: str) -> OperatorName | None:
        """None if there is no such operator."""
        prefix, colon, rest = text.lower().rpartition(":")
        try:
            over = Over(prefix) if colon else Over.PLAIN
        except ValueError:
            return None
        if_exists = rest.endswith(IF_EXISTS)
        base = rest.removesuffix(IF_EXISTS)
        if base not in OPERATORS or (base == NULL and if_exists) or (colon and over is Over.PLAIN):
            return None
        return cls(base, over, if_exists)


class Condition:
    """One operator with one key and the values of which any may match."""

    __slots__ = ("_as_written", "_key", "_name", "_operator", "_values")

    def __init__(self, name: OperatorName, key: str, texts: tuple[str, ...], *, variables: bool) -> None:
        """variables: whether the policy's version has them."""
        self._name = name
        self._as_written = key
        self._key = key.lower()
        self._operator = OPERATORS[name.base]
        self._values = tuple(self._operator.make(text, variables) for text in texts)

    @property
    def keys(self) -> Iterator[str]:
        """The context keys that it asks for."""
        yield self._as_written
        for value in self._values:
            yield from value.keys

    def holds(self, context: Context) -> bool:
        """Whether a request with this context fulfils it."""
        given = context.values(self._key)
        if self._name.base == NULL:
            return self._one("false" if given else "true", context)
        if not given:
            return self._without_key()
        if self._name.over is Over.ALL:
            # "Resolves to a null data set, such as an empty string": nothing that could fail.
            return all(self._one(value, context) for value in given if value)
        if self._name.over is Over.ANY or not self._operator.negated:
            return any(self._one(value, context) for value in given)
        return all(self._one(value, context) for value in given)

    def _one(self, given: str, context: Context) -> bool:
        return any(value.test(given, context) for value in self._values) is not self._operator.negated

    def _without_key(self) -> bool:
        if self._name.if_exists or self._name.over is Over.ALL:
            return True
        return self._name.over is Over.PLAIN and self._operator.negated
