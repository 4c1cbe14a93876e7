"""Matches Amazon Resource Names part by part.

Owns the six parts of an ARN. Refuses to say which resources there are.

`arn:aws:s3:::a*` does not match across a colon into another part, except in the last part, which is all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.control.policies.context import Context
from tidegate.control.policies.templates import Template
from tidegate.control.policies.wildcards import Wild

PARTS = 6
_EVERYTHING = Template((Wild.ANY,))


class ArnPattern:
    """A value of Resource, NotResource or an Arn operator."""

    __slots__ = ("_parts", "_whole")

    def __init__(self, whole: Template) -> None:
        self._whole = whole
        parts = whole.split(":", PARTS - 1)
        # IAM takes missing parts for asterisks: "arn:aws:dynamodb".
        self._parts = (*parts, *[_EVERYTHING] * (PARTS - len(parts)))

    @property
    def keys(self) -> Iterator[str]:
        """The context keys that its variables ask for."""
        return self._whole.keys

    def is_resolved(self, context: Context) -> bool:
        """Whether all its variables have values."""
        return self._whole.resolve(context) is not None

    def matches(self, text: str, context: Context) -> bool:
        """Whether it means this resource; `*` means those too that have no ARN."""
        if self._whole.is_everything:
            return True
        parts = text.split(":", PARTS - 1)
        if len(parts) < PARTS:
            return False
        return all(pattern.matches(part, context) for pattern, part in zip(self._parts, parts, strict=True))


def account_of(arn: str) -> str:
    """The account in an ARN; empty if it names none, or is none."""
    parts = arn.split(":", PARTS - 1)
    return parts[4] if len(parts) == PARTS and parts[0] == "arn" else ""
