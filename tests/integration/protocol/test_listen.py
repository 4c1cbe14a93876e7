"""LISTEN, NOTIFY and UNLISTEN: heard as directly, whoever has the servers, and nobody keeps one for it."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.integration.protocol.listen_plays import PLAYS
from tests.support import messages as m
from tests.support.sides import Compare, Play, Side, record
from tests.support.transcript import Recorder
from tests.support.wire import heard, notifications


@contextlib.contextmanager
def somebody_speaks(side: Side, say: Callable[[int], str]) -> Iterator[None]:
    """In a session of its own and without a pause, all the time: what `say` makes of 0, 1, 2, ..."""
    stop = threading.Event()

    def speak() -> None:
        with side.login() as speaker:
            for count in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
                speaker.query(say(count))

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def listen_rows(direct: Side) -> None:
    with direct.login() as client:
        client.query(
            "CREATE TABLE listen_rows (a int); CREATE TABLE listen_copied (a int);"
            "CREATE FUNCTION listen_tell() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN PERFORM pg_notify('listen_rows', NEW.a::text); RETURN NEW; END$$;"
            "CREATE TRIGGER tell AFTER INSERT ON listen_rows FOR EACH ROW EXECUTE FUNCTION listen_tell()"
        )


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, listen_rows: None, play: Play) -> None:
    same_as_direct(play)


def test_pipelined_behind_a_reset(direct: Side, proxied: Side, listen_rows: None, churned: None) -> None:
    """Which is answered in two parts where the client has settings from its start."""

    def play(talk: Recorder) -> None:
        talk.ask(m.query("SET work_mem = '7MB'"))
        talk.ask(m.query("RESET ALL") + m.query("LISTEN ear"), count=2)
        talk.ask(m.query("RESET ALL") + m.query("SELECT 1") + m.query("NOTIFY ear"), count=3)

    for _ in range(3):
        assert record(proxied, play, work_mem="5MB") == record(direct, play, work_mem="5MB")


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
    with (
        somebody_speaks(direct, lambda count: f"NOTIFY listen_count, '{count}'"),
        proxied.login() as listener,
        proxied.login() as other,
    ):
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


def test_order_while_channels_are_handed_over(direct: Side, proxied: Side, churned: None) -> None:
    """Somebody speaks in turn on two channels; one is listened to all the time, the other now and then."""

    def say(count: int) -> str:
        return f"NOTIFY listen_always, '{2 * count}'; NOTIFY listen_at_times, '{2 * count + 1}'"

    with somebody_speaks(direct, say), proxied.login() as listener:
        replies = listener.ask(m.query("LISTEN listen_always"))
        for turn in range(60):
            listening = [m.query(sql) for sql in (("BEGIN", "LISTEN listen_at_times", "COMMIT") if turn % 2 else ())]
            for part in listening or [m.query("LISTEN listen_at_times")]:
                replies += listener.ask(part)
            replies += [listener.read() for _ in range(10)]
            replies += listener.ask(m.query("UNLISTEN listen_at_times"))
        counts = [int(payload) for _, _, payload in notifications(replies)]
        assert counts == sorted(set(counts))
        assert set(counts) >= set(range(counts[0] + counts[0] % 2, counts[-1], 2)), "none of the one is lost"
        assert sum(count % 2 for count in counts) > 60


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
