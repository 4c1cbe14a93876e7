"""Whether a resource policy lets anybody in.

Owns BlockPublicPolicy's question (User Guide, "Blocking public access": AWS asks Zelkova, an automated reasoner). This
is stricter and simpler: an Allow for everybody is public unless a condition holds it to somebody. Refuses grammar
(`policies.rules`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.policies.syntax import as_list, condition_entries

NARROWING = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:username",
        "aws:vpcsourceip",
    }
)
"""Condition keys that say who calls, or from where; in lower case."""

_LOOSE = ("not", "null", "ifexists", "forallvalues")
_ANYTHING = frozenset({"", "0.0.0.0/0", "::/0"})


def is_public(document: dict[str, Any]) -> bool:
    """Whether a statement of this document (as `rules.check` returns it) allows everybody something."""
    return any(
        statement["Effect"] == "Allow" and _for_everybody(statement) and not _narrowed(statement)
        for statement in document["Statement"]
    )


def _for_everybody(statement: dict[str, Any]) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        return any(name == "*" for names in principal.values() for name in as_list(names))
    return principal == "*"


def _narrowed(statement: dict[str, Any]) -> bool:
    return any(
        key.lower() in NARROWING
        and not any(part in operator.lower() for part in _LOOSE)
        and not any(value.strip("*") in _ANYTHING for value in values)
        for operator, key, values in condition_entries(statement)
    )
