"""Prepared statements, named and unnamed, played directly and through the proxy: both transcripts are equal.

Each batch may meet another server, so that a statement that is only known where it was prepared shows at once.
"""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play, Side
from tests.support.transcript import Recorder
from tests.support.wire import ServerError, errors, rows, sqlstates

SERVER_CACHE = 500  # statements that the proxy keeps on a server by default


def used_in_many_transactions(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT $1::int * 2", "double"), m.describe_statement("double"), m.sync())
    for i in range(30):
        assert rows(talk.ask(m.run_prepared("double", [str(i)]))) == [(str(2 * i).encode(),)]


def used_inside_a_block(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT count(*) FROM proto_items", "count"), m.sync())
    for sql in ("BEGIN", "SAVEPOINT a"):
        talk.ask(m.query(sql))
        talk.ask(m.run_prepared("count"))
    talk.ask(m.query("COMMIT"))
    talk.ask(m.run_prepared("count"))


def many_names_interleaved(talk: Recorder) -> None:
    talk.ask(*(m.parse(f"SELECT {i} + $1::int", f"s{i}") for i in range(40)), m.sync())
    for i in (39, 0, 17, 17, 3, 39):
        assert rows(talk.ask(m.run_prepared(f"s{i}", ["100"]))) == [(str(100 + i).encode(),)]


def more_than_a_server_keeps(talk: Recorder) -> None:
    total = SERVER_CACHE + 60
    for first in range(0, total, 70):
        talk.ask(*(m.parse(f"SELECT {i}", f"lru{i}") for i in range(first, first + 70)), m.sync())
    for i in (0, total - 1, 250, 0):
        assert rows(talk.ask(m.run_prepared(f"lru{i}"))) == [(str(i).encode(),)]


def parse_twice(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "twice"), m.sync())
    assert sqlstates(talk.ask(m.parse("SELECT 2", "twice"), m.sync())) == ["42P05"]
    assert sqlstates(talk.ask(m.parse("SELECT 1", "twice"), m.sync())) == ["42P05"]
    assert rows(talk.ask(m.run_prepared("twice"))) == [(b"1",)]


def parse_twice_inside_a_block(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.parse("SELECT 1", "twice"), m.sync())
    assert sqlstates(talk.ask(m.parse("SELECT 1", "twice"), m.sync())) == ["42P05"]
    assert sqlstates(talk.ask(m.run_prepared("twice"))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.run_prepared("twice"))) == [(b"1",)]


def unknown_names(talk: Recorder) -> None:
    for message in (m.run_prepared("nobody"), m.describe_statement("nobody") + m.sync()):
        replies = talk.ask(message)
        assert sqlstates(replies) == ["26000"] and "nobody" in errors(replies)[0]["M"]
    assert [reply.kind for reply in talk.ask(m.close_statement("nobody"), m.close_portal("nobody"), m.sync())] == [
        "3",
        "3",
        "Z",
    ]


def unknown_name_inside_a_block(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    assert sqlstates(talk.ask(m.run_prepared("nobody"))) == ["26000"]
    assert talk.client.status == "E"
    assert sqlstates(talk.ask(m.query("SELECT 1"))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))


def unknown_name_rolls_back_its_pipeline(talk: Recorder) -> None:
    """An error that the proxy knows beforehand still undoes what the same pipeline did."""
    insert = [m.parse("INSERT INTO proto_scratch VALUES (1)"), m.bind(), m.execute()]
    assert sqlstates(talk.ask(*insert, m.bind([], "nobody"), m.execute(), m.sync())) == ["26000"]
    assert rows(talk.ask(m.query("SELECT count(*) FROM proto_scratch"))) == [(b"0",)]


def closed(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "gone"), m.sync())
    talk.ask(m.close_statement("gone"), m.sync())
    assert sqlstates(talk.ask(m.run_prepared("gone"))) == ["26000"]
    assert sqlstates(talk.ask(m.parse("SELECT 2", "gone"), m.sync())) == []
    assert rows(talk.ask(m.run_prepared("gone"))) == [(b"2",)]


def closed_and_parsed_in_one_write(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "s"), m.sync())
    replies = talk.ask(m.close_statement("s"), m.parse("SELECT 2", "s"), m.bind([], "s"), m.execute(), m.sync())
    assert rows(replies) == [(b"2",)]
    assert rows(talk.ask(m.run_prepared("s"))) == [(b"2",)]


def parse_that_fails(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.parse("SELECT nowhere", "bad"), m.sync())) == ["42703"]
    assert sqlstates(talk.ask(m.run_prepared("bad"))) == ["26000"]
    assert sqlstates(talk.ask(m.parse("SELECT 1", "bad"), m.sync())) == []


def parse_that_is_skipped(talk: Recorder) -> None:
    """A Parse behind an error never happened, so its name is free in the same write."""
    skipped = [m.parse("SELEC", "broken"), m.parse("SELECT 1", "s"), m.sync()]
    replies = talk.ask(*skipped, m.parse("SELECT 2", "s"), m.bind([], "s"), m.execute(), m.sync(), count=2)
    assert sqlstates(replies) == ["42601"] and rows(replies) == [(b"2",)]


def close_that_is_skipped(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "s"), m.sync())
    replies = talk.ask(m.bind([], "nobody"), m.close_statement("s"), m.sync(), m.run_prepared("s"), count=2)
    assert sqlstates(replies) == ["26000"] and rows(replies) == [(b"1",)]


def parse_in_a_failed_block(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT 1/0"))
    assert sqlstates(talk.ask(m.parse("SELECT 1", "late"), m.sync())) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    assert sqlstates(talk.ask(m.run_prepared("late"))) == ["26000"]


def parse_outlives_rollback(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.parse("SELECT 1", "kept"), m.sync())
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.run_prepared("kept"))) == [(b"1",)]


def same_text_other_types(talk: Recorder) -> None:
    talk.ask(
        m.parse("SELECT pg_typeof($1)", "as_int", [23]), m.parse("SELECT pg_typeof($1)", "as_text", [25]), m.sync()
    )
    for _ in range(3):
        assert rows(talk.ask(m.run_prepared("as_int", ["1"]))) == [(b"integer",)]
        assert rows(talk.ask(m.run_prepared("as_text", ["1"]))) == [(b"text",)]


def deallocate_by_name(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "a"), m.parse("SELECT 2", "Odd Name"), m.parse("SELECT 3", "kept"), m.sync())
    talk.ask(m.query("DEALLOCATE a"))
    talk.ask(m.batch('DEALLOCATE PREPARE "Odd Name"'))
    assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]
    assert sqlstates(talk.ask(m.run_prepared("Odd Name"))) == ["26000"]
    assert rows(talk.ask(m.run_prepared("kept"))) == [(b"3",)]


def deallocate_unknown(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.query("DEALLOCATE nobody"))) == ["26000"]
    assert sqlstates(talk.ask(m.batch("DEALLOCATE nobody"))) == ["26000"]


def deallocate_all(talk: Recorder) -> None:
    for sql in ("DEALLOCATE ALL", "deallocate prepare all", "DISCARD ALL"):
        talk.ask(m.parse("SELECT 1", "a"), m.parse("SELECT 2", "b"), m.sync())
        talk.ask(m.query(sql))
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]
        assert sqlstates(talk.ask(m.run_prepared("b"))) == ["26000"]
        assert sqlstates(talk.ask(m.parse("SELECT 4", "a"), m.sync())) == []
        assert rows(talk.ask(m.run_prepared("a"))) == [(b"4",)]
        talk.ask(m.close_statement("a"), m.sync())


def deallocate_all_extended(talk: Recorder) -> None:
    for sql in ("DEALLOCATE ALL", "DISCARD ALL"):
        talk.ask(m.parse("SELECT 1", "a"), m.sync())
        talk.ask(m.batch(sql))
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]


def deallocate_and_parse_in_one_write(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1", "a"), m.sync())
    replies = talk.ask(m.query("DEALLOCATE ALL"), m.batch("SELECT 2", name="a"), m.run_prepared("a"), count=3)
    assert rows(replies) == [(b"2",), (b"2",)]


def unnamed_outlives_its_batch(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT $1::int + 1"), m.sync())
    for i in range(5):
        assert rows(talk.ask(m.run_prepared("", [str(i)]))) == [(str(i + 1).encode(),)]
    assert [reply.kind for reply in talk.ask(m.describe_statement(), m.sync())] == ["t", "T", "Z"]


def unnamed_ends_with_a_simple_query(talk: Recorder) -> None:
    for sql in ("SELECT 2", "", "SELEC"):
        talk.ask(m.parse("SELECT 1"), m.sync())
        talk.ask(m.query(sql))
        assert sqlstates(talk.ask(m.run_prepared(""))) == ["26000"]


def unnamed_ends_with_a_failed_parse(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1"), m.sync())
    talk.ask(m.parse("SELEC"), m.sync())
    assert sqlstates(talk.ask(m.run_prepared(""))) == ["26000"]


def unnamed_closed(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 1"), m.sync())
    talk.ask(m.close_statement(""), m.sync())
    assert sqlstates(talk.ask(m.run_prepared(""))) == ["26000"]


def unnamed_outlives_a_failed_bind(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT $1::int"), m.sync())
    assert sqlstates(talk.ask(m.run_prepared("", ["x"]))) == ["22P02"]
    assert rows(talk.ask(m.run_prepared("", ["1"]))) == [(b"1",)]


def unnamed_beside_named(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT 'unnamed'"), m.parse("SELECT 'named'", "n"), m.sync())
    for _ in range(3):
        assert rows(talk.ask(m.run_prepared(""))) == [(b"unnamed",)]
        assert rows(talk.ask(m.run_prepared("n"))) == [(b"named",)]


def settings_that_parsing_depends_on(talk: Recorder) -> None:
    """The text of a literal is read at Parse: the DateStyle of that moment counts, not that of the next user."""
    talk.ask(m.query("SET DateStyle = 'SQL, DMY'"))
    talk.ask(m.parse("SELECT extract(month FROM '02/01/2030'::date)", "month_dmy"), m.sync())
    talk.ask(m.query("SET DateStyle = 'SQL, MDY'"))
    talk.ask(m.parse("SELECT extract(month FROM '02/01/2030'::date)", "month_mdy"), m.sync())
    for _ in range(3):
        assert rows(talk.ask(m.run_prepared("month_dmy"))) == [(b"1",)]
        assert rows(talk.ask(m.run_prepared("month_mdy"))) == [(b"2",)]


def roles_that_parsing_depends_on(talk: Recorder) -> None:
    """Parsed again where another role acts: whoever may not take on the first one gets it, and then its own back."""
    for way_there, way_on in (
        (["SET ROLE pg_monitor"], ["RESET ROLE", "SET SESSION AUTHORIZATION pg_read_all_stats"]),
        (["SET SESSION AUTHORIZATION pg_read_all_stats"], ["RESET SESSION AUTHORIZATION", "SET ROLE pg_monitor"]),
        (["SET SESSION AUTHORIZATION pg_monitor", "SET ROLE pg_read_all_stats"], ["SET ROLE pg_read_all_settings"]),
    ):
        for sql in way_there:
            talk.ask(m.query(sql))
        talk.ask(m.parse("SELECT session_user::text, current_user::text", "who"), m.sync())
        for sql in way_on:
            talk.ask(m.query(sql))
        for _ in range(8):
            talk.ask(m.query("BEGIN"))
            assert len(rows(talk.ask(m.run_prepared("who")))) == 1
            talk.ask(m.query("SELECT session_user, current_user"))
            talk.ask(m.query("COMMIT"))
        talk.ask(m.close_statement("who"), m.query("DISCARD ALL"), m.sync(), count=2)


def set_for_one_transaction(talk: Recorder) -> None:
    """SET LOCAL stays what it is where a statement is parsed again that was first parsed under other settings."""
    for name, parsed_with, own in (
        ("client_encoding", "LATIN1", "WIN1252"),
        ("search_path", "proto_a", "proto_b"),
        ("TimeZone", "Asia/Tokyo", "Asia/Kathmandu"),
        ("role", "pg_monitor", "pg_read_all_stats"),
    ):
        talk.ask(m.query(f"SET {name} = '{parsed_with}'"))
        talk.ask(m.parse("SELECT 1", "one"), m.sync())
        talk.ask(m.query(f"RESET {name}"))
        for _ in range(8):
            talk.ask(m.query("BEGIN"))
            talk.ask(m.query(f"SET LOCAL {name} = '{own}'"))
            assert rows(talk.ask(m.run_prepared("one"))) == [(b"1",)]
            assert rows(talk.ask(m.query(f"SHOW {name}"))) == [(own.encode(),)]
            talk.ask(m.query("COMMIT"))
        talk.ask(m.close_statement("one"), m.sync())


def search_path_changed_between_uses(talk: Recorder) -> None:
    talk.ask(m.query("SET search_path = proto_a"))
    talk.ask(m.parse("SELECT tenant FROM who", "who"), m.sync())
    assert rows(talk.ask(m.run_prepared("who"))) == [(b"a",)]
    talk.ask(m.query("SET search_path = proto_b"))
    for _ in range(3):
        assert rows(talk.ask(m.run_prepared("who"))) == [(b"b",)]


PLAYS: list[Play] = [
    used_in_many_transactions,
    used_inside_a_block,
    many_names_interleaved,
    more_than_a_server_keeps,
    parse_twice,
    parse_twice_inside_a_block,
    unknown_names,
    unknown_name_inside_a_block,
    unknown_name_rolls_back_its_pipeline,
    closed,
    closed_and_parsed_in_one_write,
    parse_that_fails,
    parse_that_is_skipped,
    close_that_is_skipped,
    parse_in_a_failed_block,
    parse_outlives_rollback,
    same_text_other_types,
    deallocate_by_name,
    deallocate_unknown,
    deallocate_all,
    deallocate_all_extended,
    deallocate_and_parse_in_one_write,
    unnamed_outlives_its_batch,
    unnamed_ends_with_a_simple_query,
    unnamed_ends_with_a_failed_parse,
    unnamed_closed,
    unnamed_outlives_a_failed_bind,
    unnamed_beside_named,
    settings_that_parsing_depends_on,
    roles_that_parsing_depends_on,
    set_for_one_transaction,
    search_path_changed_between_uses,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


def test_one_text_two_search_paths(proxied: Side, churned: None) -> None:
    """Two tenants share a pool and a text, never a plan."""
    with proxied.login(search_path="proto_a") as a, proxied.login(search_path="proto_b") as b:
        for client in (a, b):
            client.ask(m.parse("SELECT tenant FROM who", "who"), m.sync())
        for _ in range(20):
            assert rows(a.ask(m.run_prepared("who"))) == [(b"a",)]
            assert rows(b.ask(m.run_prepared("who"))) == [(b"b",)]


def test_what_is_parsed_under_set_local_is_not_for_others(proxied: Side, churned: None) -> None:
    """A literal is read at Parse, by a DateStyle that only its transaction had."""
    text = "SELECT extract(month FROM '02/01/2031'::date)"
    with proxied.login() as owner, proxied.login() as other:
        for number in range(10):
            owner.query("BEGIN")
            owner.query("SET LOCAL DateStyle = 'SQL, DMY'")
            assert rows(owner.ask(m.batch(text, name=f"owner{number}"))) == [(b"1",)]
            owner.query("COMMIT")
            assert rows(other.ask(m.batch(text, name=f"other{number}"))) == [(b"2",)]


def test_statements_belong_to_their_client(proxied: Side, churned: None) -> None:
    with proxied.login() as owner, proxied.login() as stranger:
        owner.ask(m.parse("SELECT 'owner'", "mine"), m.sync())
        for _ in range(10):
            assert sqlstates(stranger.ask(m.run_prepared("mine"))) == ["26000"]
            assert rows(owner.ask(m.run_prepared("mine"))) == [(b"owner",)]
        with pytest.raises(ServerError, match="26000"):
            stranger.query("EXECUTE mine")
