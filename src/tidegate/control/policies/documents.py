"""Policies as they are judged by: statements with compiled patterns.

Owns what a statement means: which requests it applies to. Refuses the grammar (`syntax`), the rules that a document
must keep to be accepted (`rules`), and what several policies come to (`decision`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tidegate.control.policies.arns import ArnPattern
from tidegate.control.policies.conditions import Condition, OperatorName
from tidegate.control.policies.context import Context
from tidegate.control.policies.principals import EVERYONE, Named, Principal, Principals
from tidegate.control.policies.syntax import Raw, as_list, condition_entries, read
from tidegate.control.policies.templates import Template
from tidegate.control.policies.wildcards import Glob, tokens

CACHED = 512
"""Documents that are kept compiled. Stored ones have at most 20 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be judged. resource: an ARN, or "*" where an action has none."""

    principal: Principal
    action: str
    resource: str
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement; parts that are None are not there, and ask for nothing."""

    sid: str
    allows: bool
    actions: tuple[Glob, ...]
    not_actions: bool
    resources: tuple[ArnPattern, ...] | None
    not_resources: bool
    principals: Principals | None
    not_principals: bool
    conditions: tuple[Condition, ...]

    def names(self, request: Request) -> Named:
        """How it names the caller of a request that it applies to; NOT if it doesn't apply."""
        if not (self._means_action(request.action) and self._means_resource(request)):
            return Named.NOT
        named = self._names(request.principal)
        if named is Named.NOT or not all(condition.holds(request.context) for condition in self.conditions):
            return Named.NOT
        return named

    @property
    def keys(self) -> Iterator[str]:
        """Context keys that it asks for."""
        for pattern in self.resources or ():
            yield from pattern.keys
        for condition in self.conditions:
            yield from condition.keys

    def _means_action(self, action: str) -> bool:
        folded = action.lower()
        return any(pattern.matches(folded) for pattern in self.actions) is not self.not_actions

    def _means_resource(self, request: Request) -> bool:
        if self.resources is None:
            return True
        if any(pattern.matches(request.resource, request.context) for pattern in self.resources):
            return not self.not_resources
        if not self.not_resources:
            return False
        # A variable without a value excludes nobody knows what: no reason to allow, and none to spare from a deny.
        return not self.allows or all(pattern.is_resolved(request.context) for pattern in self.resources)

    def _names(self, principal: Principal) -> Named:
        if self.principals is None:
            return Named.DIRECTLY
        named = self.principals.names(principal)
        if not self.not_principals:
            return named
        # "AWS JSON policy elements: NotPrincipal": neither the account nor the role spares a user or a session.
        return Named.NOT if named is Named.DIRECTLY else Named.LIMITED


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy document."""

    statements: tuple[Statement, ...]

    @property
    def keys(self) -> set[str]:
        """Context keys that it asks for, as it writes them."""
        return {key for statement in self.statements for key in statement.keys}


NOTHING = Policy(())
"""Stands for a policy that is attached and gone: it allows nothing."""


def parse(text: str) -> Policy:
    """Compile a document that is looked at once. Raises PolicyProblem."""
    document = read(text)
    variables = document.get("Version") == "2012-10-17"
    return Policy(tuple(_statement(raw, variables) for raw in document["Statement"]))


@lru_cache(maxsize=CACHED)
def load(text: str) -> Policy:
    """Compile a document that is kept somewhere, or remember that it was. Raises PolicyProblem."""
    return parse(text)


def _statement(raw: Raw, variables: bool) -> Statement:
    return Statement(
        sid=raw.get("Sid", ""),
        allows=raw["Effect"].lower() == "allow",
        actions=tuple(Glob(tokens(text.lower())) for text in _either(raw, "Action") or ()),
        not_actions="NotAction" in raw,
        resources=_resources(_either(raw, "Resource"), variables),
        not_resources="NotResource" in raw,
        principals=_principals(raw.get("Principal", raw.get("NotPrincipal"))),
        not_principals="NotPrincipal" in raw,
        conditions=tuple(_conditions(raw, variables)),
    )


def _either(raw: Raw, name: str) -> list[str] | None:
    found = raw.get(name, raw.get(f"Not{name}"))
    return None if found is None else as_list(found)


def _resources(texts: list[str] | None, variables: bool) -> tuple[ArnPattern, ...] | None:
    if texts is None:
        return None
    return tuple(ArnPattern(Template.parse(text, variables=variables)) for text in texts)


def _principals(value: Any) -> Principals | None:
    if value is None:
        return None
    given: Raw = {"AWS": EVERYONE} if value == EVERYONE else value
    aws, services, federated, canonical = (
        frozenset(as_list(given.get(form, []))) for form in ("AWS", "Service", "Federated", "CanonicalUser")
    )
    return Principals(aws, services, federated | canonical)


def _conditions(raw: Raw, variables: bool) -> Iterator[Condition]:
    for name, key, texts in condition_entries(raw):
        operator = OperatorName.parse(name)
        assert operator is not None, "the grammar lets no other name pass"
        yield Condition(operator, key, texts, variables=variables)
