"""COPY in both directions, its failures, and what a client still sends after a failure: equal to a direct session.

Protocol documentation, "COPY Operations".
"""

from __future__ import annotations

import struct

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play, Side
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates, tags

COPY_IN = "COPY proto_scratch FROM STDIN"
BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)


def copy_in(talk: Recorder) -> None:
    talk.send(m.query(COPY_IN))
    talk.hear("G")
    assert tags(
        talk.ask(m.copy_data(b"1\n2\n"), m.copy_data(b""), m.copy_data(b"3"), m.copy_data(b"4\n"), m.copy_done())
    ) == ["COPY 3"]
    assert rows(talk.ask(m.query("SELECT sum(a) FROM proto_scratch"))) == [(b"37",)]


def copy_in_sent_blindly(talk: Recorder) -> None:
    """All in one write, before the server has agreed to copy."""
    replies = talk.ask(m.query(COPY_IN), m.copy_data(b"1\n"), m.copy_done(), m.query("SELECT 2"), count=2)
    assert tags(replies) == ["COPY 1", "SELECT 1"]


def copy_in_amid_statements(talk: Recorder) -> None:
    talk.send(m.query(f"SELECT 1; {COPY_IN}; {COPY_IN}; SELECT count(*) FROM proto_scratch"))
    talk.hear("G")
    talk.send(m.copy_data(b"1\n2\n"), m.copy_done())
    talk.hear("G")
    assert rows(talk.ask(m.copy_data(b"3\n"), m.copy_done())) == [(b"3",)]


def copy_in_a_block(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query(COPY_IN), m.copy_data(b"1\n"), m.copy_done())
    assert talk.client.status == "T"
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.query("SELECT count(*) FROM proto_scratch"))) == [(b"0",)]


def copy_in_binary(talk: Recorder) -> None:
    data = BINARY_HEADER + struct.pack("!hii", 1, 4, 77) + struct.pack("!h", -1)
    talk.send(m.query(f"{COPY_IN} (FORMAT binary)"))
    talk.hear("G")
    assert tags(talk.ask(m.copy_data(data), m.copy_done())) == ["COPY 1"]


def flush_and_sync_during_copy_are_ignored(talk: Recorder) -> None:
    replies = talk.ask(m.query(COPY_IN), m.copy_data(b"1\n"), m.flush(), m.sync(), m.copy_data(b"2\n"), m.copy_done())
    assert tags(replies) == ["COPY 2"]
    assert rows(talk.ask(m.query("SELECT 1"))) == [(b"1",)]


def client_fails_the_copy(talk: Recorder) -> None:
    talk.send(m.query(COPY_IN))
    talk.hear("G")
    replies = talk.ask(m.copy_data(b"1\n"), m.copy_fail("changed my mind"))
    assert sqlstates(replies) == ["57014"]
    assert rows(talk.ask(m.query("SELECT count(*) FROM proto_scratch"))) == [(b"0",)]


def server_fails_the_copy(talk: Recorder) -> None:
    """What the client goes on sending after the error is swallowed, whenever it arrives."""
    talk.send(m.query(COPY_IN))
    talk.hear("G")
    assert sqlstates(talk.ask(m.copy_data(b"1\nnot a number\n"))) == ["22P02"]
    talk.send(m.copy_data(b"2\n"), m.copy_data(b"3\n"))
    assert talk.client.silent(0.05)
    talk.send(m.copy_done())
    assert rows(talk.ask(m.query("SELECT count(*) FROM proto_scratch"))) == [(b"0",)]


def leftovers_of_a_failed_copy_in_one_write(talk: Recorder) -> None:
    leftovers = [m.copy_data(b"2\n"), m.copy_data(b"3\n"), m.copy_fail("never mind")]
    replies = talk.ask(m.query(COPY_IN), m.copy_data(b"x\n"), *leftovers, m.query("SELECT 4"), count=2)
    assert sqlstates(replies) == ["22P02"] and rows(replies) == [(b"4",)]


def copy_that_never_began(talk: Recorder) -> None:
    replies = talk.ask(
        m.query("COPY nowhere FROM STDIN"), m.copy_data(b"1\n"), m.copy_done(), m.query("SELECT 5"), count=2
    )
    assert sqlstates(replies) == ["42P01"] and rows(replies) == [(b"5",)]


def stray_copy_messages(talk: Recorder) -> None:
    talk.send(m.copy_data(b"stray"), m.copy_done(), m.copy_fail("stray"))
    assert talk.client.silent(0.05)
    assert rows(talk.ask(m.query("SELECT 6"))) == [(b"6",)]


def copy_in_extended(talk: Recorder) -> None:
    talk.send(m.parse(COPY_IN), m.bind(), m.describe_portal(), m.execute(), m.flush())
    talk.hear("G")
    assert tags(talk.ask(m.copy_data(b"1\n2\n"), m.copy_done(), m.sync())) == ["COPY 2"]


def copy_in_extended_with_an_early_sync(talk: Recorder) -> None:
    """libpq sends Sync right behind Execute and another one after CopyDone: the first falls into the copy."""
    talk.send(m.batch(COPY_IN))
    talk.hear("G")
    assert tags(talk.ask(m.copy_data(b"1\n"), m.copy_done(), m.sync())) == ["COPY 1"]
    assert rows(talk.ask(m.query("SELECT 1"))) == [(b"1",)]


def copy_in_extended_fails_at_once(talk: Recorder) -> None:
    """Here the first Sync ends the failed batch and the second one is answered too."""
    replies = talk.ask(m.batch("COPY nowhere FROM STDIN"), m.copy_data(b"1\n"), m.copy_done(), m.sync(), count=2)
    assert sqlstates(replies) == ["42P01"]


def copy_in_extended_fails_midway(talk: Recorder) -> None:
    talk.send(m.parse(COPY_IN), m.bind(), m.execute(), m.flush())
    talk.hear("G")
    talk.send(m.copy_data(b"x\n"), m.flush())
    assert sqlstates(talk.hear("E")) == ["22P02"]
    skipped = [m.copy_data(b"1\n"), m.copy_done(), m.bind(), m.execute(), m.query("SELECT 1")]
    assert [reply.kind for reply in talk.ask(*skipped, m.sync())] == ["Z"]


def client_fails_an_extended_copy(talk: Recorder) -> None:
    talk.send(m.batch(COPY_IN))
    talk.hear("G")
    assert sqlstates(talk.ask(m.copy_fail("no"), m.sync())) == ["57014"]


def copy_out(talk: Recorder) -> None:
    replies = talk.ask(m.query("COPY (SELECT id, name FROM proto_items ORDER BY id) TO STDOUT"))
    assert tags(replies) == ["COPY 10"] and replies[1].body == b"1\titem 1\n"


def copy_out_binary(talk: Recorder) -> None:
    talk.ask(m.query("COPY (SELECT generate_series(1, 3)) TO STDOUT (FORMAT binary)"))


def copy_out_fails_midway(talk: Recorder) -> None:
    replies = talk.ask(m.query("COPY (SELECT 1 / (5 - g) FROM generate_series(1, 9) g) TO STDOUT"))
    assert sqlstates(replies) == ["22012"] and [reply.kind for reply in replies].count("d") == 4
    talk.ask(m.query("SELECT 1"))


def copy_out_extended(talk: Recorder) -> None:
    sql = "COPY (SELECT generate_series(1, 5)) TO STDOUT"
    assert tags(talk.ask(m.batch(sql), m.batch(sql), count=2)) == ["COPY 5", "COPY 5"]


def copy_out_amid_statements(talk: Recorder) -> None:
    talk.ask(m.query("SELECT 1; COPY (SELECT 2) TO STDOUT; SELECT 3; COPY (SELECT 4) TO STDOUT"))


PLAYS: list[Play] = [
    copy_in,
    copy_in_sent_blindly,
    copy_in_amid_statements,
    copy_in_a_block,
    copy_in_binary,
    flush_and_sync_during_copy_are_ignored,
    client_fails_the_copy,
    server_fails_the_copy,
    leftovers_of_a_failed_copy_in_one_write,
    copy_that_never_began,
    stray_copy_messages,
    copy_in_extended,
    copy_in_extended_with_an_early_sync,
    copy_in_extended_fails_at_once,
    copy_in_extended_fails_midway,
    client_fails_an_extended_copy,
    copy_out,
    copy_out_binary,
    copy_out_fails_midway,
    copy_out_extended,
    copy_out_amid_statements,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


def test_leftovers_of_a_failed_copy_borrow_no_server(proxied: Side) -> None:
    """A client that still drains its failed COPY holds nothing: as many others as there are servers go on."""
    with proxied.login() as failed:
        failed.send(m.query(COPY_IN), m.copy_data(b"x\n"))
        failed.read_ready()
        failed.send(m.copy_data(b"1\n"))
        others = [proxied.login() for _ in range(proxied.servers)]
        try:
            for other in others:
                other.ask(m.query("BEGIN"))
            failed.send(m.copy_data(b"1\n"), m.copy_done())
            for other in others:
                assert rows(other.ask(m.query("SELECT 1"))) == [(b"1",)]
        finally:
            for other in others:
                other.quit()
