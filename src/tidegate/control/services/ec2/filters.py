"""Filters, ids and pages of Describe operations.

Owns how a filter matches (EC2 User Guide, "Filter your resources": `*` any text, `?` any character, `\\` takes their
meaning away), and the bounds. Refuses what a filter looks at: each resource has a table of that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tidegate.control.services.ec2 import errors
from tidegate.control.services.pages import page_after

T = TypeVar("T")
Values = Callable[[T], Collection[str]]
"""What a filter looks at in a resource: any of these values may match."""

MAX_FILTERS = 50
MAX_VALUES = 200
"""Of one filter, as in AWS."""
MAX_TEXT = 1024
"""Characters of one filter value."""


class Filters(Generic[T]):
    """The filters of a type of resource: by name, what they look at. Tags are understood by themselves."""

    def __init__(self, looks: Mapping[str, Values[T]], tags: Callable[[T], Mapping[str, str]]) -> None:
        self._looks = looks
        self._tags = tags

    def apply(self, given: Sequence[Mapping[str, Any]] | None, items: Sequence[T], owner: str) -> list[T]:
        """Those that match every filter by one of its values. InvalidParameterValue for an unknown filter.

        owner: the account that has them all, which is what the filter owner-id looks at.
        """
        given = given or []
        if len(given) > MAX_FILTERS:
            raise errors.invalid_value(f"There can be at most {MAX_FILTERS} filters.")
        found = list(items)
        for each in given:
            name, values = str(each.get("Name")), [str(value) for value in each.get("Values") or []]
            if len(values) > MAX_VALUES or any(len(value) > MAX_TEXT for value in values):
                raise errors.invalid_value(
                    f"A filter can have at most {MAX_VALUES} values, of at most {MAX_TEXT} characters."
                )
            look = self._look(name, owner)
            patterns = [pattern_of(value) for value in values]
            found = [one for one in found if any(matches(p, text) for text in look(one) for p in patterns)]
        return found

    def _look(self, name: str, owner: str) -> Values[T]:
        if name.startswith("tag:"):
            key = name[4:]
            return lambda item: [self._tags(item)[key]] if key in self._tags(item) else []
        if name == "tag-key":
            return lambda item: list(self._tags(item))
        if name == "tag-value":
            return lambda item: list(self._tags(item).values())
        if name == "owner-id":
            return lambda _: [owner]
        if name not in self._looks:
            raise errors.invalid_value(f"The filter '{name:.80}' is invalid")
        return self._looks[name]


ANY = "*"
ONE = "?"
Pattern = list[tuple[bool, str]]
"""Characters, and whether each is a wildcard."""


def pattern_of(text: str) -> Pattern:
    """The parts of a filter's value."""
    pattern: Pattern = []
    escaped = False
    for sign in text:
        if escaped or sign not in ("\\", ANY, ONE):
            pattern.append((False, sign))
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == ONE or pattern[-1:] != [(True, ANY)]:
            pattern.append((True, sign))
    if escaped:
        pattern.append((False, "\\"))
    return pattern


def matches(pattern: Pattern, text: str) -> bool:
    """Whether all of the text matches. Steps: at most the product of both lengths, without recursion."""
    at, here = 0, 0
    star, resume = -1, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == (True, ANY):
            star, resume = at, here
            at += 1
        elif at < len(pattern) and (pattern[at] == (True, ONE) or pattern[at] == (False, text[here])):
            at += 1
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return all(part == (True, ANY) for part in pattern[at:])


def by_ids(kind: str, ids: Sequence[str], items: Sequence[T], identifier: Callable[[T], str]) -> list[T]:
    """Those of the ids, all if there are none. The resource's not-found error for one that isn't there."""
    if not ids:
        return list(items)
    wanted = dict.fromkeys(str(each) for each in ids)
    there = {identifier(item): item for item in items}
    for each in wanted:
        if each not in there:
            raise errors.not_found(kind, each[:200])
    return [there[each] for each in wanted]


def page(
    parameters: Mapping[str, Any], items: Sequence[T], key: Callable[[T], str], *, most: int = 1000
) -> tuple[Sequence[T], dict[str, str]]:
    """A page, in the order of keys, and {"NextToken": ...} where there are more. MaxResults: 5 to `most`; else all."""
    wanted = parameters.get("MaxResults")
    if wanted is None:
        wanted = most
    elif not 5 <= wanted <= most:
        raise errors.invalid_value(
            f"Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value between 5 and {most}."
        )
    try:
        found, token = page_after(parameters.get("NextToken"), sorted(items, key=key), key, wanted)
    except ValueError:
        raise errors.invalid_value("The token is not valid.") from None
    return found, {} if token is None else {"NextToken": token}


def flag(value: bool) -> list[str]:
    """A truth value as filters spell it."""
    return ["true" if value else "false"]


def given(*values: object) -> list[str]:
    """Values that are there, as texts."""
    return [str(value) for value in values if value is not None]
