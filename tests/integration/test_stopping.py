"""Stopping the real proxy while it serves: who may finish, who is told what, what is left at the database."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_gone, wait_until
from tests.support.wire import ConnectionEnded, RawClient, sqlstates, tags
from tidegate.proxy.keys import worker_of

CLIENTS = 50
LIMIT = 10
WORKERS = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture(autouse=True)
def clean_table(direct: Side) -> Iterator[None]:
    with direct.login() as client:
        client.query("DROP TABLE IF EXISTS stopping; CREATE TABLE stopping (client int, part int)")
    yield
    with direct.login() as client:
        client.query("DROP TABLE stopping")


def refused(proxy_port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", proxy_port), 5).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def told(client: RawClient) -> list[str]:
    """SQLSTATEs with which the proxy ends a session that says nothing more."""
    return sqlstates(client.read_to_end())


@dataclass
class Load:
    """Clients that run transactions of two parts until they are told to leave; who committed what.

    `ends`: whether a transaction was open, and the SQLSTATEs of that moment. A connection that is reset, or closed
    without a word, is an error of the thread and leaves its end out.
    """

    side: Side
    committed: list[int] = field(default_factory=list)
    ends: list[tuple[bool, list[str]]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        for number in range(clients):
            thread = threading.Thread(target=self.work, args=(number,), daemon=True)
            self.threads.append(thread)
            thread.start()
        wait_until(lambda: len(set(self.committed)) == clients, "everybody works")

    def work(self, number: int) -> None:
        client = self.side.login()
        began = False
        try:
            while True:
                began = False
                client.query("BEGIN")
                began = True
                client.query(f"INSERT INTO stopping VALUES ({number}, 1)")
                client.query("SELECT pg_sleep(0.02)")
                client.query(f"INSERT INTO stopping VALUES ({number}, 2)")
                assert tags(client.ask(m.query("COMMIT"))) == ["COMMIT"]
                self.committed.append(number)
        except ConnectionEnded as end:
            self.ends.append((began, sqlstates(end.received)))

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


@WORKERS
def test_under_load(postgres: Postgres, direct: Side, workers: int) -> None:
    """50 clients: each transaction that began is committed whole, each client hears 57P01 between two of them."""
    with Proxy(postgres, target={"max_connections": LIMIT}, top={"workers": workers}) as proxy:
        pids, port = proxy.workers(), proxy.port
        load = Load(proxied_side(proxy, LIMIT))
        load.start(CLIENTS)
        assert proxy.stop(signal.SIGTERM, 20) == 0
        assert postgres.backends(USER) == [], "no server connection is left when the proxy has ended"
        load.join()
        wait_gone(pids)
        assert refused(port)
    assert load.ends == [(False, ["57P01"])] * CLIENTS
    with direct.login() as client:
        rows = client.query("SELECT count(*) FILTER (WHERE part = 1), count(*) FILTER (WHERE part = 2) FROM stopping")
    count = str(len(load.committed)).encode()
    assert rows == [(count, count)]


@WORKERS
def test_who_may_finish_and_who_may_not(postgres: Postgres, wire_role: str, workers: int) -> None:
    """A running statement, an open transaction, a batch without its Sync finish; idle, waiting and new ones do not."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": workers}) as proxy:
        side, port = proxied_side(proxy, 4), proxy.port
        idle, pinned, waiting = (side.login() for _ in range(3))
        statement, open_one, batch = (side.login() for _ in range(3))
        idle.query("SELECT 1")
        pinned.query("CREATE TEMP TABLE stopping_temp (a int)")
        statement.send(m.query("SELECT pg_sleep(1.5)"))
        open_one.query("BEGIN")
        batch.send(m.parse("SELECT 7"), m.bind(), m.execute(), m.flush())
        batch.read_until("C")
        waiting.send(m.query("SELECT 1"))
        time.sleep(0.3)
        os.kill(proxy.pid, signal.SIGTERM)
        assert told(idle) == told(pinned) == told(waiting) == ["57P01"]
        wait_until(lambda: refused(port), "nobody is let in")
        assert tags(statement.read_ready()) == ["SELECT 1"]
        batch.send(m.sync())
        assert batch.read().kind == "Z"
        open_one.query("INSERT INTO stopping VALUES (0, 0)")
        assert tags(open_one.ask(m.query("COMMIT"))) == ["COMMIT"]
        assert told(statement) == told(batch) == told(open_one) == ["57P01"]
        assert proxy.wait() == 0
        assert postgres.backends(USER) == []


LATE: dict[str, list[bytes]] = {
    "in a transaction": [m.query("BEGIN"), m.query("INSERT INTO stopping VALUES (1, 1)")],
    "in a statement": [m.query("BEGIN"), m.query("INSERT INTO stopping VALUES (1, 1)"), m.query("SELECT pg_sleep(60)")],
    "in COPY": [m.query("COPY stopping FROM STDIN"), m.copy_data(b"1\t1\n")],
    "pinned": [m.query("CREATE TEMP TABLE stopping_temp (a int)"), m.query("BEGIN")],
}


@pytest.mark.parametrize("sent", LATE.values(), ids=LATE.keys())
def test_who_is_late(postgres: Postgres, direct: Side, sent: list[bytes]) -> None:
    """At the limit the rest are told and closed; what they had open is undone, and no statement runs on."""
    with Proxy(postgres, target={"max_connections": 3}, top={"shutdown_timeout": 1}) as proxy:
        side = proxied_side(proxy, 3)
        late = side.login()
        for message in sent[:-1]:
            late.ask(message) if message[:1] == b"Q" and b"COPY" not in message else late.send(message)
        late.send(sent[-1])
        time.sleep(0.2)
        began = time.monotonic()
        assert proxy.stop() == 0
        assert 0.9 <= time.monotonic() - began < 4
        assert told(late)[-1:] == ["57P01"]
        assert postgres.backends(USER) == []
    with direct.login() as client:
        assert client.value("SELECT count(*) FROM stopping") == "0"


def test_a_client_that_does_not_read(postgres: Postgres, wire_role: str) -> None:
    """It can't be told; its server is closed all the same, in the middle of its result."""
    with Proxy(postgres, top={"shutdown_timeout": 1}) as proxy, proxied_side(proxy).login() as deaf:
        deaf.send(m.query("SELECT repeat('x', 100000) FROM generate_series(1, 2000)"))
        time.sleep(0.3)
        assert proxy.stop() == 0
        assert postgres.backends(USER) == []


def test_interrupt(postgres: Postgres, wire_role: str) -> None:
    """Ctrl-C: as SIGTERM, with five seconds at most."""
    with Proxy(postgres, target={"max_connections": 2}, top={"shutdown_timeout": 60}) as proxy:
        side = proxied_side(proxy, 2)
        with side.login() as quick, side.login() as slow, side.login() as idle:
            quick.query("BEGIN")
            slow.query("BEGIN")
            began = time.monotonic()
            os.kill(proxy.pid, signal.SIGINT)
            assert told(idle) == ["57P01"]
            quick.query("COMMIT")
            assert told(quick) == told(slow) == ["57P01"]
            assert 4.5 <= time.monotonic() - began < 9
            assert proxy.wait() == 0
        assert postgres.backends(USER) == []


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@WORKERS
def test_a_second_signal(postgres: Postgres, wire_role: str, second: signal.Signals, workers: int) -> None:
    """Everything is closed now, in good order."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, 4)
        clients = [side.login() for _ in range(4)]
        for client in clients:
            client.query("BEGIN")
        clients[0].send(m.query("SELECT pg_sleep(60)"))
        os.kill(proxy.pid, signal.SIGTERM)
        wait_until(lambda: "stopping" in proxy.stderr(), "it stops")
        time.sleep(0.2)
        began = time.monotonic()
        os.kill(proxy.pid, second)
        assert [told(client) for client in clients] == [["57P01"]] * 4
        assert proxy.wait() == 0
        assert time.monotonic() - began < 4
        assert postgres.backends(USER) == []


def test_a_worker_that_dies_while_stopping(postgres: Postgres, wire_role: str) -> None:
    """It is not started again; the other's transactions finish; the exit status says that it was asked for."""
    with Proxy(postgres, target={"max_connections": 8}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy, 8)
        clients = [side.login() for _ in range(8)]
        while len({worker_of(client.pid) for client in clients}) == 1:  # the kernel spreads them as it likes
            clients.pop().quit()
            clients.append(side.login())
        for client in clients:
            client.query("BEGIN")
        os.kill(proxy.pid, signal.SIGTERM)
        wait_until(lambda: "stopping" in proxy.stderr(), "it stops")
        proxy.kill_worker(0)
        alive = [client for client in clients if answers(client)]
        for client in alive:
            client.query("COMMIT")
        assert proxy.wait() == 0
        assert 0 < len(alive) < 8
        wait_until(lambda: not postgres.backends(USER), "nothing is left at the database")


def answers(client: RawClient) -> bool:
    try:
        return client.value("SELECT 'here'") == "here"
    except (ConnectionEnded, ConnectionError):
        return False


def test_a_login_that_is_under_way(postgres: Postgres, wire_role: str) -> None:
    """It is told why it does not get in."""
    with Proxy(postgres) as proxy:
        side = proxied_side(proxy)
        with side.open() as started, side.open() as silent, side.login() as holder:
            started.send(m.startup({"user": USER, "database": USER}))
            assert started.read().kind == "R"
            holder.query("BEGIN")
            os.kill(proxy.pid, signal.SIGTERM)
            assert told(started) == ["57P01"]
            assert told(silent) == ["57P01"]
            holder.query("COMMIT")
            assert proxy.wait() == 0


def test_the_database_is_down(wire_role: str) -> None:
    """There is nobody to say goodbye to: it ends at once."""
    with Postgres() as mortal:
        mortal.start()
        mortal.add_role("app")
        mortal.sql("CREATE DATABASE app OWNER app")
        with Proxy(mortal) as proxy:
            side = Side("proxied", proxy.host, proxy.port, "app", "app", "app", 1)
            client = side.login()
            client.query("SELECT 1")
            mortal.stop()
            client.send(m.query("SELECT 1"))
            time.sleep(0.5)
            began = time.monotonic()
            assert proxy.stop() == 0
            assert time.monotonic() - began < 10
            assert told(client) == ["57P01"]
