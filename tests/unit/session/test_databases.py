"""Statements on databases are recognised by their text, however it is written."""

from __future__ import annotations

import pytest

from tidegate.session.databases import Act, DatabaseStatement, read_database_statement
from tidegate.session.tokenized import NAME, NUMBER, OTHER, PARAMETER, SIGN, STRING, WORD, tokenize


def copy(template: bytes, new: bytes) -> DatabaseStatement:
    return DatabaseStatement(Act.COPY, template, new)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"CREATE DATABASE x", copy(b"template1", b"x")),
        (b'create\tdatabase\n"Te""st" ;', copy(b"template1", b'Te"st')),
        (b"/* a /* b */ */ CREATE -- c\n DATABASE x;;", copy(b"template1", b"x")),
        (b"CREATE DATABASE x TEMPLATE y", copy(b"y", b"x")),
        (b"CREATE DATABASE x WITH TEMPLATE = 'Y y' OWNER template", copy(b"Y y", b"x")),
        (b'CREATE DATABASE x WITH OWNER = "o" ENCODING \'UTF8\' connection limit -1 TEMPLATE "T"', copy(b"T", b"x")),
        (b"CREATE DATABASE x TEMPLATE DEFAULT STRATEGY = file_copy IS_TEMPLATE true", copy(b"template1", b"x")),
        (b"CREATE DATABASE x OID = 20000 TEMPLATE template0", copy(b"template0", b"x")),
        (b"CREATE DATABASE template TEMPLATE template", copy(b"template", b"template")),
        (b"DROP DATABASE x", DatabaseStatement(Act.DROP, b"x")),
        (b"DROP DATABASE IF EXISTS X", DatabaseStatement(Act.DROP, b"x")),
        (b'drop database if exists "X" with (force);', DatabaseStatement(Act.DROP, b"X", force=True)),
        (b"DROP DATABASE x (FORCE, force)", DatabaseStatement(Act.DROP, b"x", force=True)),
        (b"ALTER DATABASE a RENAME TO b", DatabaseStatement(Act.RENAME, b"a", b"b")),
        (b"ALTER DATABASE a SET TABLESPACE b", DatabaseStatement(Act.MOVE, b"a", b"b")),
        (b"DROP DATABASE " + b"a" * 70, DatabaseStatement(Act.DROP, b"a" * 63)),
    ],
)
def test_which_database_must_be_empty(text: bytes, found: DatabaseStatement) -> None:
    assert read_database_statement(text) == found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"DROP DATABASE",
        b"CREATE DATABASE",
        b"CREATE DATABASE x TEMPLATE",
        b"CREATE DATABASE x =",
        b"DROP DATABASE x; DROP DATABASE y",
        b"DROP DATABASE x WITH (FORCE",
        b"DROP DATABASE x WITH FORCE",
        b"DROP TABLE database",
        b'"DROP" DATABASE x',
        b'DROP "database" x',
        b"SELECT 'DROP DATABASE x'",
        b"ALTER DATABASE x SET work_mem = '1MB'",
        b"ALTER DATABASE x SET tablespace TO y",
        b"ALTER DATABASE x OWNER TO y",
        b"ALTER DATABASE x RENAME TO",
        b"COMMENT ON DATABASE x IS 'y'",
        b'DROP DATABASE U&"x"',
        b"DROP DATABASE x " + b"y " * 200,
    ],
)
def test_what_is_none(text: bytes) -> None:
    assert read_database_statement(text) is None


def test_a_backslash_in_a_literal_is_read_as_the_session_reads_it() -> None:
    text = rb"CREATE DATABASE x TEMPLATE 'a\' OWNER 'o'"
    assert read_database_statement(text) == copy(b"a\\", b"x")
    assert read_database_statement(text, False) is None


def test_tokens() -> None:
    assert tokenize(b"SELECT f(12, $3) AS \"A\"::int, 'x' || $$y$$", 100) == [
        (WORD, b"select"), (WORD, b"f"), (SIGN, b"("), (NUMBER, b"12"), (SIGN, b","), (PARAMETER, b"3"), (SIGN, b")"),
        (WORD, b"as"), (NAME, b"A"), (SIGN, b":"), (SIGN, b":"), (WORD, b"int"), (SIGN, b","), (STRING, b"x"),
        (SIGN, b"|"), (SIGN, b"|"), (OTHER, b""),
    ]  # fmt: skip
    assert tokenize(b"a b c", 2) is None
