"""Filters of ListSecrets and BatchGetSecretValue: which secrets they let through.

Owns their meaning (API reference, "Filter"; User Guide, "Find secrets in Secrets Manager"). All filters must match; of
a filter's values one must, and none of those that begin with "!". Refuses to compile patterns from a caller's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.records import Secret

_SEPARATORS = re.compile(r"[\s/\-_+=.@:,;!?()\"']+")
_CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Attribute = Callable[[Secret], Iterable[str]]
Match = Callable[[str, Iterable[str]], bool]


def matching(secret: Secret, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all filters let the secret through. AwsError for one without a key or values."""
    return all(_matches(secret, one) for one in filters)


def _matches(secret: Secret, given: Mapping[str, Any]) -> bool:
    key, values = str(given.get("Key", "")), given.get("Values")
    if not values:
        raise errors.invalid_parameter(f"Invalid filter values for key: {key}")
    if key not in _FILTERS:
        raise errors.invalid_parameter("Invalid filter key")
    attribute, match = _FILTERS[key]
    texts = list(attribute(secret))
    if any(match(value[1:], texts) for value in values if value.startswith("!")):
        return False
    wanted = [value for value in values if not value.startswith("!")]
    return not wanted or any(match(value, texts) for value in wanted)


def _begins(value: str, texts: Iterable[str]) -> bool:
    return any(text.startswith(value) for text in texts)


def _has_words(value: str, texts: Iterable[str]) -> bool:
    """Every word of the value begins some word of the texts, whatever their case."""
    wanted = [word.lower() for word in _SEPARATORS.split(value) if word]
    present = {word for text in texts for word in _words(text)}
    return bool(wanted) and all(any(word.startswith(one) for word in present) for one in wanted)


def _words(text: str) -> set[str]:
    """What separators part, and what a capital within that begins: "MyTest" is found by "mytest", "my" and "test"."""
    whole = [word for word in _SEPARATORS.split(text) if word]
    return {part.lower() for word in whole for part in (word, *_CASE_CHANGE.split(word))}


def _everything(secret: Secret) -> Iterable[str]:
    return (secret.name, secret.description, *secret.tags, *secret.tags.values())


_FILTERS: Mapping[str, tuple[Attribute, Match]] = {
    "name": (lambda secret: (secret.name,), _begins),
    "description": (lambda secret: (secret.description,), _has_words),
    "tag-key": (lambda secret: secret.tags, _begins),
    "tag-value": (lambda secret: secret.tags.values(), _begins),
    # No secret here is replicated or made by another service, so none has either of these.
    "primary-region": (lambda secret: (), _begins),
    "owning-service": (lambda secret: (), _begins),
    "all": (_everything, _has_words),
}
