"""CancelRequest: stops this client's query, wherever it runs or waits, and nobody else's.

Protocol documentation, "Canceling Requests in Progress".
"""

from __future__ import annotations

import secrets
import threading
import time

import pytest

from tests.support import messages as m
from tests.support.asleep import when_asleep
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Side, all_servers_held
from tests.support.transcript import Recorder
from tests.support.wire import RawClient, rows, send_cancel, sqlstates

SOON = 3.0  # seconds within which a cancelled query of 20 s must have ended
SLEEP = m.query("SELECT pg_sleep(20)")


def cancel_when_running(client: RawClient, watcher: RawClient, mark: str) -> None:
    """Cancel once pg_stat_activity shows the query with this comment asleep."""
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%{mark}%'"
    deadline = time.monotonic() + 5
    while watcher.value(sql) == "0":
        assert time.monotonic() < deadline, "the query never began"
        time.sleep(0.01)
    client.cancel()


def test_own_query(same_as_direct: Compare, direct: Side) -> None:
    def play(talk: Recorder) -> None:
        mark = secrets.token_hex(8)
        with direct.login() as watcher:
            for sent in (m.query(f"SELECT pg_sleep(20) /* {mark} */"), m.batch(f"SELECT pg_sleep(20) /* {mark} */")):
                talk.send(sent)
                cancel_when_running(talk.client, watcher, mark)
                began = time.monotonic()
                assert sqlstates(talk.hear()) == ["57014"]
                assert time.monotonic() - began < SOON
                talk.ask(m.query("SELECT 'alive'"))

    same_as_direct(play)


def test_inside_a_transaction(same_as_direct: Compare, direct: Side) -> None:
    def play(talk: Recorder) -> None:
        mark = secrets.token_hex(8)
        talk.ask(m.query("BEGIN"))
        with direct.login() as watcher:
            talk.send(m.query(f"SELECT pg_sleep(20) /* {mark} */"))
            cancel_when_running(talk.client, watcher, mark)
        assert sqlstates(talk.hear()) == ["57014"]
        assert talk.client.status == "E"
        talk.ask(m.query("ROLLBACK"))

    same_as_direct(play)


def test_rest_of_a_pipeline_goes_on(same_as_direct: Compare, direct: Side) -> None:
    """Only the running part of a pipeline is cancelled; the part behind the next Sync runs."""

    def play(talk: Recorder) -> None:
        mark = secrets.token_hex(8)
        with direct.login() as watcher:
            talk.send(m.batch(f"SELECT pg_sleep(20) /* {mark} */"), m.batch("SELECT 'second'"))
            cancel_when_running(talk.client, watcher, mark)
        replies = talk.hear(count=2)
        assert sqlstates(replies) == ["57014"] and rows(replies) == [(b"second",)]

    same_as_direct(play)


def test_copy_in(same_as_direct: Compare) -> None:
    def play(talk: Recorder) -> None:
        talk.send(m.query("COPY proto_scratch FROM STDIN"))
        talk.hear("G")
        talk.client.cancel()
        talk.client.send(m.copy_data(b"1\n"))
        # Not recorded: whether the error's context names the line depends on how far the server had read.
        assert sqlstates(talk.client.read_ready()) == ["57014"]
        talk.send(m.copy_data(b"2\n"), m.copy_done())
        talk.ask(m.query("SELECT count(*) FROM proto_scratch"))

    same_as_direct(play)


def test_only_the_named_client(postgres: Postgres, direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.login() as victim, side.login() as other:
            mark = f"victim {side.name}"
            victim.send(m.query(f"SELECT pg_sleep(20) /* {mark} */"))
            other.send(m.query("SELECT pg_sleep(1), 'whole'"))
            when_asleep(postgres, mark, victim.cancel)
            assert sqlstates(victim.read_ready()) == ["57014"]
            assert rows(other.read_ready()) == [(b"", b"whole")]


def test_idle_client(direct: Side, proxied: Side, churned: None) -> None:
    """A request that comes when nothing runs is lost; it doesn't wait for the next query."""
    for side in (direct, proxied):
        with side.login() as client:
            client.query("SELECT 1")
            for _ in range(5):
                client.cancel()
                time.sleep(0.02)
                assert client.value("SELECT 'done' FROM pg_sleep(0.05)") == "done"


def test_idle_client_whose_old_server_works_for_another(proxied: Side) -> None:
    """The server that ran this client's last query runs another client's now: that one is none of its business."""
    with proxied.login() as idle:
        idle.query("SELECT 1")
        others = [proxied.login() for _ in range(proxied.servers)]
        for other in others:
            other.send(m.query("SELECT 'whole' FROM pg_sleep(0.7)"))
        time.sleep(0.2)
        for _ in range(5):
            idle.cancel()
        for other in others:
            assert rows(other.read_ready()) == [(b"whole",)]
            other.quit()


@pytest.mark.parametrize("sent", [m.query("SELECT 1"), m.batch("SELECT 1")], ids=["simple", "extended"])
def test_queued_client(proxied: Side, sent: bytes) -> None:
    """Who waits for a server leaves the queue with 57014, stays connected and may ask again."""
    with proxied.login() as queued:
        with all_servers_held(proxied):
            queued.send(sent)
            assert queued.silent(0.2)
            queued.cancel()
            assert sqlstates(queued.read_ready()) == ["57014"]
            assert queued.status == "I"
        assert queued.value("SELECT 2") == "2"


def test_queued_pipeline(proxied: Side) -> None:
    """What stands behind the cancelled part's Sync is still to be done."""
    with proxied.login() as queued:
        with all_servers_held(proxied):
            queued.send(m.batch("SELECT 'first'"), m.batch("SELECT 'second'"))
            assert queued.silent(0.2)
            queued.cancel()
            assert sqlstates(queued.read_ready()) == ["57014"]
        assert rows(queued.read_ready()) == [(b"second",)]


def test_wrong_keys(proxied: Side) -> None:
    """Neither a guessed key, nor a shortened or lengthened one, cancels anything."""
    for protocol in (m.PROTOCOL_3_0, m.PROTOCOL_3_2):
        with proxied.login(protocol=protocol) as client:
            client.send(m.query("SELECT 'whole' FROM pg_sleep(0.6)"))
            time.sleep(0.1)
            flipped = bytes([client.key[0] ^ 1]) + client.key[1:]
            shortened = (client.key[:4], client.key[:-1], b"")
            for key in (flipped, *shortened, client.key + b"\0", client.key[:4] + bytes(28), b"\0" * 256):
                if key != client.key:
                    send_cancel(client.host, client.port, client.pid, key)
            send_cancel(client.host, client.port, client.pid ^ 0x7FFFFFFF, client.key)
            assert rows(client.read_ready()) == [(b"whole",)]


def test_long_key(postgres: Postgres, proxied: Side) -> None:
    with proxied.login(protocol=m.PROTOCOL_3_2) as client:
        client.send(m.query("SELECT pg_sleep(20) /* long key */"))
        when_asleep(postgres, "long key", client.cancel)
        assert sqlstates(client.read_ready()) == ["57014"]


def test_keys_are_the_clients_own(proxied: Side) -> None:
    """Sessions that share servers share no key."""
    clients = [proxied.login() for _ in range(3 * proxied.servers)]
    assert len({(client.pid, client.key) for client in clients}) == len(clients)
    for client in clients:
        client.quit()


def test_storm_of_cancels_hits_only_its_aim(proxied: Side) -> None:
    """Cancels that race with the end of their query, while the servers change hands all the time.

    More bystanders than servers run short queries; none of them may ever see 57014.
    """
    stop = threading.Event()
    failures: list[str] = []

    def bystander() -> None:
        with proxied.login() as client:
            while not stop.is_set():
                failures.extend(sqlstates(client.ask(m.query("SELECT count(*) FROM pg_sleep(0.001)"))))

    threads = [threading.Thread(target=bystander) for _ in range(2 * proxied.servers)]
    for thread in threads:
        thread.start()
    seen = set()
    try:
        with proxied.login() as target:
            for attempt in range(150):
                target.send(m.query("SELECT count(*) FROM pg_sleep(0.002)"))
                time.sleep(0.0005 * (attempt % 8))
                target.cancel()
                seen.update(sqlstates(target.read_ready()))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert seen <= {"57014"}
