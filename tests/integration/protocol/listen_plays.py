"""Sessions that listen to what they send themselves: order and place of every message count.

Owns what is played and what must hold on either side. Refuses to choose where: test_listen.py does.
"""

from __future__ import annotations

from tests.support import messages as m
from tests.support.sides import Play
from tests.support.transcript import Recorder
from tests.support.wire import notifications, sqlstates


def own(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN ear"))
    for i in range(3):
        replies = talk.ask(m.query(f"NOTIFY ear, 'number {i}'"))
        assert notifications(replies) == [(talk.client.pid, "ear", f"number {i}")]
    talk.ask(m.query("UNLISTEN ear"))
    assert not notifications(talk.ask(m.query("NOTIFY ear")))


def own_within_a_block(talk: Recorder) -> None:
    for sql in ("BEGIN", "LISTEN ear", "NOTIFY ear, 'one'", "SELECT 1", "NOTIFY ear, 'two'"):
        assert not notifications(talk.ask(m.query(sql)))
    assert [one[1:] for one in notifications(talk.ask(m.query("COMMIT")))] == [("ear", "one"), ("ear", "two")]
    for sql in ("BEGIN", "NOTIFY ear, 'three'", "ROLLBACK"):
        assert not notifications(talk.ask(m.query(sql)))
    for sql in ("BEGIN", "NOTIFY ear, 'four'", "NOTIFY ear, 'four'", "NOTIFY other"):
        assert not notifications(talk.ask(m.query(sql)))
    replies = talk.ask(m.query("COMMIT"))
    assert notifications(replies) == [(talk.client.pid, "ear", "four")]
    assert replies[-2].kind == "A", "behind the answer, and ahead of ReadyForQuery"


def own_by_functions(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN ear"))
    talk.ask(m.query("SELECT pg_notify('ear', g::text) FROM generate_series(1, 5) g"))
    talk.ask(m.batch("SELECT pg_notify($1, $2)", ["ear", "bound"]))
    talk.ask(m.query("DO $$BEGIN PERFORM pg_notify('ear', 'hidden'); END$$"))
    talk.ask(m.query("UNLISTEN *"))


def own_by_a_trigger(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN listen_rows"))
    for i in range(3):
        replies = talk.ask(m.query(f"INSERT INTO listen_rows VALUES ({i})"))
        assert notifications(replies) == [(talk.client.pid, "listen_rows", str(i))]


def rolled_back(talk: Recorder) -> None:
    for sql in ("BEGIN", "LISTEN ear", "ROLLBACK", "NOTIFY ear"):
        assert not notifications(talk.ask(m.query(sql)))
    for sql in ("BEGIN", "LISTEN ear", "SELECT 1/0", "COMMIT", "NOTIFY ear"):
        assert not notifications(talk.ask(m.query(sql)))
    talk.ask(m.query("LISTEN ear"))
    for sql in ("BEGIN", "UNLISTEN ear", "ROLLBACK"):
        talk.ask(m.query(sql))
    assert notifications(talk.ask(m.query("NOTIFY ear")))
    for sql in ("BEGIN", "UNLISTEN *", "LISTEN other", "SELECT 1/0", "COMMIT"):
        talk.ask(m.query(sql))
    assert len(notifications(talk.ask(m.query("NOTIFY ear; NOTIFY other")))) == 1


def savepoints(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN a; LISTEN b"))
    for sql in (
        "BEGIN",
        "SAVEPOINT s",
        "UNLISTEN a",
        "LISTEN c",
        "ROLLBACK TO s",
        "UNLISTEN b",
        "LISTEN d",
        "SAVEPOINT s",
        "UNLISTEN *",
        "LISTEN e",
        "ROLLBACK TO s",
        "RELEASE s",
        "COMMIT",
    ):
        talk.ask(m.query(sql))
    replies = talk.ask(m.query(";".join(f"NOTIFY {name}" for name in "abcde")))
    assert [channel for _, channel, _ in notifications(replies)] == ["a", "d"]
    talk.ask(m.query("SELECT pg_listening_channels() LIMIT 0"))


def order_of_listen_and_unlisten(talk: Recorder) -> None:
    for sql, expected in (
        ("LISTEN a; UNLISTEN a; LISTEN b", "b"),
        ("UNLISTEN *; LISTEN a", "a"),
        ("UNLISTEN a; LISTEN a; LISTEN c", "ac"),
        ("LISTEN b; UNLISTEN *", ""),
    ):
        talk.ask(m.query(sql))
        replies = talk.ask(m.query(";".join(f"NOTIFY {name}" for name in "abc")))
        assert "".join(channel for _, channel, _ in notifications(replies)) == expected
        for part in ("BEGIN", "UNLISTEN *", "LISTEN a", *sql.split(";"), "COMMIT"):
            talk.ask(m.query(part))
        replies = talk.ask(m.query(";".join(f"NOTIFY {name}" for name in "abc")))
        talk.ask(m.query("UNLISTEN *"))
        talk.ask(m.query("LISTEN a" if "a" in expected else "SELECT 1"))


def many_statements(talk: Recorder) -> None:
    talk.ask(m.query("SELECT 1; LISTEN ear; SELECT 2"))
    talk.ask(m.query("NOTIFY ear, 'one'; SELECT 3"))
    talk.ask(m.query("UNLISTEN ear; SELECT 1/0"))
    assert notifications(talk.ask(m.query("NOTIFY ear, 'still'")))
    talk.ask(m.query("UNLISTEN ear; BEGIN; NOTIFY ear, 'in a block'"))
    talk.ask(m.query("ROLLBACK"))
    assert notifications(talk.ask(m.query("NOTIFY ear, 'still'")))
    talk.ask(m.query("BEGIN; UNLISTEN ear; COMMIT; NOTIFY ear, 'no more'"))
    assert not notifications(talk.ask(m.query("NOTIFY ear, 'no more'")))
    talk.ask(m.query("LISTEN ear; SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"))
    assert not notifications(talk.ask(m.query("NOTIFY ear, 'no more'")))
    talk.ask(m.query("LISTEN a; LISTEN ear"))
    talk.ask(m.query("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"))
    assert not notifications(talk.ask(m.query("NOTIFY ear; NOTIFY a")))
    for begin, end in (("SELECT 1", "SELECT 2"), ("BEGIN", "COMMIT")):
        for sql in ("LISTEN ear", begin, "SELECT 1; UNLISTEN *; LISTEN a", "UNLISTEN b; LISTEN c; UNLISTEN a", end):
            talk.ask(m.query(sql))
        assert [one[1] for one in notifications(talk.ask(m.query("NOTIFY ear; NOTIFY a; NOTIFY c")))] == ["c"]


def extended_protocol(talk: Recorder) -> None:
    talk.ask(m.batch("LISTEN ear"))
    talk.ask(m.batch("NOTIFY ear, 'one'"))
    talk.ask(m.parse("NOTIFY ear, 'two'", "say") + m.sync())
    for _ in range(3):
        assert notifications(talk.ask(m.run_prepared("say")))
    for batch in (m.batch("BEGIN"), m.batch("UNLISTEN ear"), m.batch("ROLLBACK")):
        talk.ask(batch)
    assert notifications(talk.ask(m.run_prepared("say")))
    failing = m.parse("UNLISTEN ear") + m.bind() + m.execute() + m.parse("SELECT 1/0") + m.bind() + m.execute()
    talk.ask(failing + m.sync())
    assert notifications(talk.ask(m.run_prepared("say")))
    talk.ask(m.batch("UNLISTEN ear"))
    assert not notifications(talk.ask(m.run_prepared("say")))
    talk.ask(m.parse("LISTEN ear", "hear") + m.sync())
    talk.ask(m.run_prepared("hear"))
    assert notifications(talk.ask(m.run_prepared("say")))
    talk.ask(m.batch("UNLISTEN *"))
    assert not notifications(talk.ask(m.run_prepared("say")))


def pipelined(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN ear") + m.query("NOTIFY ear, 'one'") + m.query("SELECT 1"), count=3)
    talk.ask(m.batch("NOTIFY ear, 'two'") + m.batch("SELECT 2") + m.batch("NOTIFY ear, 'three'"), count=3)
    parts = ["BEGIN", "UNLISTEN ear", "LISTEN other", "NOTIFY other, 'a'", "COMMIT", "NOTIFY ear", "NOTIFY other, 'b'"]
    talk.ask(b"".join(m.query(part) for part in parts), count=len(parts))
    talk.ask(m.query("UNLISTEN *") + m.query("NOTIFY other") + m.sync(), count=3)


def long_texts(talk: Recorder) -> None:
    """They go to the server in pieces, and nothing can be slipped in between."""
    filler = f"SELECT length('{'x' * 3_000_000}'); "
    talk.ask(m.query(f"{filler} LISTEN a"))
    for begin, end in (("SELECT 1", "SELECT 2"), ("BEGIN", "COMMIT")):
        talk.ask(m.query(begin))
        talk.ask(m.query(f"{filler} LISTEN b; NOTIFY b"))
        talk.ask(m.query(end))
        assert len(notifications(talk.ask(m.query(f"{filler} NOTIFY a; NOTIFY b")))) == 2
        talk.ask(m.query(begin))
        talk.ask(m.query(f"{filler} UNLISTEN b; LISTEN c"))
        talk.ask(m.query(end))
        talk.ask(m.query("NOTIFY a; NOTIFY b; NOTIFY c"))


def undone_by_their_own_text(talk: Recorder) -> None:
    """Several statements of one message are one transaction, also where it is too long to be looked at first."""
    talk.ask(m.query("LISTEN a"))
    for text in ("SELECT 1; UNLISTEN a; SELECT 1/0", "SELECT 1; DISCARD ALL", "UNLISTEN a; LISTEN b; SELECT 1/0"):
        for filler in ("", f"SELECT length('{'x' * 3_000_000}'); "):
            assert sqlstates(talk.ask(m.query(filler + text)))
            assert [one[1] for one in notifications(talk.ask(m.query("NOTIFY a; NOTIFY b")))] == ["a"]
    talk.ask(m.query(f"SELECT length('{'x' * 3_000_000}'); UNLISTEN a"))
    assert not notifications(talk.ask(m.query("NOTIFY a; NOTIFY b")))


def names_in_the_clients_encoding(talk: Recorder) -> None:
    """A client that listens already says LISTEN again: outside a block, in one, and to the same channel."""
    for encoding, name in (("latin1", "gr\xfcn"), ("win1252", "\xc1")):
        talk.ask(m.query(f"SET client_encoding = {encoding}"))
        listen, notify = (m.message("Q", f'{verb} "{name}"'.encode("cp1252") + b"\0") for verb in ("LISTEN", "NOTIFY"))
        talk.ask(listen)
        for parts in (
            [m.query("LISTEN other")],
            [m.query("BEGIN"), m.query("LISTEN another"), notify, m.query("COMMIT")],
            [m.query("BEGIN"), listen, notify, m.query("COMMIT")],
            [m.batch("LISTEN third")],
        ):
            for part in parts:
                assert not sqlstates(talk.ask(part))
            assert len(notifications(talk.ask(notify))) == 1
        talk.ask(m.query("UNLISTEN *"))
        assert not notifications(talk.ask(notify))


def a_copy_that_fails_early(talk: Recorder) -> None:
    """The end of its data is still on the way, in the middle of a message, when the transaction is over."""
    for text in ("LISTEN a; COPY listen_copied FROM STDIN", "COPY listen_copied FROM STDIN"):
        talk.send(m.query(text))
        talk.hear("G")
        second = m.copy_data(b"2\n" * 500_000)
        talk.send(m.copy_data(b"no number\n"), second[:300_000])
        talk.hear("E")
        talk.send(second[300_000:], m.copy_done())
        talk.hear("Z")
        talk.ask(m.query("NOTIFY a"))
        talk.ask(m.query("LISTEN a"))


def listening_unseen_before_a_pipeline(talk: Recorder) -> None:
    """What the DO block listens to is only found out while the next messages come."""
    for _ in range(5):
        talk.ask(m.query("DO $$BEGIN EXECUTE 'LISTEN ' || 'hidden'; END$$"))
        run = m.parse("SELECT 1") + m.bind() + m.execute()
        talk.send(run + m.sync() + run + m.flush())
        talk.hear("C", 2)
        talk.send(m.sync())
        talk.hear("Z")
        talk.ask(m.query("DO $$BEGIN EXECUTE 'LISTEN ' || 'hidden'; END$$"))
        talk.ask(m.batch("SELECT 1") + m.batch("SELECT 2") + m.query("SELECT 3"), count=3)
        talk.ask(m.query("UNLISTEN *"))


def pipelined_before_the_first(talk: Recorder) -> None:
    """What was sent ahead of the first LISTEN is answered before it, and a Sync too many, too."""
    talk.ask(m.query("SELECT 1") + m.query("LISTEN ear") + m.query("SELECT 2"), count=3)
    talk.ask(m.query("UNLISTEN *"))
    talk.ask(m.batch("SELECT 1") + m.batch("SELECT 2") + m.batch("LISTEN ear") + m.sync(), count=4)
    talk.ask(m.batch("NOTIFY ear") + m.sync() + m.sync(), count=3)
    talk.ask(m.query("NOTIFY ear") + m.sync() + m.query("NOTIFY ear, 'one'") + m.sync(), count=4)
    talk.ask(m.query("UNLISTEN *") + m.sync(), count=2)


def pipelined_copy(talk: Recorder) -> None:
    """The Sync ahead of COPY's data is not answered; what follows is, in its turn."""
    data = m.copy_data(b"1\n") + m.copy_done()
    copy = m.parse("COPY listen_copied FROM STDIN") + m.bind() + m.execute() + m.sync() + data + m.sync()
    talk.ask(m.query("LISTEN ear"))
    talk.ask(copy + m.query("NOTIFY ear"), count=2)
    talk.ask(copy + m.batch("SELECT 1") + m.query("UNLISTEN *"), count=3)


def order_across_channels(talk: Recorder) -> None:
    """What a transaction sends is heard in its order, though it has only just begun to listen to some of it."""

    def told(*parts: bytes) -> str:
        return "".join(payload for part in parts for _, _, payload in notifications(talk.ask(part)))

    def several(*statements: str) -> list[bytes]:
        return [m.query(sql) for sql in ("BEGIN", *statements, "COMMIT")]

    talk.ask(m.query("LISTEN a"))
    assert told(m.query("LISTEN b; NOTIFY a, '1'; NOTIFY b, '2'; NOTIFY a, '3'")) == "123"
    assert told(*several("LISTEN c", "NOTIFY b, '1'", "NOTIFY c, '2'", "NOTIFY a, '3'")) == "123"
    batch = (m.parse(sql) + m.bind() + m.execute() for sql in ("LISTEN d", "NOTIFY a, '1'", "NOTIFY d, '2'"))
    assert told(b"".join(batch) + m.sync()) == "12"
    talk.ask(m.parse("LISTEN e", "hear") + m.sync())
    assert told(m.query("BEGIN"), m.run_prepared("hear"), *several("NOTIFY e, '1'", "NOTIFY a, '2'")[1:]) == "12"
    assert told(*several("UNLISTEN a", "LISTEN f", "NOTIFY b, '1'", "NOTIFY a, '-'", "NOTIFY f, '2'")) == "12"
    assert told(*several("LISTEN a", "UNLISTEN b", "NOTIFY c, '1'", "NOTIFY b, '-'", "NOTIFY a, '2'")) == "12"
    assert (
        told(*several("SAVEPOINT s", "LISTEN g", "ROLLBACK TO s", "LISTEN h", "NOTIFY a, '1'", "NOTIFY h, '2'")) == "12"
    )
    talk.ask(m.query("UNLISTEN *"))


def discarded(talk: Recorder) -> None:
    for forget in (m.query("DISCARD ALL"), m.batch("DISCARD ALL")):
        talk.ask(m.query("LISTEN ear"))
        assert notifications(talk.ask(m.query("NOTIFY ear")))
        talk.ask(m.query("BEGIN"))
        assert sqlstates(talk.ask(forget)) == ["25001"]
        talk.ask(m.query("ROLLBACK"))
        assert notifications(talk.ask(m.query("NOTIFY ear")))
        talk.ask(forget)
        assert not notifications(talk.ask(m.query("NOTIFY ear")))


def odd_names(talk: Recorder) -> None:
    for name in ("UPPER", '"UPPER"', '"with ""quotes"" "', '"grün"', "grün", "b" * 70, '"*"'):
        talk.ask(m.query(f"LISTEN {name}"))
        talk.ask(m.query(f"NOTIFY {name[:63]}, 'x'"))
        talk.ask(m.query("BEGIN"))
        talk.ask(m.query("UNLISTEN something_else"))
        talk.ask(m.query("COMMIT"))
        talk.ask(m.query(f"NOTIFY {name[:63]}, 'y'"))
        talk.ask(m.query(f"UNLISTEN {name}"))
        assert not notifications(talk.ask(m.query(f"NOTIFY {name[:63]}, 'z'")))


def asking_for_channels(talk: Recorder) -> None:
    """Each way of asking; within a block that has begun with something else, docs/transparency.md says what is told."""
    asked = "SELECT * FROM pg_listening_channels() ORDER BY 1"
    talk.ask(m.parse(asked, "channels") + m.sync())
    for change in ("LISTEN b; LISTEN a", "UNLISTEN a", 'LISTEN "grün"', "SELECT 1", "UNLISTEN *"):
        talk.ask(m.query(change))
        for ask in (m.query(asked), m.batch(asked), m.run_prepared("channels")):
            talk.ask(ask)
        talk.ask(m.query("NOTIFY a; NOTIFY b"))


def errors(talk: Recorder) -> None:
    assert sqlstates(talk.ask(m.query("LISTEN"))) == ["42601"]
    assert sqlstates(talk.ask(m.query("LISTEN a b"))) == ["42601"]
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT 1/0"))
    assert sqlstates(talk.ask(m.query("LISTEN ear"))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    talk.ask(m.query("NOTIFY ear, '" + "x" * 8000 + "'"))
    talk.ask(m.query("LISTEN ear"))
    assert len(notifications(talk.ask(m.query("NOTIFY ear, '" + "x" * 7999 + "'")))) == 1


def settings_around_it(talk: Recorder) -> None:
    """What a client has set neither breaks the hand-over nor leaks by it."""
    for sql in (
        "SET search_path = ''",
        "SET statement_timeout = '10s'",
        "SET default_transaction_read_only = on",
        "SET default_transaction_isolation = serializable",
        "SET standard_conforming_strings = off",
        "SET bytea_output = escape",
        "SET client_encoding = latin1",
    ):
        talk.ask(m.query(sql))
    talk.ask(m.query("LISTEN ear"))
    talk.ask(m.query("NOTIFY ear, 'one'"))
    talk.ask(m.query("BEGIN; NOTIFY ear, 'two'; LISTEN other"))
    talk.ask(m.query("COMMIT"))
    talk.ask(m.query("UNLISTEN ear; RESET bytea_output"))
    talk.ask(m.query("NOTIFY ear; NOTIFY other"))


def pinned_as_well(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN before"))
    talk.ask(m.query("CREATE TEMP TABLE listen_temp (a int)"))
    talk.ask(m.query("LISTEN after"))
    for channel in ("before", "after"):
        assert len(notifications(talk.ask(m.query(f"NOTIFY {channel}")))) == 1
    talk.ask(m.query("UNLISTEN *"))
    talk.ask(m.query("NOTIFY before; NOTIFY after"))


PLAYS: list[Play] = [
    own,
    own_within_a_block,
    own_by_functions,
    own_by_a_trigger,
    rolled_back,
    savepoints,
    order_of_listen_and_unlisten,
    many_statements,
    extended_protocol,
    pipelined,
    long_texts,
    undone_by_their_own_text,
    names_in_the_clients_encoding,
    a_copy_that_fails_early,
    listening_unseen_before_a_pipeline,
    pipelined_before_the_first,
    pipelined_copy,
    order_across_channels,
    discarded,
    odd_names,
    asking_for_channels,
    errors,
    settings_around_it,
    pinned_as_well,
]
