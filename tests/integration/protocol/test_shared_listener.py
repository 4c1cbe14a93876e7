"""The connection on which a worker listens for its clients: what it costs, when it comes and goes, who is told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side, all_servers_held
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, heard, notifications
from tidegate.proxy.keys import worker_of

# What it costs, and what is left.


ALONE = "listen_alone"
LISTENERS = f"pg_stat_activity WHERE application_name = 'tidegate' AND datname = '{ALONE}'"


@pytest.fixture(scope="module")
def quiet_database(postgres: Postgres, wire_role: str) -> str:
    """One in which nobody listens for another test."""
    postgres.sql(f"CREATE DATABASE {ALONE} OWNER {wire_role}")
    return ALONE


@pytest.fixture
def alone(postgres: Postgres, quiet_database: str) -> Iterator[Proxy]:
    with Proxy(postgres, target={"max_connections": 2}) as proxy:
        yield proxy


def side_of(proxy: Proxy, servers: int = 2) -> Side:
    return Side("alone", proxy.host, proxy.port, "wire", "wire", ALONE, servers)


def listening(postgres: Postgres) -> int:
    """How many shared listeners are connected."""
    (row,) = postgres.sql(f"SELECT count(*) FROM {LISTENERS}")
    return int(row[0])


def test_no_pin_and_nothing_left_on_servers(postgres: Postgres, alone: Proxy) -> None:
    side = side_of(alone)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(side.login()) for _ in range(8)]
        for number, client in enumerate(clients):
            client.query(f"BEGIN; LISTEN one_{number}; LISTEN everyone; COMMIT")
        with all_servers_held(side) as holders:
            for holder in holders:
                assert holder.value("SELECT count(*) FROM pg_listening_channels()") == "0"
            for client in clients:
                assert client.silent(0.01)
        stats = alone.stats()
        assert stats["pins"] == 0 and stats["clients_pinned"] == 0
        assert stats["servers_held"] <= 2
        assert listening(postgres) == 1
        clients[0].query("NOTIFY everyone")
        for client in clients[1:]:
            assert heard(client.read())[1] == "everyone"
        stats = alone.stats()
        assert stats["listeners_opened"] == 1 and stats["listeners_lost"] == 0
        assert stats["notifications"] == 1 and stats["notifications_sent"] == 8


@pytest.mark.parametrize("end", ["quit", "reset", "half_close"])
def test_the_listener_goes_with_the_last_client(postgres: Postgres, alone: Proxy, end: str) -> None:
    side = side_of(alone)
    first, last = side.login(), side.login()
    for client in (first, last):
        client.query("LISTEN ear")
    getattr(first, end)()
    with side.login() as speaker:
        speaker.query("NOTIFY ear")
        assert heard(last.read())[1] == "ear"
    assert listening(postgres) == 1
    getattr(last, end)()
    wait_until(lambda: listening(postgres) == 0, "nobody listens", 12)
    with side.login() as again:
        again.query("LISTEN ear")
        assert notifications(again.ask(m.query("NOTIFY ear")))


def test_leaving_amid_a_hand_over(postgres: Postgres, alone: Proxy) -> None:
    side = side_of(alone)
    for number in range(40):
        client = side.login()
        client.send(m.query("LISTEN ear") if number % 2 else m.query("BEGIN; LISTEN ear; SELECT 1; COMMIT"))
        if number % 3:
            client.silent(0.001)
        client.reset() if number % 4 else client.quit()
    with all_servers_held(side) as holders:
        for holder in holders:
            assert holder.value("SELECT count(*) FROM pg_listening_channels()") == "0"
    wait_until(lambda: alone.stats()["clients"] == 0, "all have gone")


# The listener's connection.


def lose_listener(postgres: Postgres) -> None:
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM {LISTENERS}")


def test_clients_are_told_of_a_lost_listener(postgres: Postgres, alone: Proxy) -> None:
    side = side_of(alone)
    with side.login() as idle, side.login() as busy, side.login() as speaker:
        idle.query("LISTEN ear")
        busy.query("LISTEN ear")
        busy.query("BEGIN")
        lose_listener(postgres)
        notice = idle.read()
        assert notice.kind == "N" and b"C01T01\0" in notice.body and b"VWARNING\0" in notice.body
        speaker.query("NOTIFY ear, 'again'")
        assert heard(idle.read())[1:] == ("ear", "again")
        assert [reply.kind for reply in busy.ask(m.query("COMMIT"))] == ["C", "N", "A", "Z"]
        assert alone.stats()["listeners_lost"] == 1
        idle.query("LISTEN other")
        assert len(notifications(idle.ask(m.query("NOTIFY other; NOTIFY ear")))) == 2


def test_without_a_listener_a_client_keeps_its_server(postgres: Postgres, wire_role: str) -> None:
    """The role may have no more connections than the pool's: the client's own server listens for it then."""
    postgres.sql("DROP ROLE IF EXISTS listen_few")
    postgres.add_role("listen_few", "CONNECTION LIMIT 2")
    postgres.sql("GRANT CONNECT ON DATABASE wire TO listen_few")
    users = [{"name": "listen_few", "password": "listen_few"}]
    with Proxy(postgres, target={"max_connections": 2, "user": "listen_nobody"}, users=users) as proxy:
        side = Side("few", proxy.host, proxy.port, "listen_few", "listen_few", "wire", 2)
        with side.login() as client, side.login() as other:
            other.query("BEGIN")
            client.query("LISTEN ear")
            assert proxy.stats()["pins_listen"] == 1
            other.query("NOTIFY ear, 'x'; COMMIT")
            assert heard(client.read())[1:] == ("ear", "x")
            assert len(notifications(client.ask(m.query("NOTIFY ear")))) == 1
            client.query("UNLISTEN *")
            assert not notifications(client.ask(m.query("NOTIFY ear")))


def test_session_mode_listens_itself(postgres: Postgres, quiet_database: str) -> None:
    with Proxy(postgres, target={"max_connections": 2}, proxy={"pool_mode": "session"}) as proxy:
        side = side_of(proxy)
        with side.login() as listener, side.login() as speaker:
            listener.query("LISTEN ear")
            speaker.query("NOTIFY ear")
            assert heard(listener.read())[1] == "ear"
            assert listening(postgres) == 0


def test_several_workers(postgres: Postgres, quiet_database: str) -> None:
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": 2}) as proxy:
        side = side_of(proxy, 4)
        with contextlib.ExitStack() as stack:
            clients: list[RawClient] = []
            while len(clients) < 12 or len({worker_of(client.pid) for client in clients}) < 2:
                clients.append(stack.enter_context(side.login()))
            for client in clients:
                client.query("LISTEN ear")
            for speaker in clients:
                replies = speaker.ask(m.query("NOTIFY ear"))
                assert notifications(replies) == [(speaker.pid, "ear", "")]
                for client in clients:
                    if client is not speaker:
                        pid, channel, _ = heard(client.read())
                        assert channel == "ear" and pid != client.pid
            assert listening(postgres) == 2


def test_psycopg_and_its_notices(postgres: Postgres, alone: Proxy) -> None:
    notices: list[str | None] = []
    with psycopg.connect(side_of(alone).url(), autocommit=True) as client:
        client.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
        client.execute("LISTEN ear")
        with side_of(alone).login() as speaker:
            speaker.query("NOTIFY ear, 'one'")
            speaker.query("NOTIFY ear, 'two'")
        assert [one.payload for one in client.notifies(timeout=5, stop_after=2)] == ["one", "two"]
        lose_listener(postgres)
        deadline = time.monotonic() + 5
        while not notices and time.monotonic() < deadline:
            list(client.notifies(timeout=0.1))
        assert notices == ["01T01"]


HIDDEN = {
    "block": ("", "DO $$BEGIN LISTEN unseen; END$$"),
    "function": (
        "CREATE OR REPLACE FUNCTION hear() RETURNS void LANGUAGE plpgsql AS $$BEGIN LISTEN unseen; END$$",
        "SELECT hear()",
    ),
    "computed": (
        "CREATE OR REPLACE FUNCTION hear() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'LISTEN unseen'; END$$",
        "SELECT hear()",
    ),
}


@pytest.mark.parametrize(("made", "sql"), HIDDEN.values(), ids=HIDDEN)
def test_listen_that_code_hides(alone: Proxy, made: str, sql: str) -> None:
    side = side_of(alone)
    with side.login() as client, side.login() as other:
        if made:
            other.query(made)
        client.query(sql)
        assert client.value("SELECT 1") == "1"
        with all_servers_held(side) as holders:
            for holder in holders:
                assert holder.value("SELECT count(*) FROM pg_listening_channels()") == "0"
        other.query("NOTIFY unseen, 'seen'")
        assert heard(client.read())[1:] == ("unseen", "seen")
        client.query("UNLISTEN unseen")
        other.query("NOTIFY unseen, 'again'")
        assert client.silent(0.05)
        assert alone.stats()["clients_pinned"] == 0
