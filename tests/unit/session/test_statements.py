"""Prepared statements: one object for equal ones, two where the meaning may differ, none for what nobody uses."""

from __future__ import annotations

import gc

from tidegate.session.pins import PinReason
from tidegate.session.scanner import trail_bytes
from tidegate.session.statements import Statements

CONTEXT = (b"public", None)


def test_equal_content_in_equal_context_is_one_statement() -> None:
    known = Statements()
    first = known.statement(b"SELECT 1", b"\0\0", CONTEXT)
    assert known.statement(b"SELECT " + b"1", bytes(2), tuple(CONTEXT)) is first
    assert len(known) == 1


def test_another_text_type_or_context_is_another_statement() -> None:
    known = Statements()
    statements = [
        known.statement(b"SELECT 1", b"\0\0", CONTEXT),
        known.statement(b"SELECT 1 ", b"\0\0", CONTEXT),
        known.statement(b"SELECT 1", b"\0\1\0\0\0\x17", CONTEXT),
        known.statement(b"SELECT 1", b"\0\0", (b"tenant", None)),
        known.statement(b"SELECT 1", b"\0\0", (b"public", b"other role")),
    ]
    assert len(set(statements)) == len({statement.name for statement in statements}) == 5


def test_a_text_that_is_scanned_otherwise_is_another_statement() -> None:
    """A server's own default may be an encoding with such pairs, and then no client has set it."""
    text = b"SELECT E'\x83\x5c', set_config('work_mem', '7MB', false), ''"
    known = Statements()
    plain, paired = known.statement(text, context=CONTEXT), known.statement(text, b"\0\0", CONTEXT, trail_bytes("SJIS"))
    assert plain is not paired
    assert "work_mem" in paired.facts.touched
    assert "work_mem" not in plain.facts.touched


def test_what_sql_prepares_is_known_by_the_text_behind_its_name() -> None:
    known = Statements()
    statement = known.sql_statement(b" (int) AS SELECT $1", CONTEXT)
    assert known.sql_statement(b" (int) AS SELECT $1", CONTEXT) is statement
    assert statement.by_sql
    others = [
        known.sql_statement(b" (text) AS SELECT $1", CONTEXT),
        known.sql_statement(b" (int) AS SELECT $1", (b"tenant", None)),
        known.statement(b" (int) AS SELECT $1", context=CONTEXT),
    ]
    assert len({statement, *others}) == 4


def test_what_sql_prepares_has_the_facts_of_its_execution() -> None:
    known = Statements()
    assert known.sql_statement(b" AS SELECT 1").facts is known.statement(b"SELECT 1").facts
    setting = known.sql_statement(b" AS SELECT set_config('work_mem', '7MB', false)").facts
    assert setting.touched == ("work_mem",)
    assert not setting.places
    assert known.sql_statement(b" AS SELECT pg_advisory_lock(1)").facts.pin is PinReason.ADVISORY_LOCK


def test_an_unknown_context_is_equal_to_no_other() -> None:
    """While it is not known what is set, `object()` stands for it."""
    known = Statements()
    assert known.statement(b"SELECT 1", b"\0\0", object()) is not known.statement(b"SELECT 1", b"\0\0", object())


def test_who_parses_after_a_change_of_the_catalogue_gets_another() -> None:
    known = Statements()
    before = known.statement(b"SELECT * FROM t", context=CONTEXT)
    known.catalogue_changed()
    after = known.statement(b"SELECT * FROM t", context=CONTEXT)
    assert after is not before
    assert after.name != before.name
    assert known.statement(b"SELECT * FROM t", context=CONTEXT) is after
    assert len(known) == 1


def test_text_and_types_cannot_be_mistaken_for_each_other() -> None:
    known = Statements()
    assert known.statement(b"a", b"\0\0") is not known.statement(b"a\0", b"\0\0")


def test_the_name_is_the_servers_and_never_used_twice() -> None:
    known = Statements()
    names = [known.statement(b"SELECT %d" % number).name for number in range(5000)]
    assert len(set(names)) == 5000
    assert all(name.startswith(b"tidegate_") for name in names)


def test_content_and_facts_are_those_of_the_text() -> None:
    statement = Statements().statement(b"SET search_path = a", b"\0\0", CONTEXT)
    assert statement.content == b"SET search_path = a\0\0\0"
    assert statement.context is CONTEXT
    assert "search_path" in statement.facts.touched


def test_what_nobody_uses_is_forgotten_and_what_is_used_stays() -> None:
    known = Statements()
    used = [known.statement(b"SELECT %d" % number) for number in range(100)]
    for number in range(10_000):
        known.statement(b"UPDATE t SET a = %d" % number)
    gc.collect()
    assert len(known) < 2100
    assert all(known.statement(b"SELECT %d" % number) is used[number] for number in range(100))


def test_a_statement_in_use_is_never_swept_however_many_there_are() -> None:
    known = Statements()
    used = [known.statement(b"SELECT %d" % number) for number in range(5000)]
    assert len(known) == 5000
    assert all(known.statement(b"SELECT %d" % number) is used[number] for number in range(5000))
