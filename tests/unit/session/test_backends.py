"""Statements that name backends are recognised in the forms that are understood, and in no other."""

from __future__ import annotations

import pytest

from tidegate.session.backends import Act, Argument, BackendStatement, ends_what_it_finds, read_backend_statement


@pytest.mark.parametrize(
    ("text", "act", "arguments", "column"),
    [
        (b"SELECT pg_backend_pid()", Act.TELL, (), b'"pg_backend_pid"'),
        (b" select /* me */ PG_CATALOG . pg_backend_pid ( ) ; ", Act.TELL, (), b'"pg_backend_pid"'),
        (b"SELECT pg_backend_pid() AS pid", Act.TELL, (), b'"pid"'),
        (b'SELECT pg_backend_pid() "The ""pid"', Act.TELL, (), b'"The ""pid"'),
        (b"SELECT pg_terminate_backend(17)", Act.TERMINATE, (Argument(17),), b'"pg_terminate_backend"'),
        (b"SELECT pg_terminate_backend('17', 5000)", Act.TERMINATE, (Argument(17), Argument(5000)),
         b'"pg_terminate_backend"'),
        (b"SELECT pg_cancel_backend($1::int4)", Act.CANCEL, (Argument(1, True),), b'"pg_cancel_backend"'),
        (b"SELECT pg_terminate_backend($2, $1)", Act.TERMINATE, (Argument(2, True), Argument(1, True)),
         b'"pg_terminate_backend"'),
    ],
)  # fmt: skip
def test_what_is_understood(text: bytes, act: Act, arguments: tuple[Argument, ...], column: bytes) -> None:
    assert read_backend_statement(text) == BackendStatement(act, arguments, column)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SELECT",
        b"SELECT 'pg_backend_pid()'",
        b"SELECT pg_backend_pid",
        b"SELECT pg_backend_pid(",
        b"SELECT pg_backend_pid(1)",
        b"SELECT pg_backend_pid(), 1",
        b"SELECT pg_backend_pid() + 0",
        b"SELECT pg_backend_pid() FROM t",
        b"SELECT pg_backend_pid() AS",
        b'SELECT "PG_BACKEND_PID"()',
        b"SELECT s.pg_backend_pid()",
        b"SELECT pg_terminate_backend()",
        b"SELECT pg_terminate_backend(-1)",
        b"SELECT pg_terminate_backend(1.5)",
        b"SELECT pg_terminate_backend(1 + 1)",
        b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        b"SELECT pg_terminate_backend(1, 2, 3)",
        b"SELECT pg_cancel_backend(1, 2)",
        b"SELECT pg_terminate_backend(1); SELECT 1",
        b"SELECT pg_terminate_backend($1::text)",
    ],
)
def test_what_is_not(text: bytes) -> None:
    assert read_backend_statement(text) is None


def test_what_is_sent_instead() -> None:
    tell = read_backend_statement(b"SELECT pg_backend_pid() AS p")
    assert tell is not None
    assert tell.telling(8388609) == b'SELECT 8388609 AS "p"'
    constant = read_backend_statement(b"SELECT pg_cancel_backend(8388609)")
    assert constant is not None
    assert constant.done() == b'SELECT true AS "pg_cancel_backend"'
    assert (
        constant.directed(12)
        == b'SELECT pg_catalog.pg_cancel_backend(CASE WHEN true THEN 12 END) AS "pg_cancel_backend"'
    )
    bound = read_backend_statement(b"SELECT pg_terminate_backend($1, $2) AS t")
    assert bound is not None
    given = b"$1::pg_catalog.int4 IS NOT NULL AND $2::pg_catalog.int8 IS NOT NULL"
    assert bound.done() == b"SELECT " + given + b' AS "t"'
    assert bound.directed(12) == b"SELECT pg_catalog.pg_terminate_backend(CASE WHEN " + given + b' THEN 12 END) AS "t"'


def test_who_ends_what_it_finds() -> None:
    assert ends_what_it_finds(
        b"select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"
    )
    assert not ends_what_it_finds(b"SELECT pg_backend_pid() FROM pg_stat_activity")
    assert not ends_what_it_finds(b"SELECT pg_terminate_backend(1)")
