"""The extended query protocol, played directly and through the proxy: both transcripts are equal.

Protocol documentation, "Extended Query" and "Pipelining". Named statements have their own file, test_prepared.py.
"""

from __future__ import annotations

import struct

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates, tags

INT4, TEXT, BOOL = 23, 25, 16
INT4PL_OID = 177


def one_batch(talk: Recorder) -> None:
    assert rows(talk.ask(m.batch("SELECT $1::int + 1, $2::text", ["41", None]))) == [(b"42", None)]


def binary_values(talk: Recorder) -> None:
    replies = talk.ask(
        m.parse("SELECT $1 * 2, $2", types=[INT4, TEXT]),
        m.bind([struct.pack("!i", 21), "text"], formats=[1, 0], result_formats=[1, 0]),
        m.describe_portal(),
        m.execute(),
        m.sync(),
    )
    assert rows(replies) == [(struct.pack("!i", 42), b"text")]


def describe_a_statement(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT id, name FROM proto_items WHERE id = $1 AND name = $2"), m.describe_statement(), m.sync())
    talk.ask(m.parse("DELETE FROM proto_items WHERE id = $1"), m.describe_statement(), m.sync())


def no_rows_no_data(talk: Recorder) -> None:
    talk.ask(m.batch("SELECT 1 WHERE false"))
    assert "n" in [reply.kind for reply in talk.ask(m.batch("UPDATE proto_items SET name = name WHERE false"))]


def empty_statement(talk: Recorder) -> None:
    assert "I" in [reply.kind for reply in talk.ask(m.batch(""))]
    assert "I" in [reply.kind for reply in talk.ask(m.batch("-- nothing"))]


def sync_alone(talk: Recorder) -> None:
    assert [reply.kind for reply in talk.ask(m.sync())] == ["Z"]
    assert [reply.kind for reply in talk.ask(m.sync(), m.sync(), m.sync(), count=3)] == ["Z", "Z", "Z"]


def flush_alone(talk: Recorder) -> None:
    assert [reply.kind for reply in talk.ask(m.flush(), m.flush(), m.sync())] == ["Z"]


def pipeline_of_syncs(talk: Recorder) -> None:
    replies = talk.ask(*(m.batch("SELECT $1::int", [str(i)]) for i in range(20)), count=20)
    assert rows(replies) == [(str(i).encode(),) for i in range(20)]


def pipeline_with_failing_parts(talk: Recorder) -> None:
    replies = talk.ask(*(m.batch("SELECT 10 / $1::int", [str(i % 3)]) for i in range(9)), count=9)
    assert sqlstates(replies) == ["22012"] * 3 and len(rows(replies)) == 6


def pipeline_is_one_transaction_up_to_sync(talk: Recorder) -> None:
    insert = [m.parse("INSERT INTO proto_scratch VALUES ($1)"), m.bind(["1"]), m.execute()]
    fail = [m.parse("SELECT 1/0"), m.bind(), m.execute()]
    assert sqlstates(talk.ask(*insert, *fail, m.sync())) == ["22012"]
    assert rows(talk.ask(m.query("SELECT count(*) FROM proto_scratch"))) == [(b"0",)]


def transaction_over_several_syncs(talk: Recorder) -> None:
    talk.ask(m.batch("BEGIN"))
    talk.ask(m.batch("INSERT INTO proto_scratch VALUES (1)"))
    assert rows(talk.ask(m.batch("SELECT count(*) FROM proto_scratch"))) == [(b"1",)]
    talk.ask(m.batch("ROLLBACK"))


def transactions_in_one_write(talk: Recorder) -> None:
    statements = ("BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "BEGIN", "SELECT 1/0", "SELECT 3", "ROLLBACK", "SELECT 4")
    replies = talk.ask(*(m.batch(sql) for sql in statements), count=len(statements))
    assert sqlstates(replies) == ["22012", "25P02"] and talk.client.status == "I"


def error_skips_to_sync(talk: Recorder) -> None:
    """Everything between an error and its Sync is skipped, simple queries and unknown names included."""
    replies = talk.ask(
        m.parse("SELECT 1 / (id - id) FROM proto_items"),
        m.bind(),
        m.execute(),
        m.parse("SELECT 'skipped'", "skipped"),
        m.bind([], "skipped"),
        m.describe_portal(),
        m.execute(),
        m.close_statement("skipped"),
        m.query("SELECT 'skipped too'"),
        m.bind([], "unknown"),
        m.flush(),
        m.sync(),
    )
    assert [reply.kind for reply in replies] == ["1", "2", "E", "Z"]
    assert rows(talk.ask(m.query("SELECT 'alive'"))) == [(b"alive",)]


def error_in_parse_skips(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.batch("SELEC 1", ["x"]))) == ["42601"]
    assert sqlstates(talk.ask(m.batch("SELECT 1; SELECT 2"))) == ["42601"]


def query_that_is_skipped_gets_no_ready(talk: Recorder) -> None:
    talk.send(m.parse("SELEC"), m.query("SELECT 1"), m.query("SELECT 2"), m.sync(), m.query("SELECT 3"))
    replies = talk.hear(count=2)
    assert rows(replies) == [(b"3",)]


def what_waits_for_a_query_that_is_skipped(talk: Recorder) -> None:
    """The unnamed statement is the Query's affair until that has ended; this one never begins."""
    for behind in (m.batch("SELECT 2"), m.bind() + m.execute() + m.sync(), m.describe_statement() + m.sync()):
        replies = talk.ask(m.describe_portal("nobody"), m.query("SELECT 1"), behind)
        assert sqlstates(replies) == ["34000"]
        talk.ask(m.query("SELECT 3"))


def bad_bind(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.parse("SELECT $1::int"), m.bind(["1", "2"]), m.execute(), m.sync())) == ["08P01"]
    assert sqlstates(talk.ask(m.parse("SELECT $1::int"), m.bind(["x"]), m.execute(), m.sync())) == ["22P02"]
    assert sqlstates(talk.ask(m.parse("SELECT 1"), m.bind([], formats=[0, 1]), m.execute(), m.sync())) == ["08P01"]


def flush_without_sync(talk: Recorder) -> None:
    talk.send(m.parse("SELECT $1::int"), m.describe_statement(), m.flush())
    talk.hear("T")
    talk.send(m.bind(["5"]), m.execute(), m.flush())
    talk.hear("C")
    talk.send(m.bind(["6"]), m.execute(), m.flush())
    assert rows(talk.hear("C")) == [(b"6",)]
    talk.ask(m.sync())


def error_after_flush(talk: Recorder) -> None:
    talk.send(m.parse("SELECT 1/$1::int"), m.flush())
    talk.hear("1")
    talk.send(m.bind(["0"]), m.execute(), m.flush())
    assert sqlstates(talk.hear("E")) == ["22012"]
    assert [reply.kind for reply in talk.ask(m.bind(["1"]), m.execute(), m.flush(), m.sync())] == ["Z"]


def row_limits(talk: Recorder) -> None:
    replies = talk.ask(
        m.parse("SELECT generate_series(1, 10)"),
        m.bind(),
        m.execute("", 4),
        m.execute("", 4),
        m.execute("", 4),
        m.sync(),
    )
    assert [reply.kind for reply in replies].count("s") == 2 and len(rows(replies)) == 10


def row_limits_with_flush(talk: Recorder) -> None:
    """The suspended portal holds its server between the Executes."""
    talk.send(m.parse("SELECT generate_series(1, 5)"), m.bind(), m.execute("", 2), m.flush())
    talk.hear("s")
    talk.send(m.execute("", 2), m.flush())
    talk.hear("s")
    talk.send(m.execute("", 2), m.flush())
    assert tags(talk.hear("C")) == ["SELECT 1"]
    talk.ask(m.sync())


def named_portals_in_a_transaction(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(
        m.parse("SELECT generate_series(1, 9)", "series"),
        m.bind([], "series", "p1"),
        m.bind([], "series", "p2"),
        m.sync(),
    )
    for portal in ("p1", "p2", "p1"):
        assert len(rows(talk.ask(m.describe_portal(portal), m.execute(portal, 3), m.sync()))) == 3
    talk.ask(m.close_portal("p1"), m.sync())
    assert sqlstates(talk.ask(m.execute("p1"), m.sync())) == ["34000"]
    talk.ask(m.query("ROLLBACK"))
    talk.ask(m.close_statement("series"), m.sync())


def portal_named_twice(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    bind = m.bind([], "", "p")
    assert sqlstates(talk.ask(m.parse("SELECT 1"), bind, m.parse("SELECT 2"), bind, m.sync())) == ["42P03"]
    talk.ask(m.query("ROLLBACK"))


def portal_ends_with_its_transaction(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT generate_series(1, 5)"), m.bind([], "", "p"), m.execute("p", 2), m.sync())
    assert sqlstates(talk.ask(m.execute("p", 2), m.sync())) == ["34000"]
    assert sqlstates(talk.ask(m.describe_portal("p"), m.sync())) == ["34000"]


def query_ends_a_batch_without_sync(talk: Recorder) -> None:
    replies = talk.ask(m.parse("SELECT 1"), m.bind(), m.execute(), m.query("SELECT 2"))
    assert rows(replies) == [(b"1",), (b"2",)]


def cursor_fetch_through_execute(talk: Recorder) -> None:
    for sql in (
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT generate_series(1, 6)",
        "FETCH 2 FROM c",
        "FETCH ALL FROM c",
        "COMMIT",
    ):
        talk.ask(m.batch(sql))
    assert sqlstates(talk.ask(m.batch("FETCH 1 FROM c"))) == ["34000"]


def function_call(talk: Recorder) -> None:
    replies = talk.ask(m.function_call(INT4PL_OID, [struct.pack("!i", 40), struct.pack("!i", 2)]))
    assert [reply.kind for reply in replies] == ["V", "Z"] and replies[0].body == struct.pack("!ii", 4, 42)
    talk.ask(m.function_call(INT4PL_OID, [b"40", b"2"], binary=False))
    talk.ask(m.function_call(INT4PL_OID, [None, struct.pack("!i", 2)]))


def function_call_errors(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.function_call(1, []))) == ["42883"]
    assert sqlstates(talk.ask(m.function_call(INT4PL_OID, [b"x", b"2"], binary=False))) == ["22P02"]
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT 1/0"))
    assert sqlstates(talk.ask(m.function_call(INT4PL_OID, [b"1", b"2"], binary=False))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))


def mixed_in_one_write(talk: Recorder) -> None:
    call = m.function_call(INT4PL_OID, [b"1", b"2"], binary=False)
    talk.ask(
        m.query("SELECT 1"), m.batch("SELECT 2"), call, m.query(""), m.batch("SELECT 1/0"), call, m.sync(), count=7
    )


PLAYS: list[Play] = [
    one_batch,
    binary_values,
    describe_a_statement,
    no_rows_no_data,
    empty_statement,
    sync_alone,
    flush_alone,
    pipeline_of_syncs,
    pipeline_with_failing_parts,
    pipeline_is_one_transaction_up_to_sync,
    transaction_over_several_syncs,
    transactions_in_one_write,
    error_skips_to_sync,
    error_in_parse_skips,
    query_that_is_skipped_gets_no_ready,
    what_waits_for_a_query_that_is_skipped,
    bad_bind,
    flush_without_sync,
    error_after_flush,
    row_limits,
    row_limits_with_flush,
    named_portals_in_a_transaction,
    portal_named_twice,
    portal_ends_with_its_transaction,
    query_ends_a_batch_without_sync,
    cursor_fetch_through_execute,
    function_call,
    function_call_errors,
    mixed_in_one_write,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)
