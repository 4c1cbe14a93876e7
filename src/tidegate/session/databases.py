"""Statements about a database as a whole: which one must nobody be connected to.

Owns their grammar (gram.y: CreatedbStmt, DropdbStmt, AlterDatabaseStmt with SET TABLESPACE, RenameStmt of a database).
Refuses to know who is connected (`proxy.vacating`).

PostgreSQL refuses these while another session is connected to the database (dbcommands.c, CountOtherDBBackends).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tidegate.session.tokenized import NAME, NUMBER, SEMICOLON, SIGN, STRING, WORD, tokenize

Token = tuple[str, bytes]

MOST_TOKENS = 100
DEFAULT_TEMPLATE = b"template1"


class Act(Enum):
    """What is to become of the database."""

    COPY = "copy"
    """It is the template of a new one."""
    DROP = "drop"
    RENAME = "rename"
    MOVE = "move"
    """To another tablespace."""


@dataclass(frozen=True, slots=True)
class DatabaseStatement:
    """One statement; names are bytes as the client spelled them, folded where PostgreSQL folds."""

    act: Act
    database: bytes
    """To which nobody else may be connected."""
    other: bytes = b""
    """The new name, or the tablespace."""
    force: bool = False
    """DROP ... WITH (FORCE): whoever is connected is to be ended."""


def read_database_statement(
    text: bytes, standard_conforming_strings: bool = True, trail: int = 0
) -> DatabaseStatement | None:
    """The statement that a text consists of; None if it is no such statement, or more than one.

    standard_conforming_strings, trail: as for `scanner.scan_text`.
    """
    tokens = tokenize(text, MOST_TOKENS, standard_conforming_strings, trail)
    while tokens and tokens[-1][0] == SEMICOLON:
        tokens.pop()
    if not tokens or len(tokens) < 3 or tokens[1] != (WORD, b"database"):
        return None
    read = _READERS.get(tokens[0])
    return read(_Words(tokens[2:])) if read is not None else None


class _Words:
    """Tokens from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._tokens)

    def take(self, *words: bytes) -> bool:
        """Go past these keywords, or signs, if they come next."""
        coming = self._tokens[self._at : self._at + len(words)]
        found = len(coming) == len(words) and all(
            kind in (WORD, SIGN) and value == word for (kind, value), word in zip(coming, words, strict=True)
        )
        self._at += len(words) if found else 0
        return found

    def take_any(self, *kinds: str) -> bytes | None:
        """Go past the next token if it is of one of these kinds; its value."""
        if self.left and self._tokens[self._at][0] in kinds:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def name(self) -> bytes:
        """An identifier; b"" if there is none."""
        return self.take_any(WORD, NAME) or b""


def _read_create(words: _Words) -> DatabaseStatement | None:
    """CREATE DATABASE name [WITH] option [=] value ..."""
    new, template = words.name(), DEFAULT_TEMPLATE
    words.take(b"with")
    while words.left:
        if not words.take(b"connection", b"limit"):
            option = words.take_any(WORD, NAME)
        else:
            option = b"connection limit"
        words.take(b"=")
        words.take(b"-")
        to_default = words.take(b"default")
        value = None if to_default else words.take_any(WORD, NAME, STRING, NUMBER)
        if option is None or (value is None and not to_default):
            return None
        if option == b"template":
            template = value or DEFAULT_TEMPLATE
    return DatabaseStatement(Act.COPY, template, new) if new else None


def _read_drop(words: _Words) -> DatabaseStatement | None:
    """DROP DATABASE [IF EXISTS] name [[WITH] (FORCE [, FORCE])]"""
    words.take(b"if", b"exists")
    name, force = words.name(), False
    if words.left:
        words.take(b"with")
        force = words.take(b"(", b"force")
        while words.take(b",", b"force"):
            pass
        if not force or not words.take(b")"):
            return None
    return DatabaseStatement(Act.DROP, name, force=force) if name and not words.left else None


def _read_alter(words: _Words) -> DatabaseStatement | None:
    """ALTER DATABASE name RENAME TO name | SET TABLESPACE name; its other forms disturb nobody."""
    name = words.name()
    if words.take(b"rename", b"to"):
        act = Act.RENAME
    elif words.take(b"set", b"tablespace"):
        act = Act.MOVE
    else:
        return None
    other = words.name()
    return DatabaseStatement(act, name, other) if name and other and not words.left else None


_READERS = {
    (WORD, b"create"): _read_create,
    (WORD, b"drop"): _read_drop,
    (WORD, b"alter"): _read_alter,
}
