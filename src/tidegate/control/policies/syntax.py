"""From the JSON text of a policy to its elements, or to the reason why it is none.

Owns the grammar (IAM User Guide, "Grammar of the IAM JSON policy language"). Refuses what only some kinds of policy may
hold (`rules`) and what a statement means (`documents`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tidegate.control.policies.conditions import OperatorName
from tidegate.control.policies.principals import EVERYONE, FORMS

VERSIONS = ("2008-10-17", "2012-10-17")
TOP = {"Version", "Id", "Statement"}
PAIRS = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))
"""Of each, a statement has one or the other."""
ELEMENTS = {"Sid", "Effect", "Condition", *(name for pair in PAIRS for name in pair)}
EFFECTS = ("Allow", "Deny")


class PolicyProblem(ValueError):
    """What is wrong with a policy, in IAM's words; `json` says whether it is not even JSON."""

    def __init__(self, message: str, *, json: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.json = json


Raw = dict[str, Any]


def read(text: str) -> Raw:
    """The document as JSON with all elements of the right form, `Statement` a list. Raises PolicyProblem."""
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _syntax(json=True) from None
    _require(isinstance(document, dict) and document.keys() <= TOP and "Statement" in document)
    _require(document.get("Version", VERSIONS[0]) in VERSIONS and isinstance(document.get("Id", ""), str))
    statements = document["Statement"]
    document["Statement"] = [statements] if isinstance(statements, dict) else statements
    _require(isinstance(document["Statement"], list) and len(document["Statement"]) > 0)
    for statement in document["Statement"]:
        _check_statement(statement)
    return dict(document)


def as_list(value: Any) -> list[Any]:
    """Of an element that may be one or a list of such."""
    return value if isinstance(value, list) else [value]


def condition_entries(statement: Raw) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Operator, key and values of all conditions."""
    for name, block in statement.get("Condition", {}).items():
        for key, given in block.items():
            yield name, key, tuple(_scalar(value) for value in as_list(given))


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_statement(statement: Any) -> None:
    _require(isinstance(statement, dict) and statement.keys() <= ELEMENTS)
    _require(not any(one in statement and other in statement for one, other in PAIRS))
    _require(isinstance(statement.get("Sid", ""), str))
    effect = statement.get("Effect")
    _require(isinstance(effect, str) and effect.lower() in ("allow", "deny"))
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        _require(_is_texts(statement.get(name, "")))
    for name in ("Principal", "NotPrincipal"):
        _require(name not in statement or _is_principal(statement[name]))
    _check_condition(statement.get("Condition", {}))


def _check_condition(condition: Any) -> None:
    _require(isinstance(condition, dict))
    for name, block in condition.items():
        _require(isinstance(block, dict) and (OperatorName.parse(name) is not None or not block))
        for given in block.values():
            _require(all(isinstance(value, str | bool | int | float) for value in as_list(given)))


def _is_texts(value: Any) -> bool:
    return all(isinstance(item, str) and _is_unicode(item) for item in as_list(value))


def _is_principal(value: Any) -> bool:
    if not isinstance(value, dict):
        return bool(value == EVERYONE)
    return bool(value) and value.keys() <= set(FORMS) and all(_is_texts(names) for names in value.values())


def _is_unicode(text: str) -> bool:
    """Lone surrogates, which JSON can spell, can't be written to a file or a socket."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the same key twice: one of the two would be ignored")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _require(holds: bool) -> None:
    if not holds:
        raise _syntax()


def _syntax(*, json: bool = False) -> PolicyProblem:
    return PolicyProblem("Syntax errors in policy.", json=json)
