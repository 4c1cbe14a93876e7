"""Tags in a request: their bounds (RDS User Guide, "Tagging Amazon RDS resources").

Owns their form. Refuses what they are on (`tagging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.services.rds import errors

KEY_LIMIT = 128
VALUE_LIMIT = 256
_SIGNS = frozenset("_.:/=+-@")


def tags_of(parameters: Mapping[str, Any], most: int, *, member: str = "Tags") -> dict[str, str]:
    """The request's tags by key. InvalidParameterValue where one can't be."""
    given = parameters.get(member) or []
    if len(given) > most:
        raise errors.invalid_value(f"A resource can have at most {most} tags, not {len(given)}.")
    tags: dict[str, str] = {}
    for tag in given:
        key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
        _check(key, value)
        if key in tags:
            raise errors.invalid_value(f"Duplicate tag key {key}.")
        tags[key] = value
    return tags


def merged(tags: Mapping[str, str], added: Mapping[str, str], most: int) -> dict[str, str]:
    """Tags after adding. InvalidParameterValue where they become too many."""
    result = {**tags, **added}
    if len(result) > most:
        raise errors.invalid_value(f"A resource can have at most {most} tags, not {len(result)}.")
    return result


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """TagList of an answer."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _check(key: str, value: str) -> None:
    if not 1 <= len(key) <= KEY_LIMIT:
        raise errors.invalid_value(f"A tag key has 1 to {KEY_LIMIT} characters, not {len(key)}.")
    if len(value) > VALUE_LIMIT:
        raise errors.invalid_value(f"The value of the tag {key} has more than {VALUE_LIMIT} characters.")
    if key.lower().startswith("aws:"):
        raise errors.invalid_value(f"Tag keys beginning with aws: are reserved, as is {key}.")
    for sign in key + value:
        if not (sign.isalnum() or sign == " " or sign in _SIGNS):
            raise errors.invalid_value(f"The tag {key!r:.200} has a character that is not allowed: {sign!r}.")
