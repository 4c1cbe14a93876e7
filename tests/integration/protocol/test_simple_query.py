"""The simple query protocol, played directly and through the proxy: both transcripts are equal.

Protocol documentation, "Simple Query" and "Multiple Statements in a Simple Query".
"""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates, tags


def single_statement(talk: Recorder) -> None:
    assert rows(talk.ask(m.query("SELECT 1 AS one, NULL::text, '', 'ü'::text"))) == [(b"1", None, b"", "ü".encode())]


def every_kind_of_tag(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("CREATE TABLE proto_tags (a int)"))
    talk.ask(m.query("INSERT INTO proto_tags SELECT generate_series(1, 5)"))
    talk.ask(m.query("UPDATE proto_tags SET a = a + 1 WHERE a > 2 RETURNING a"))
    assert tags(talk.ask(m.query("DELETE FROM proto_tags WHERE a = 1"))) == ["DELETE 1"]
    talk.ask(m.query("ROLLBACK"))


def no_columns(talk: Recorder) -> None:
    assert rows(talk.ask(m.query("SELECT FROM generate_series(1, 3)"))) == [(), (), ()]


def several_statements(talk: Recorder) -> None:
    assert tags(talk.ask(m.query("SELECT 1; SELECT 2, 3; SELECT 'x' WHERE false"))) == [
        "SELECT 1",
        "SELECT 1",
        "SELECT 0",
    ]


def empty_queries(talk: Recorder) -> None:
    for sql in ("", "   ", ";", ";;", "-- nothing", "/* nothing */ ;"):
        assert "I" in [reply.kind for reply in talk.ask(m.query(sql))]


def error_in_the_middle(talk: Recorder) -> None:
    replies = talk.ask(m.query("SELECT 1; SELECT 1/0; SELECT 2"))
    assert sqlstates(replies) == ["22012"] and len(rows(replies)) == 1
    talk.ask(m.query("SELECT 3"))


def error_position(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.query("SELECT 'äöü', nowhere FROM pg_class"))) == ["42703"]
    assert sqlstates(talk.ask(m.query("SELECT 1; SELEC 2"))) == ["42601"]


def error_with_every_field(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("CREATE TABLE proto_fields (a int CONSTRAINT positive CHECK (a > 0))"))
    assert sqlstates(talk.ask(m.query("INSERT INTO proto_fields VALUES (-1)"))) == ["23514"]
    talk.ask(m.query("ROLLBACK"))


def transaction_block(talk: Recorder) -> None:
    for sql in ("BEGIN", "SELECT count(*) FROM proto_items", "SAVEPOINT a", "SELECT 1", "RELEASE a", "COMMIT"):
        talk.ask(m.query(sql))
    assert talk.client.status == "I"


def failed_transaction(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT 1/0"))
    assert talk.client.status == "E"
    assert sqlstates(talk.ask(m.query("SELECT 1"))) == ["25P02"]
    assert tags(talk.ask(m.query("COMMIT"))) == ["ROLLBACK"]


def savepoint_after_error(talk: Recorder) -> None:
    for sql in ("BEGIN", "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", "SELECT 7", "COMMIT"):
        replies = talk.ask(m.query(sql))
    assert tags(replies) == ["COMMIT"]


def block_opened_and_left_open_by_one_message(talk: Recorder) -> None:
    talk.ask(m.query("SELECT 1; BEGIN; SELECT 2"))
    assert talk.client.status == "T"
    talk.ask(m.query("SELECT 3; COMMIT; SELECT 4"))
    assert talk.client.status == "I"


def chained_transactions(talk: Recorder) -> None:
    for sql in ("BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SELECT 2", "ROLLBACK AND CHAIN"):
        talk.ask(m.query(sql))
        assert talk.client.status == "T"
    talk.ask(m.query("ROLLBACK"))


def error_at_commit(talk: Recorder) -> None:
    """A deferred constraint fails when the transaction has nothing more to say."""
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("CREATE TABLE proto_deferred (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    talk.ask(m.query("INSERT INTO proto_deferred VALUES (1), (1)"))
    assert sqlstates(talk.ask(m.query("COMMIT"))) == ["23505"]
    assert talk.client.status == "I"


def warnings_outside_a_block(talk: Recorder) -> None:
    assert "N" in [reply.kind for reply in talk.ask(m.query("COMMIT"))]
    assert "N" in [reply.kind for reply in talk.ask(m.query("ROLLBACK"))]
    talk.ask(m.query("BEGIN"))
    assert "N" in [reply.kind for reply in talk.ask(m.query("BEGIN"))]
    talk.ask(m.query("COMMIT"))


def notices(talk: Recorder) -> None:
    talk.ask(m.query("DROP TABLE IF EXISTS proto_missing"))
    replies = talk.ask(
        m.query("DO $$BEGIN FOR i IN 1..3 LOOP RAISE NOTICE 'step %', i; END LOOP; RAISE WARNING 'end'; END$$")
    )
    assert [reply.kind for reply in replies] == ["N", "N", "N", "N", "C", "Z"]


def several_messages_in_one_write(talk: Recorder) -> None:
    replies = talk.ask(*(m.query(f"SELECT {i} / (4 - {i})") for i in range(8)), count=8)
    assert len(rows(replies)) == 7 and sqlstates(replies) == ["22012"]


def transactions_in_one_write(talk: Recorder) -> None:
    talk.ask(
        *(m.query(sql) for sql in ("BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "BEGIN", "SELECT 3", "ROLLBACK")), count=7
    )
    assert talk.client.status == "I"


def unsafe_in_a_block(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.query("SELECT 1; VACUUM proto_items"))) == ["25001"]
    assert sqlstates(talk.ask(m.query("VACUUM proto_items"))) == []


def read_only_transaction(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    assert rows(talk.ask(m.query("SHOW transaction_isolation"))) == [(b"repeatable read",)]
    assert sqlstates(talk.ask(m.query("DELETE FROM proto_items"))) == ["25006"]
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.query("SHOW transaction_read_only"))) == [(b"off",)]


PLAYS: list[Play] = [
    single_statement,
    every_kind_of_tag,
    no_columns,
    several_statements,
    empty_queries,
    error_in_the_middle,
    error_position,
    error_with_every_field,
    transaction_block,
    failed_transaction,
    savepoint_after_error,
    block_opened_and_left_open_by_one_message,
    chained_transactions,
    error_at_commit,
    warnings_outside_a_block,
    notices,
    several_messages_in_one_write,
    transactions_in_one_write,
    unsafe_in_a_block,
    read_only_transaction,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)
