"""Matches a text against a pattern with `*` and `?`, in time that no pattern can blow up.

Owns the two wildcards. Refuses to know where a pattern comes from (`templates`) and what an ARN is (`arns`).

A pattern is cut at its asterisks into runs, and each run is looked for once, from where the last one ended: the
leftmost place is always good enough, so nothing is ever tried twice. A run's width is fixed; the cost is at most the
text's length times the pattern's, all of it in C.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum


class Wild(Enum):
    """The two wildcards; anything else in a pattern stands for itself."""

    ANY = "*"
    ONE = "?"


Token = str | Wild


def tokens(text: str) -> tuple[Token, ...]:
    """A pattern's text as it is meant where there are no policy variables."""
    found: list[Token] = []
    start = 0
    for index, letter in enumerate(text):
        if letter in "*?":
            if index > start:
                found.append(text[start:index])
            found.append(Wild(letter))
            start = index + 1
    if start < len(text):
        found.append(text[start:])
    return tuple(found)


class _Run:
    """What stands between two asterisks: a text of fixed width, whose question marks are any one character."""

    __slots__ = ("_expression", "_text", "width")

    def __init__(self, pieces: list[Token]) -> None:
        self.width = sum(len(piece) if isinstance(piece, str) else 1 for piece in pieces)
        self._text: str | None = None
        self._expression: re.Pattern[str] | None = None
        if any(isinstance(piece, Wild) for piece in pieces):
            self._expression = re.compile("".join(_as_expression(pieces)), re.DOTALL)
        else:
            self._text = "".join(piece for piece in pieces if isinstance(piece, str))

    def find(self, text: str, start: int, end: int) -> int:
        """The leftmost place within text[start:end] at which it stands; -1 if there is none."""
        if self._text is not None:
            return text.find(self._text, start, end)
        assert self._expression is not None
        found = self._expression.search(text, start, end)
        return found.start() if found else -1

    def stands_at(self, text: str, start: int) -> bool:
        """Whether it stands at `start`."""
        if self._text is not None:
            return text.startswith(self._text, start)
        assert self._expression is not None
        return self._expression.match(text, start) is not None


def _as_expression(pieces: list[Token]) -> Iterable[str]:
    ones = 0
    for piece in pieces:
        if isinstance(piece, Wild):
            ones += 1
            continue
        if ones:
            yield f".{{{ones}}}"
            ones = 0
        yield re.escape(piece)
    if ones:
        yield f".{{{ones}}}"


class Glob:
    """A pattern, ready to be matched as a whole."""

    __slots__ = ("_runs", "_width")

    def __init__(self, pattern: Iterable[Token]) -> None:
        runs: list[list[Token]] = [[]]
        for token in pattern:
            if token is Wild.ANY:
                runs.append([])
            else:
                runs[-1].append(token)
        self._runs = tuple(_Run(run) for run in runs)
        self._width = sum(run.width for run in self._runs)

    @property
    def is_everything(self) -> bool:
        """Whether it is nothing but asterisks, at least one."""
        return self._width == 0 and len(self._runs) > 1

    def matches(self, text: str) -> bool:
        """Whether the whole text is as the pattern says."""
        first, last = self._runs[0], self._runs[-1]
        if len(self._runs) == 1:
            return len(text) == first.width and first.stands_at(text, 0)
        end = len(text) - last.width
        if len(text) < self._width or not first.stands_at(text, 0) or not last.stands_at(text, end):
            return False
        place = first.width
        for run in self._runs[1:-1]:
            place = run.find(text, place, end)
            if place < 0:
                return False
            place += run.width
        return True
