"""LISTEN, NOTIFY and UNLISTEN: heard as directly, whoever has the servers, and nobody keeps one for it."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play, Side
from tests.support.transcript import Recorder
from tests.support.wire import heard, notifications, sqlstates

# Plays of one session, which hears what it sends itself: order and place of every message count.


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
    discarded,
    odd_names,
    asking_for_channels,
    errors,
    settings_around_it,
    pinned_as_well,
]


@pytest.fixture(scope="module")
def listen_rows(direct: Side) -> None:
    with direct.login() as client:
        client.query(
            "CREATE TABLE listen_rows (a int);"
            "CREATE FUNCTION listen_tell() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN PERFORM pg_notify('listen_rows', NEW.a::text); RETURN NEW; END$$;"
            "CREATE TRIGGER tell AFTER INSERT ON listen_rows FOR EACH ROW EXECUTE FUNCTION listen_tell()"
        )


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, listen_rows: None, play: Play) -> None:
    same_as_direct(play)


# What others send.


@pytest.mark.parametrize("channel", ["listen_news", '"Odd Channel"'])
def test_an_idle_client_hears_at_once(direct: Side, proxied: Side, churned: None, channel: str) -> None:
    for side in (direct, proxied):
        with side.login() as listener, side.login() as speaker, direct.login() as outsider:
            listener.query(f"LISTEN {channel}")
            for i in range(5):
                speaker.query(f"NOTIFY {channel}, 'number {i}'")
                outsider.query(f"NOTIFY {channel}, 'outside {i}'")
                assert heard(listener.read())[1:] == (channel.strip('"'), f"number {i}")
                assert heard(listener.read()) == (outsider.pid, channel.strip('"'), f"outside {i}")
            assert not notifications(listener.ask(m.query("SELECT 1")))


def test_a_client_in_a_transaction_hears_behind_it(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with side.login() as listener, side.login() as speaker:
            listener.query("LISTEN listen_news")
            listener.query("BEGIN")
            for i in range(3):
                speaker.query(f"NOTIFY listen_news, '{i}'")
                assert not notifications(listener.ask(m.query("SELECT 1")))
            assert listener.silent(0.1)
            replies = listener.ask(m.query("COMMIT"))
            assert [payload for _, _, payload in notifications(replies)] == ["0", "1", "2"]
            assert [reply.kind for reply in replies] == ["C", "A", "A", "A", "Z"]


def test_never_amid_a_result(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with side.login() as listener, side.login() as speaker:
            listener.query("LISTEN listen_news")
            listener.send(m.query("SELECT repeat('x', 20000), pg_sleep(0.002) FROM generate_series(1, 200)"))
            listener.read_until("D")
            for i in range(20):
                speaker.query(f"NOTIFY listen_news, '{i}'")
            replies = listener.read_ready()
            kinds = "".join(reply.kind for reply in replies).lstrip("D")
            while len(notifications(replies)) < 20:
                replies.append(listener.read())
            assert kinds.startswith("C")
            assert [payload for _, _, payload in notifications(replies)] == [str(i) for i in range(20)]


def test_from_commit_on(direct: Side, proxied: Side, churned: None) -> None:
    """What was sent before LISTEN is committed is not heard, what is sent behind its ReadyForQuery is: every time."""
    with proxied.login() as listener, direct.login() as speaker:
        for i in range(50):
            channel = f"listen_from_{i % 7}"
            speaker.query(f"NOTIFY {channel}, 'early {i}'")
            listener.query(f"LISTEN {channel}")
            speaker.query(f"NOTIFY {channel}, 'late {i}'")
            assert heard(listener.read())[1:] == (channel, f"late {i}")
            listener.query(f"UNLISTEN {channel}")
            speaker.query(f"NOTIFY {channel}, 'too late {i}'")
        assert listener.silent(0.1)


def test_nothing_is_lost_or_doubled_while_channels_are_handed_over(direct: Side, proxied: Side, churned: None) -> None:
    """Somebody speaks all the time; each LISTEN takes up the count, and has it without a gap until UNLISTEN."""
    stop = threading.Event()

    def speak() -> None:
        with direct.login() as speaker:
            count = 0
            while not stop.is_set():
                speaker.query(f"NOTIFY listen_count, '{count}'")
                count += 1

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        with proxied.login() as listener, proxied.login() as other:
            for turn in range(15):
                replies = listener.ask(m.query("LISTEN listen_count"))
                if turn % 2:
                    replies += other.ask(m.query("LISTEN listen_count"))[:0]
                for _ in range(5):
                    replies += listener.ask(m.query("SELECT 1"))
                for _ in range(20):
                    replies.append(listener.read())
                replies += listener.ask(m.query("LISTEN listen_too; LISTEN listen_count"))
                replies += listener.ask(m.query("BEGIN; UNLISTEN listen_count; SELECT 1"))
                replies += listener.ask(m.query("ROLLBACK"))
                for _ in range(20):
                    replies.append(listener.read())
                replies += listener.ask(m.query("UNLISTEN *"))
                counts = [int(payload) for _, _, payload in notifications(replies)]
                assert counts == list(range(counts[0], counts[0] + len(counts)))
                assert len(counts) > 40
    finally:
        stop.set()
        thread.join()


def test_many_clients_on_few_servers(direct: Side, proxied: Side, churned: None) -> None:
    """Each hears its own channel and the common one, while all of them work: more of them than there are servers."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(proxied.login()) for _ in range(4 * proxied.servers)]
        for number, client in enumerate(clients):
            client.query(f"LISTEN listen_{number}")
            client.query("LISTEN listen_all")
        for turn in range(5):
            for number, client in enumerate(clients):
                replies = client.ask(m.query(f"NOTIFY listen_{number}, '{turn}'"))
                assert notifications(replies) == [(client.pid, f"listen_{number}", str(turn))]
            clients[turn].query("BEGIN; NOTIFY listen_all, 'x'; SELECT 1; COMMIT")
            for client in clients[:turn] + clients[turn + 1 :]:
                assert heard(client.read())[1:] == ("listen_all", "x")


def test_whoever_is_not_the_sender_never_takes_it_for_its_own(direct: Side, proxied: Side, churned: None) -> None:
    """Servers go from one that only speaks to those that listen, with what it said still on the way."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(proxied.login()) for _ in range(proxied.servers)]
        speakers = [stack.enter_context(proxied.login()) for _ in range(3)]
        for listener in listeners:
            listener.query("LISTEN listen_pid")
        for i in range(60):
            speakers[i % 3].send(m.query(f"NOTIFY listen_pid, 'n{i}'"))
            for listener in listeners:
                listener.send(m.query("SELECT 1"))
            speakers[i % 3].read_ready()
            for listener in listeners:
                replies = listener.read_ready()
                while not notifications(replies):
                    replies.append(listener.read())
                ((pid, _, payload),) = notifications(replies)
                assert payload == f"n{i}" and pid != listener.pid


def test_other_encodings(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with side.login(client_encoding="LATIN1") as listener, side.login() as speaker:
            listener.send(m.message("Q", 'LISTEN "grün"'.encode("latin-1") + b"\0"))
            listener.read_ready()
            speaker.query("NOTIFY \"grün\", 'blüht'")
            assert listener.read().body[4:] == "grün\0blüht\0".encode("latin-1")
            listener.query("SET client_encoding = UTF8")
            speaker.query("NOTIFY \"grün\", 'blüht'")
            assert heard(listener.read())[1:] == ("grün", "blüht")
