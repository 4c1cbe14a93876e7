"""The keys and values of a request that policies ask about.

Owns their form: keys without regard to case, each with a list of texts. Refuses to know which keys a request has; who
asks for a decision gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any


def as_text(value: Any) -> str:
    """A value as policies write it: true, 42, 2026-01-31T08:00:00Z."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


class Context:
    """The condition keys of one request. A key whose values are none is not there."""

    __slots__ = ("_values",)

    def __init__(self, *entries: Mapping[str, Any]) -> None:
        """Later entries win. A value is a text, bool, number or datetime, or several of such; None: absent."""
        self._values: dict[str, tuple[str, ...]] = {}
        for entry in entries:
            for key, value in entry.items():
                self._values[key.lower()] = _texts(value)

    def values(self, key: str) -> tuple[str, ...]:
        """All values of a key that is given in lower case; empty if it isn't there."""
        return self._values.get(key, ())

    def single(self, key: str) -> str | None:
        """The value of a key that has just one, as policy variables need it."""
        values = self.values(key)
        return values[0] if len(values) == 1 else None


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        items: Iterable[Any] = sorted(value) if isinstance(value, set | frozenset) else value
        return tuple(as_text(item) for item in items)
    return (as_text(value),)
