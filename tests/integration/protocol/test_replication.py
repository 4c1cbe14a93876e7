"""Replication connections: a walsender of their own behind the proxy, COPY both ways included.

Protocol documentation, "Streaming Replication Protocol".
"""

from __future__ import annotations

import time

import pytest

from tests.support import messages as m
from tests.support.sides import Side
from tests.support.tidegate import wait_until
from tests.support.wire import ServerError, rows, sqlstates

ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query ~ '/. walsender'"
SOON = 3.0  # seconds within which what was cancelled must have ended


def test_identify_system(direct: Side, proxied: Side, churned: None) -> None:
    seen = []
    for side in (direct, proxied):
        with side.login(replication="database") as client:
            for _ in range(2):
                ((system, timeline, _, database),) = rows(client.ask(m.query("IDENTIFY_SYSTEM")))
                seen.append((system, timeline, database))
            assert client.value("SELECT 'plain SQL too'") == "plain SQL too"
    assert len(set(seen)) == 1


def test_stream_of_changes(direct: Side, proxied: Side) -> None:
    """START_REPLICATION answers CopyBothResponse; CopyDone from the client ends it and the session goes on."""
    for side in (direct, proxied):
        with side.login(replication="database") as client:
            position = rows(client.ask(m.query("IDENTIFY_SYSTEM")))[0][2]
            assert position is not None
            client.send(m.query(f"START_REPLICATION PHYSICAL {position.decode()}"))
            assert client.read_until("W")[-1].kind == "W"
            with direct.login() as writer:
                writer.query("CREATE TABLE proto_wal AS SELECT generate_series(1, 1000) AS a")
                writer.query("DROP TABLE proto_wal; SELECT pg_switch_wal()")
            streamed = b""
            while len(streamed) < 10000:
                streamed += client.read_until("d")[-1].body
            client.send(m.copy_done())
            replies = client.read_ready()
            assert "c" in [reply.kind for reply in replies] and not sqlstates(replies)
            assert len(rows(client.ask(m.query("IDENTIFY_SYSTEM")))) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_a_client_that_just_goes(direct: Side, proxied: Side, streaming: bool) -> None:
    """Its walsender goes too."""
    walsenders = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'"
    with direct.login() as watcher:
        for side in (direct, proxied):
            client = side.login(replication="database")
            position = rows(client.ask(m.query("IDENTIFY_SYSTEM")))[0][2]
            assert position is not None
            if streaming:
                client.send(m.query(f"START_REPLICATION PHYSICAL {position.decode()}"))
                client.read_until("W")
            wait_until(lambda: watcher.value(walsenders) == "1", "there is one, and none of another test")
            client.half_close()
            client.read_to_end()
            client.sock.close()
            wait_until(lambda: watcher.value(walsenders) == "0", "the walsender is gone")


@pytest.mark.parametrize("streaming", [False, True])
def test_cancel(direct: Side, proxied: Side, churned: None, streaming: bool) -> None:
    """A CancelRequest reaches the walsender, whose bytes nobody reads on the way: a query ends, so does a stream."""
    for side in (direct, proxied):
        with side.login(replication="database") as client, direct.login() as watcher:
            if streaming:
                position = rows(client.ask(m.query("IDENTIFY_SYSTEM")))[0][2]
                assert position is not None
                client.send(m.query(f"START_REPLICATION PHYSICAL {position.decode()}"))
                client.read_until("W")
            else:
                client.send(m.query("SELECT pg_sleep(20) /* walsender */"))
                while watcher.value(ASLEEP) == "0":
                    time.sleep(0.01)
            began = time.monotonic()
            client.cancel()
            assert sqlstates(client.read_ready()) == ["57014"]
            assert time.monotonic() - began < SOON
            assert client.value("SELECT 'alive'") == "alive"


def test_commands_need_a_replication_connection(direct: Side, proxied: Side) -> None:
    """No other client ever meets a walsender."""
    for side in (direct, proxied):
        for _ in range(side.servers + 1):
            with side.login() as client, pytest.raises(ServerError, match="42601"):
                client.query("IDENTIFY_SYSTEM")


def test_invalid_value(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with pytest.raises(ServerError, match="22023"):
            side.login(replication="perhaps")


def test_several_beside_a_busy_pool(proxied: Side, churned: None) -> None:
    clients = [proxied.login(replication="database") for _ in range(2)]
    for client in clients:
        assert len(rows(client.ask(m.query("IDENTIFY_SYSTEM")))) == 1
    for client in clients:
        client.quit()
