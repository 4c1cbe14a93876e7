"""How a session ends: Terminate, half-close, silence in the middle, and what the proxy makes of the server.

Broken sockets in every state are in tests/faults; these are the orderly ends.
"""

from __future__ import annotations

import time

import pytest

from tests.support import messages as m
from tests.support.sides import Side, all_servers_held
from tests.support.transcript import normalise
from tests.support.wire import rows

LAST_WORDS = {
    "a query": m.query("SELECT 'last'"),
    "a pipeline": m.batch("SELECT 'last'") + m.batch("SELECT 'very last'"),
    "a query and Terminate": m.query("SELECT 'last'") + m.terminate(),
    "a transaction left open": m.query("BEGIN") + m.query("SELECT 'last'"),
    "an error": m.query("SELECT 1/0"),
    "a batch without Sync": m.parse("SELECT 1") + m.bind() + m.execute() + m.flush(),
    "half a message": m.query("SELECT 'last'") + m.query("SELECT 'never'")[:7],
    "nothing": b"",
}


@pytest.mark.parametrize("sent", LAST_WORDS.values(), ids=LAST_WORDS.keys())
def test_half_close(direct: Side, proxied: Side, sent: bytes) -> None:
    """What a client said before its FIN is answered, then the session ends.

    Without churn: who has to queue for a server is taken for gone by its FIN.
    """
    with proxied.login() as first:
        first.query("SELECT 1")

    def end(side: Side) -> object:
        client = side.login()
        client.send(sent)
        client.half_close()
        replies = client.read_to_end()
        client.sock.close()
        return normalise(replies)

    expected = end(direct)
    for _ in range(3):
        assert end(proxied) == expected


def test_half_close_while_queued(direct: Side, proxied: Side) -> None:
    """A FIN in the queue counts as having gone: nothing that was sent runs, and nothing is answered."""
    with all_servers_held(proxied) as holders:
        client = proxied.login()
        client.send(m.query("INSERT INTO proto_scratch VALUES (1)"))
        assert client.silent(0.1), "it has not been queued"
        client.half_close()
        assert client.read_to_end() == []
        client.sock.close()
        for holder in holders:
            holder.query("COMMIT")
    with direct.login() as watcher:
        assert watcher.value("SELECT count(*) FROM proto_scratch") == "0"


def test_half_close_during_a_long_query(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        client = side.login()
        client.send(m.query("SELECT 'patient' FROM pg_sleep(0.5)"))
        client.half_close()
        assert rows(client.read_to_end()) == [(b"patient",)]
        client.sock.close()


def test_terminate_ends_the_session(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        client = side.login()
        client.send(m.terminate())
        assert client.read_to_end() == []
        client.sock.close()


def test_terminate_while_queued(direct: Side, proxied: Side) -> None:
    """Who gives up in the queue takes no server and leaves no trace."""
    holders = [proxied.login() for _ in range(proxied.servers)]
    for holder in holders:
        holder.query("BEGIN")
    leavers = [proxied.login() for _ in range(3)]
    for leaver in leavers:
        leaver.send(m.query("INSERT INTO proto_scratch VALUES (1)"))
        leaver.quit()
    time.sleep(0.1)
    for holder in holders:
        holder.query("COMMIT")
        holder.quit()
    with proxied.login() as client:
        assert client.value("SELECT 1") == "1"
    with direct.login() as client:
        assert client.value("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") == "0"


COPY_IN = m.parse("COPY proto_scratch FROM STDIN") + m.bind() + m.execute() + m.sync() + m.copy_data(b"1\n")
"""The server reads this Sync as part of the COPY."""

UNENDED = {
    "amid the data": COPY_IN,
    "after CopyDone": COPY_IN + m.copy_done(),
    "after CopyFail": COPY_IN + m.copy_fail("changed my mind"),
    "after bad data": COPY_IN + m.copy_data(b"x\n") + m.copy_done(),
    "in the second of two": COPY_IN + m.copy_done() + m.sync() + COPY_IN + m.copy_done(),
}


@pytest.mark.parametrize("rest", [b"", b"\0\0\0\0\0"], ids=["left", "refused"])
@pytest.mark.parametrize("sent", UNENDED.values(), ids=UNENDED.keys())
def test_a_copy_without_its_sync(direct: Side, proxied: Side, sent: bytes, rest: bytes) -> None:
    """Whoever leaves before the Sync that follows a COPY has copied nothing, and its server is lent again."""
    for side in (direct, proxied):
        with direct.login() as watcher:
            watcher.query("TRUNCATE proto_scratch")
        leavers = [side.login() for _ in range(side.servers)]
        for leaver in leavers:
            leaver.send(sent + rest)
            leaver.half_close()
        for leaver in leavers:
            leaver.read_to_end()
            leaver.sock.close()
        others = [side.login() for _ in range(side.servers)]
        for other in others:
            other.query("BEGIN")
        expected = "5" if sent.count(b"COPY") == 2 else "0"
        assert others[0].value("SELECT count(*) FROM proto_scratch") == expected
        for other in others:
            other.quit()


def test_open_transaction_of_a_leaver_is_rolled_back(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        client = side.login()
        client.query("BEGIN")
        client.query("INSERT INTO proto_scratch VALUES (1)")
        client.quit()
        with side.login() as next_one:
            assert next_one.value("SELECT count(*) FROM proto_scratch") == "0"
        with direct.login() as watcher:
            deadline = time.monotonic() + 3
            while watcher.value("SELECT count(*) FROM pg_locks WHERE relation = 'proto_scratch'::regclass") != "0":
                assert time.monotonic() < deadline, "the leaver's transaction is still open"
                time.sleep(0.02)
