"""Statements that name backends by their process id: which id, and what to send where it is a client's.

Owns the few forms in which they are understood: one function call and nothing else. Refuses to know whose an id is
(`proxy.identity`).

    SELECT pg_backend_pid()               the session's own id, as BackendKeyData has told it
    SELECT pg_terminate_backend(id)       id: a constant, or a parameter; likewise pg_cancel_backend
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tidegate.session.tokenized import NAME, NUMBER, PARAMETER, SEMICOLON, SIGN, STRING, WORD, tokenize

MOST_TOKENS = 64
_INTEGERS = (b"int", b"int4", b"integer")


class Act(Enum):
    """What the function does; the value is its name."""

    TELL = b"pg_backend_pid"
    TERMINATE = b"pg_terminate_backend"
    CANCEL = b"pg_cancel_backend"


@dataclass(frozen=True, slots=True)
class Argument:
    """A constant, or the number of a parameter, from 1."""

    value: int
    is_parameter: bool = False


@dataclass(frozen=True, slots=True)
class BackendStatement:
    """One call."""

    act: Act
    arguments: tuple[Argument, ...] = ()
    """The id first."""
    column: bytes = b""
    """What the result is called, in quotes."""

    def telling(self, pid: int) -> bytes:
        """The statement that says this id."""
        return b"SELECT %d AS %s" % (pid, self.column)

    def done(self) -> bytes:
        """The statement that takes the same parameters and says that it has been done."""
        return b"SELECT %s AS %s" % (self._given, self.column)

    def directed(self, pid: int) -> bytes:
        """The statement for another id, in place of the one that it says."""
        return b"SELECT pg_catalog.%s(CASE WHEN %s THEN %d END) AS %s" % (self.act.value, self._given, pid, self.column)

    @property
    def _given(self) -> bytes:
        """A condition: each parameter has a value, as the function demands. It gives them the function's types."""
        used = [
            b"$%d::pg_catalog.%s IS NOT NULL" % (one.value, kind)
            for one, kind in zip(self.arguments, (b"int4", b"int8"), strict=False)
            if one.is_parameter
        ]
        return b" AND ".join(used) or b"true"


def read_backend_statement(
    text: bytes, standard_conforming_strings: bool = True, trail: int = 0
) -> BackendStatement | None:
    """The statement that a text consists of; None if it is of no such form."""
    tokens = tokenize(text, MOST_TOKENS, standard_conforming_strings, trail) or []
    while tokens and tokens[-1][0] == SEMICOLON:
        tokens.pop()
    if not tokens or tokens.pop(0) != (WORD, b"select"):
        return None
    if tokens[:2] == [(WORD, b"pg_catalog"), (SIGN, b".")]:
        del tokens[:2]
    act = _ACTS.get(tokens[0]) if tokens else None
    if act is None or tokens[1:2] != [(SIGN, b"(")]:
        return None
    del tokens[:2]
    arguments = _take_arguments(tokens)
    column = _take_alias(tokens, act)
    if arguments is None or column is None or (act is Act.TELL) != (not arguments):
        return None
    if len(arguments) > (2 if act is Act.TERMINATE else 1):
        return None
    return BackendStatement(act, arguments, column)


def ends_what_it_finds(text: bytes, standard_conforming_strings: bool = True, trail: int = 0) -> bool:
    """Whether a text calls pg_terminate_backend for what pg_stat_activity shows."""
    words = {value for kind, value in tokenize(text, 1000, standard_conforming_strings, trail) or [] if kind == WORD}
    return {b"pg_terminate_backend", b"pg_stat_activity"} <= words


_ACTS = {(WORD, act.value): act for act in Act}


def _take_arguments(tokens: list[tuple[str, bytes]]) -> tuple[Argument, ...] | None:
    """What stands before the closing parenthesis, which goes too."""
    found: list[Argument] = []
    while tokens:
        kind, value = tokens.pop(0)
        if (kind, value) == (SIGN, b")") and not found:
            return ()
        if kind not in (NUMBER, STRING, PARAMETER) or not value.isdigit():
            return None
        found.append(Argument(int(value), kind == PARAMETER))
        if tokens[:2] == [(SIGN, b":")] * 2 and len(tokens) > 2 and tokens[2][1] in _INTEGERS:
            del tokens[:3]
        mark = tokens.pop(0) if tokens else None
        if mark == (SIGN, b")"):
            return tuple(found)
        if mark != (SIGN, b","):
            return None
    return None


def _take_alias(tokens: list[tuple[str, bytes]], act: Act) -> bytes | None:
    """The name of the column, in quotes; None if something else is there."""
    if tokens[:1] == [(WORD, b"as")]:
        tokens.pop(0)
        if not tokens:
            return None
    name = tokens.pop(0) if tokens else (NAME, act.value)
    if tokens or name[0] not in (WORD, NAME):
        return None
    return b'"' + name[1].replace(b'"', b'""') + b'"'
