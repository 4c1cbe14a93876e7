"""What is known of a setting beside its name, type and default: its meaning, unit and bounds.

Owns the form in which a dataclass field carries that. Refuses to know any setting (`model` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of one setting beside its type and default; kept in its field's metadata under "about"."""

    meaning: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    default_shown: str = ""
    """What the default comes to, where the field's own default (None, "") only says "worked out"."""
    secret: bool = False


def about(
    meaning: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    default_shown: str = "",
    secret: bool = False,
) -> Mapping[str, About]:
    """The metadata of one setting's field."""
    known = About(meaning=meaning, unit=unit, least=least, most=most, default_shown=default_shown, secret=secret)
    return MappingProxyType({"about": known})
