"""How a problem with a setting is put into words: one line that names the place, the setting, its value and the cure.

Owns that wording. Refuses to look for problems: `shape` and `checks` do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tidegate.config.about import About

SHOWN_LENGTH = 60
"""Longest value, in characters, that a message repeats."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings."""

    where: tuple[str, ...]
    """The tables around the setting, outermost first, as `table_label` names them; empty at the top level."""
    key: str
    text: str
    value: object = None
    """What was written, or None where repeating it helps nobody (a missing key, a secret)."""

    def line(self, source: str) -> str:
        """The problem as one line, as in `tidegate.toml: [[proxy]] "main": login_timeout = 0: must be ...`."""
        key = self.key if self.key.isprintable() else shown(self.key)
        setting = key if self.value is None else f"{key} = {shown(self.value)}"
        return ": ".join(part for part in (source, *self.where, setting, self.text) if part)


def table_label(kind: str, index: int, name: object) -> str:
    """How messages call one table of `[[kind]]`: by its name, or by its place (from 1) while it has none."""
    return f"[[{kind}]] {shown(name)}" if isinstance(name, str) and name else f"[[{kind}]] number {index + 1}"


def database_label(alias: str) -> str:
    """How messages call one entry of a proxy's `databases`."""
    return f"databases.{shown(alias)}"


def shown(value: object) -> str:
    """A value as TOML writes it, cut to a length that fits a message."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = f'"{value if value.isprintable() else value.encode("unicode_escape").decode("ascii")}"'
    elif isinstance(value, dict):
        text = "{...}" if value else "{}"
    elif isinstance(value, list):
        text = "[" + ", ".join(shown(one) for one in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def number(value: float) -> str:
    """A bound or default without a needless ".0" or exponent."""
    return str(int(value)) if value == int(value) else str(value)


def bounds(known: About) -> str:
    """A number's limits with their unit: "1 to 300 seconds"."""
    if known.least is None or known.most is None:
        raise AssertionError("every number in the model has bounds")
    return f"{number(known.least)} to {number(known.most)} {known.unit}".rstrip()


def choices(kind: type[StrEnum]) -> str:
    """An enum's values as a sentence says them: "a", "b" or "c"."""
    quoted = [f'"{one.value}"' for one in kind]
    return ", ".join(quoted[:-1]) + " or " + quoted[-1]


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """'; did you mean x?' for the nearest known name, or nothing when none is near."""
    near = difflib.get_close_matches(key.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
