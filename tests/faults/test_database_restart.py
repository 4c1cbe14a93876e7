"""The database dies, is away, comes back, is starting or full: clients that own nothing of it wait and go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.conftest import CUT_OFF
from tests.support import messages as m
from tests.support.counted import USER
from tests.support.fixtures import superuser
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.watch import assert_settles
from tests.support.wire import ConnectionEnded, RawClient, ServerError, error_fields, heard, rows, sqlstates

SERVERS = 4


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    with Postgres(max_connections=20, settings={"restart_after_crash": "on"}) as postgres:
        postgres.start()
        superuser(postgres, USER)
        yield postgres


@pytest.fixture
def side(mortal: Postgres) -> Iterator[Side]:
    """A proxy before it; the database is up again when the test has ended."""
    with Proxy(mortal, target={"max_connections": SERVERS}) as proxy:
        yield Side("proxied", proxy.host, proxy.port, USER, USER, USER, SERVERS)
        if not mortal.running:
            mortal.start()


def busy(side: Side, stop: threading.Event, done: list[int], wrong: list[str]) -> None:
    """A client under load: work, and after a loss another connection, for as long as the test runs."""
    while not stop.is_set():
        try:
            with side.login() as client:
                while not stop.is_set():
                    for fields in sqlstates(client.ask(m.query("BEGIN; SELECT pg_sleep(0.002); COMMIT"))):
                        raise ServerError({"C": fields})
                    done.append(1)
        except ServerError as error:
            if error.sqlstate not in CUT_OFF:
                wrong.append(str(error))
        except ConnectionEnded as end:
            wrong += [c for r in end.received if r.kind == "E" and (c := error_fields(r)["C"]) not in CUT_OFF]
        except (TimeoutError, ConnectionError) as error:
            wrong.append(repr(error))


@contextlib.contextmanager
def load(side: Side, clients: int = 8) -> Iterator[list[int]]:
    """Clients at work around a block; yields the growing list of finished transactions."""
    stop = threading.Event()
    done: list[int] = []
    wrong: list[str] = []
    threads = [threading.Thread(target=busy, args=(side, stop, done, wrong)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert wrong == []


def crash_by_backend(mortal: Postgres) -> None:
    """kill -9 of one backend makes the postmaster restart them all."""
    with contextlib.suppress(IndexError):
        os.kill(mortal.backends(USER)[0], signal.SIGKILL)
    time.sleep(0.3)


def stop_and_start(mode: str, away: float) -> object:
    def run(mortal: Postgres) -> None:
        mortal.stop(mode)
        time.sleep(away)
        mortal.start()

    return run


def kill_and_start(mortal: Postgres) -> None:
    mortal.kill9()
    time.sleep(0.3)
    mortal.start()


DEATHS = {
    "immediate": stop_and_start("immediate", 1.0),
    "fast": stop_and_start("fast", 0.5),
    "kill -9": kill_and_start,
    "kill -9 of a backend": crash_by_backend,
}


@pytest.mark.parametrize("die", DEATHS.values(), ids=DEATHS.keys())
def test_under_load_no_idle_client_is_lost(mortal: Postgres, side: Side, die: object) -> None:
    assert callable(die)
    idle = [side.login(timeout=30) for _ in range(20)]
    for number, client in enumerate(idle):
        client.query(f"SET work_mem = '{number + 5}MB'")
        client.ask(m.parse(f"SELECT {number}", "kept"), m.sync())
    with load(side) as done:
        while len(done) < 30:
            time.sleep(0.01)
        die(mortal)
        after = len(done)
        for number, client in enumerate(idle):
            assert client.value("SHOW work_mem") == f"{number + 5}MB"
            assert rows(client.ask(m.run_prepared("kept"))) == [(str(number).encode(),)]
        deadline = time.monotonic() + 10
        while len(done) < after + 50:
            assert time.monotonic() < deadline, "the load did not recover"
            time.sleep(0.01)
    for client in idle:
        client.quit()
    assert_settles(mortal.dsn(), USER, SERVERS)


def test_query_during_the_outage_waits(mortal: Postgres, side: Side) -> None:
    with side.login(timeout=30) as client, side.login(timeout=30) as prepared:
        client.query("SELECT 1")
        prepared.ask(m.parse("SELECT $1::int + 1", "next"), m.sync())
        mortal.stop("immediate")
        client.send(m.query("SELECT 'after all'"))
        prepared.send(m.run_prepared("next", ["1"]))
        assert client.silent(0.7)
        mortal.start()
        assert rows(client.read_ready()) == [(b"after all",)]
        assert rows(prepared.read_ready()) == [(b"2",)]


@pytest.fixture
def stranger(mortal: Postgres, side: Side, request: pytest.FixtureRequest) -> Side:
    """The same proxy's clients as a role that it has never read."""
    name = "stranger_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    return replace(side, user=superuser(mortal, name), password=name)


@pytest.mark.parametrize("known", [True, False], ids=["a role that was read before", "a role never read"])
def test_login_during_the_outage_waits(mortal: Postgres, side: Side, stranger: Side, known: bool) -> None:
    side.login().quit()
    mortal.stop("immediate")
    result: list[str | None] = []

    def come() -> None:
        with (side if known else stranger).login(timeout=30) as client:
            result.append(client.value("SELECT 'in'"))

    thread = threading.Thread(target=come)
    thread.start()
    time.sleep(0.7)
    assert thread.is_alive()
    mortal.start()
    thread.join(20)
    assert result == ["in"]


@pytest.mark.parametrize("limit", [0, 1])
def test_login_of_a_role_never_read_has_a_limit(mortal: Postgres, limit: int) -> None:
    """It gets the borrow timeout's error, with what the database said, or did not, in the DETAIL."""
    with Proxy(mortal, proxy={"connection_borrow_timeout": limit}, target={"max_connections": 2}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, USER, USER, USER, 2)
        mortal.stop("immediate")
        try:
            began = time.monotonic()
            with pytest.raises(ServerError) as refused:
                side.login()
            assert limit <= time.monotonic() - began < limit + 3
        finally:
            mortal.start()
        fields = refused.value.fields
        assert (fields["C"], fields["M"]) == ("08000", "Timed-out waiting to acquire database connection.")
        assert "could not connect" in fields["D"] and "connection_borrow_timeout" in fields["H"]
        assert proxy.stats()["borrow_timeouts"] == 1
        if limit:  # without a queue nobody waits for the pool's first server either
            side.login(timeout=30).quit()


def test_borrow_timeout_during_the_outage(mortal: Postgres) -> None:
    """The wait has its limit; the session outlives it or is closed, the next one is served."""
    settings = {"connection_borrow_timeout": 1}
    with Proxy(mortal, proxy=settings, target={"max_connections": 2}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, USER, USER, USER, 2)
        client = side.login(timeout=10)
        client.query("SELECT 1")
        mortal.stop("immediate")
        client.send(m.query("SELECT 2"))
        (error,) = [error_fields(reply) for reply in client.read_until("E") if reply.kind == "E"]
        client.sock.close()
        mortal.start()
        assert (error["C"], error["M"]) == ("08000", "Timed-out waiting to acquire database connection.")
        with side.login(timeout=30) as later:
            assert later.value("SELECT 3") == "3"


WORKING: dict[str, tuple[bytes, str]] = {
    "in a query": (m.query("SELECT pg_sleep(20)"), ""),
    "in a transaction": (m.query("BEGIN"), "Z"),
    "in a failed transaction": (m.query("BEGIN; SELECT 1/0"), "Z"),
    "in COPY in": (m.query("CREATE TEMP TABLE t (a int); COPY t FROM STDIN"), "G"),
    "in COPY out": (m.query("COPY (SELECT repeat('x', 100000) FROM generate_series(1, 3000)) TO STDOUT"), "d"),
    "pinned": (m.query("CREATE TEMP TABLE t (a int)"), "Z"),
}


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_who_loses_something_is_told(mortal: Postgres, side: Side, mode: str) -> None:
    """Every state at once (as many as there are servers at a time): a FATAL of class 57 or 08, or the plain end."""
    names = list(WORKING)
    for first in range(0, len(names), SERVERS - 1):
        clients: dict[str, RawClient] = {}
        for name in names[first : first + SERVERS - 1]:
            clients[name] = side.login(timeout=10)
            sent, until = WORKING[name]
            clients[name].send(sent)
            if until:
                clients[name].read_until(until)
        time.sleep(0.1)
        mortal.restart(mode)
        for name, client in clients.items():
            heard = {error_fields(reply)["C"] for reply in client.read_to_end() if reply.kind == "E"}
            assert heard <= CUT_OFF, name
            client.sock.close()
        with side.login(timeout=30) as fresh:
            assert fresh.value("SELECT 1") == "1"


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_who_listens_is_told_what_it_may_have_missed(mortal: Postgres, side: Side, mode: str) -> None:
    """An idle client that listens lives on, hears that it may have missed something, and hears again."""
    with side.login(timeout=30) as idle, side.login(timeout=30) as other:
        for client in (idle, other):
            client.query("LISTEN restart")
        mortal.restart(mode)
        for client in (idle, other):
            (notice,) = client.read_until("N")
            assert error_fields(notice)["C"] == "01T01"
        other.query("NOTIFY restart, 'again'")
        assert heard(idle.read())[1:] == ("restart", "again")


def log_in_until_refused(side: Side, clients: list[RawClient]) -> None:
    """Raises the ServerError of the first login that is refused; `clients` are those that were let in."""
    while True:
        clients.append(side.login())


@contextlib.contextmanager
def full(postgres: Postgres) -> Iterator[list[RawClient]]:
    """The database has no connection left: others have taken all, straight at it."""
    others: list[RawClient] = []
    outside = Side("other", postgres.host, postgres.port, USER, USER, USER, 0)
    try:
        with pytest.raises(ServerError, match="53300"):
            log_in_until_refused(outside, others)
        yield others
    finally:
        for other in others:
            other.quit()


@pytest.mark.parametrize("known", [True, False], ids=["a role that was read before", "a role never read"])
def test_full_database_means_wait(mortal: Postgres, side: Side, stranger: Side, known: bool) -> None:
    """All connections are taken by others (53300): the client waits until one is free, and hears nothing of it."""
    with side.login() as client:
        client.query("SELECT 1")
    mortal.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()"
    )
    result: list[str | None] = []

    def come() -> None:
        with (side if known else stranger).login(timeout=30) as client:
            result.append(client.value("SELECT 'patience'"))

    with full(mortal) as others:
        thread = threading.Thread(target=come)
        thread.start()
        time.sleep(1)
        assert thread.is_alive()
        for _ in range(4):  # for the proxy's own look at the password, too
            others.pop().quit()
        thread.join(20)
        assert result == ["patience"]


def test_known_roles_come_in_while_nothing_can_be_read(mortal: Postgres, side: Side, stranger: Side) -> None:
    """The database is full but for the pool's own server: who waits for a first read keeps nobody else out."""
    with side.login() as client:
        client.query("SELECT 1")
    mortal.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidegate'")
    result: list[str | None] = []

    def come() -> None:
        with stranger.login(timeout=30) as client:
            result.append(client.value("SELECT 'patience'"))

    thread = threading.Thread(target=come)
    with full(mortal) as others:
        thread.start()
        for _ in range(8):
            time.sleep(0.3)
            began = time.monotonic()
            with side.login() as client:
                assert client.value("SELECT 'served'") == "served"
            assert time.monotonic() - began < 10
        assert thread.is_alive() and result == []
        for _ in range(3):
            others.pop().quit()
        thread.join(20)
        assert result == ["patience"]
