"""Limits and time-outs that the proxy itself imposes, with their SQLSTATE, message, and what follows.

One proxy with little patience serves most of the tests: two servers, six clients, every time limit one second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support import messages as m
from tests.support.asleep import when_asleep
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import RawClient, ServerError, errors, rows, sqlstates

LIMIT = 1.0  # seconds: every limit of the impatient proxy
LATE = 4.0  # by then a limit must have been noticed
CLIENTS = 6
SERVERS = 2
BORROW_MESSAGE = "Timed-out waiting to acquire database connection."
BUSY = m.query("SELECT pg_sleep(2.5)")


@pytest.fixture(scope="module")
def hasty(postgres: Postgres, wire_role: str) -> Iterator[Proxy]:
    limits = {
        "connection_borrow_timeout": LIMIT,
        "idle_client_timeout": LIMIT,
        "idle_in_transaction_timeout": LIMIT,
        "login_timeout": LIMIT,
        "max_client_connections": CLIENTS,
    }
    target = {"max_connections": SERVERS, "max_idle_connections_percent": 100}
    with Proxy(postgres, proxy=limits, target=target) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def impatient(hasty: Proxy) -> Side:
    return proxied_side(hasty, SERVERS)


def ending(client: RawClient) -> dict[str, str]:
    """The one FATAL that the session ends with, within the limit's tolerance."""
    client.sock.settimeout(LATE)
    (fatal,) = errors(client.read_to_end())
    client.sock.close()
    assert fatal["S"] == fatal["V"] == "FATAL"
    return fatal


def settled(side: Side) -> None:
    """Waits until connections of earlier tests no longer count."""
    deadline = time.monotonic() + LATE
    while True:
        try:
            side.login().quit()
            return
        except ServerError as refused:
            if refused.sqlstate != "53300" or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


@pytest.mark.parametrize(
    "sent", [m.query("SELECT 1"), m.batch("SELECT 1"), m.query("BEGIN")], ids=["simple", "extended", "begin"]
)
def test_borrow_timeout(impatient: Side, sent: bytes) -> None:
    holders = [impatient.login() for _ in range(SERVERS)]
    for holder in holders:
        holder.send(BUSY)
    time.sleep(0.1)
    with impatient.login() as waiting:
        began = time.monotonic()
        waiting.send(sent)
        replies = waiting.read_until("E")
        assert LIMIT * 0.9 <= time.monotonic() - began < LATE
        (error,) = errors(replies)
        assert (error["C"], error["M"]) == ("08000", BORROW_MESSAGE)
        assert "2" in error["D"], "DETAIL names the limit that was hit"
        assert "max_connections" in error["H"], "HINT names the setting"
        if error["V"] != "FATAL":  # then the session goes on, outside any transaction
            waiting.read_ready()
            assert waiting.status == "I"
            assert waiting.ask(m.sync())[-1].kind == "Z"
    for holder in holders:
        assert sqlstates(holder.read_ready()) == []
        holder.quit()


def test_a_queue_that_moves_in_time(impatient: Side) -> None:
    """Six clients on two servers, each short: nobody times out."""
    settled(impatient)
    clients = [impatient.login() for _ in range(CLIENTS)]
    for client in clients:
        client.send(m.query("SELECT 'served' FROM pg_sleep(0.1)"))
    for client in clients:
        assert rows(client.read_ready()) == [(b"served",)]
        client.quit()


STUCK = {
    "in a transaction": ([m.query("BEGIN"), m.query("INSERT INTO proto_scratch VALUES (1)")], "ZZ"),
    "in a failed transaction": ([m.query("BEGIN"), m.query("SELECT 1/0")], "ZZ"),
    "without its Sync": ([m.parse("INSERT INTO proto_scratch VALUES (1)"), m.bind(), m.execute(), m.flush()], "C"),
    "without its Sync after an error": ([m.parse("SELEC"), m.flush()], "E"),
    "with a suspended portal": ([m.parse("SELECT generate_series(1,9)"), m.bind(), m.execute("", 2), m.flush()], "s"),
    "amid COPY": ([m.query("COPY proto_scratch FROM STDIN"), m.copy_data(b"1\n")], "G"),
    "amid COPY in a transaction": ([m.query("BEGIN"), m.query("COPY proto_scratch FROM STDIN")], "ZG"),
    "amid a message": ([m.query("BEGIN"), m.query("SELECT 1")[:4]], "Z"),
    "pinned": ([m.query("CREATE TEMP TABLE limits_temp (a int)"), m.query("BEGIN")], "ZZ"),
}


@pytest.mark.parametrize(("sent", "until"), STUCK.values(), ids=STUCK.keys())
def test_idle_in_transaction(hasty: Proxy, impatient: Side, direct: Side, sent: list[bytes], until: str) -> None:
    """FATAL 25P03 for the client; its transaction is undone and its server connection kept."""
    settled(impatient)
    with impatient.login() as fresh:  # occupies the other server, so that there is only one to get
        stuck = impatient.login()
        stuck.send(*sent)
        for kind in until:
            stuck.read_until(kind)
        closed = hasty.stats()["servers_closed"]
        assert ending(stuck)["C"] == "25P03"
        fresh.sock.close()
    with impatient.login() as after:
        assert after.value("SELECT count(*) FROM proto_scratch") == "0"
    deadline = time.monotonic() + LATE
    with direct.login() as watcher:
        while watcher.value("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") != "0":
            assert time.monotonic() < deadline, "the stuck client's transaction is still open"
            time.sleep(0.02)
    assert hasty.stats()["servers_closed"] == closed, "the server connection was not kept"


def test_activity_keeps_a_transaction_alive(impatient: Side) -> None:
    """A transaction longer than the limit, that says something in time, is left alone; so is a long query."""
    settled(impatient)
    with impatient.login() as client:
        client.query("BEGIN")
        for _ in range(6):
            time.sleep(LIMIT * 0.3)
            client.query("SELECT 1")
        client.query("SELECT pg_sleep(1.5)")
        client.query("COMMIT")


def test_idle_client(impatient: Side) -> None:
    settled(impatient)
    client = impatient.login()
    client.query("SELECT 1")
    began = time.monotonic()
    assert ending(client)["C"] == "57P05"
    assert time.monotonic() - began >= LIMIT * 0.9


def test_busy_client_is_not_idle(impatient: Side) -> None:
    settled(impatient)
    with impatient.login() as client:
        assert client.value("SELECT 'awake' FROM pg_sleep(1.8)") == "awake"


STALLED = {
    "silent": b"",
    "half a length": b"\0\0",
    "half a StartupMessage": m.startup({"user": "wire"})[:11],
    "after SSLRequest": m.SSL_REQUEST,
    "before its password": m.startup({"user": "wire", "database": "wire"}),
    "amid its password": m.startup({"user": "wire", "database": "wire"}) + m.message("p", b"SCRAM-SHA-256\0")[:9],
}


@pytest.mark.parametrize("sent", STALLED.values(), ids=STALLED.keys())
def test_login_timeout(impatient: Side, sent: bytes) -> None:
    settled(impatient)
    with impatient.open() as client:
        began = time.monotonic()
        client.send(sent)
        client.sock.settimeout(LATE)
        client.read_rest()
        assert LIMIT * 0.9 <= time.monotonic() - began < LATE


def log_in(side: Side, count: int, clients: list[RawClient]) -> None:
    """`clients` gets those that were let in, even if a later login is refused."""
    for _ in range(count):
        clients.append(side.login())  # noqa: PERF401 - what was let in is kept when a login raises


def test_max_client_connections(impatient: Side) -> None:
    settled(impatient)
    clients: list[RawClient] = []
    try:
        with pytest.raises(ServerError) as refused:
            log_in(impatient, CLIENTS + 1, clients)
        assert refused.value.sqlstate == "53300" and refused.value.fields["S"] == "FATAL"
        assert str(CLIENTS) in refused.value.fields["D"]
        assert "max_client_connections" in refused.value.fields["H"]
        assert len(clients) == CLIENTS
        assert [client.value("SELECT 1") for client in clients] == ["1"] * CLIENTS
        clients.pop().quit()
        settled(impatient)
    finally:
        for client in clients:
            client.quit()


def test_a_full_house_still_cancels(postgres: Postgres, impatient: Side) -> None:
    """CancelRequests are no clients: they get through when no client does."""
    settled(impatient)
    clients = [impatient.login() for _ in range(CLIENTS)]
    clients[0].send(m.query("SELECT pg_sleep(20) /* full house */"))
    when_asleep(postgres, "full house", clients[0].cancel)
    assert sqlstates(clients[0].read_ready()) == ["57014"]
    for client in clients:
        client.quit()


def test_no_queue_at_all(postgres: Postgres, wire_role: str) -> None:
    """connection_borrow_timeout = 0: a free connection or the error, at once."""
    with Proxy(postgres, proxy={"connection_borrow_timeout": 0}, target={"max_connections": 1}) as proxy:
        side = proxied_side(proxy, 1)
        with side.login() as holder, side.login() as other:
            holder.query("BEGIN")
            other.send(m.query("SELECT 1"))
            (error,) = errors(other.read_until("E"))
            assert (error["C"], error["M"]) == ("08000", BORROW_MESSAGE)
            holder.query("COMMIT")


def test_idle_session_timeout_of_a_role(postgres: Postgres, direct: Side, wire_role: str) -> None:
    """The role's own idle_session_timeout ends its idle clients, not the pool's servers."""
    postgres.add_role("limits_idle")
    postgres.sql("ALTER ROLE limits_idle SET idle_session_timeout = '1s'")
    with Proxy(postgres, target={"max_connections": 2, "max_idle_connections_percent": 100}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, "limits_idle", "limits_idle", wire_role, 2)
        client = side.login()
        server = client.value("SELECT 0 + pg_backend_pid()")
        assert ending(client)["C"] == "57P05"
        with side.login() as later:
            assert later.value("SELECT 0 + pg_backend_pid()") == server
            later.query("SET idle_session_timeout = 0")
            assert later.silent(1.5)
            later.query("SET idle_session_timeout = '300ms'")
            assert ending(later)["C"] == "57P05"
        assert int(server or 0) in postgres.backends("limits_idle")


def test_session_mode(postgres: Postgres, wire_role: str) -> None:
    """A client keeps its server until it leaves; the next one gets it clean."""
    target = {"max_connections": 2}
    proxy_settings = {"pool_mode": "session", "connection_borrow_timeout": 1}
    with Proxy(postgres, proxy=proxy_settings, target=target) as proxy:
        side = proxied_side(proxy, 2)
        clients = [side.login() for _ in range(2)]
        pids = [client.value("SELECT 0 + pg_backend_pid()") for client in clients]
        for client, pid in zip(clients, pids, strict=True):
            client.query("CREATE TEMP TABLE limits_session (a int)")
            client.query("SET work_mem = '5MB'")
            client.ask(m.parse("SELECT 1", "kept"), m.sync())
            assert client.value("SELECT 0 + pg_backend_pid()") == pid
        with side.login() as third:
            third.send(m.query("SELECT 1"))
            assert errors(third.read_until("E"))[0]["C"] == "08000"
        for client in clients:
            assert sqlstates(client.ask(m.run_prepared("kept"))) == []
            client.quit()
        with side.login() as heir:
            assert heir.value("SHOW work_mem") == "4MB"
            assert heir.value("SELECT to_regclass('pg_temp.limits_session')") is None
            assert sqlstates(heir.ask(m.run_prepared("kept"))) == ["26000"]
            assert heir.value("SELECT count(*) FROM pg_prepared_statements") == "0"
