"""Every session state x the loss of its server connection: who loses something is told, who doesn't never knows."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.faults.conftest import Recovered
from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import ConnectionEnded, RawClient, ServerError, error_fields, rows

LOST = {"57P01", "08006", "08000", "08003"}  # as the database says it, or as the proxy does for it

HUGE = "SELECT repeat('x', 100000) FROM generate_series(1, 3000)"

WORKING: dict[str, tuple[bytes, str]] = {
    "in a query": (m.query("SELECT pg_sleep(10)"), ""),
    "in an extended query": (m.batch("SELECT pg_sleep(10)"), ""),
    "in a transaction": (b"", ""),
    "in a failed transaction": (m.query("SELECT 1/0"), "Z"),
    "without its Sync": (m.parse("SELECT 1") + m.bind() + m.execute() + m.flush(), "C"),
    "skipping to Sync": (m.parse("SELEC") + m.flush(), "E"),
    "in COPY in": (m.query("COPY faults_rows FROM STDIN") + m.copy_data(b"1\n"), "G"),
    "in COPY out": (m.query(f"COPY ({HUGE}) TO STDOUT"), "d"),
    "in a large result": (m.query(HUGE), "D"),
    "pipelining": (m.batch("SELECT pg_sleep(0.1)") * 100, "1"),
}


def last_words(client: RawClient) -> set[str]:
    """Asks until the session ends or answers; the SQLSTATEs that it got."""
    heard: set[str] = set()
    client.sock.settimeout(8)
    # If it has closed already, what it said before is still to be read.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.send(m.copy_done(), m.sync(), m.query("SELECT 1"))
    with contextlib.suppress(ConnectionEnded):
        while (reply := client.read()).kind != "T":
            if reply.kind == "E":
                heard.add(error_fields(reply)["C"])
    return heard


@pytest.mark.parametrize(("sent", "until"), WORKING.values(), ids=WORKING.keys())
def test_loss_amid_work(direct: Side, fragile: Side, recovered: Recovered, sent: bytes, until: str) -> None:
    """The client hears a FATAL of class 57 or 08, or an error and goes on, in any case not a wrong answer."""
    victim = fragile.login()
    victim.query("BEGIN")
    pid = victim.value("SELECT 0 + pg_backend_pid()")
    victim.send(sent)
    if until:
        victim.read_until(until)
    else:
        time.sleep(0.1)
    with direct.login() as killer:
        killer.query(f"SELECT pg_terminate_backend({pid}, 5000)")
    heard = last_words(victim)
    assert heard & LOST or not heard
    assert heard <= LOST | {"22012", "25P02"}
    victim.sock.close()
    recovered()


def test_loss_while_idle(direct: Side, fragile: Side, recovered: Recovered) -> None:
    """Idle clients own no server: all servers go, nobody is told, the next query opens another."""
    clients = [fragile.login() for _ in range(5)]
    for client in clients:
        client.ask(m.parse("SELECT 'prepared'", "kept"), m.sync())
        client.query("SET work_mem = '5MB'")
    for _ in range(3):
        with direct.login() as killer:
            killer.query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE usename = current_user AND state = 'idle' AND pid <> pg_backend_pid()"
            )
        for client in clients:
            assert rows(client.ask(m.run_prepared("kept"))) == [(b"prepared",)]
            assert client.value("SHOW work_mem") == "5MB"
    for client in clients:
        client.quit()
    recovered()


PINS = {
    "temporary table": "CREATE TEMP TABLE faults_pinned (a int)",
    "advisory lock": "SELECT pg_advisory_lock(55)",
    "held cursor": "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT",
}


@pytest.mark.parametrize("pin", PINS.values(), ids=PINS.keys())
def test_loss_while_pinned(direct: Side, fragile: Side, recovered: Recovered, pin: str) -> None:
    """What pinned the session is lost with its server: the session must end, for it could not know otherwise."""
    victim = fragile.login()
    victim.query(pin)
    pid = victim.value("SELECT 0 + pg_backend_pid()")
    with direct.login() as killer:
        killer.query(f"SELECT pg_terminate_backend({pid}, 5000)")
    victim.sock.settimeout(5)
    assert {error_fields(reply)["C"] for reply in victim.read_to_end()} <= LOST
    victim.sock.close()
    recovered()


def test_loss_of_every_server_again_and_again(direct: Side, fragile: Side, recovered: Recovered) -> None:
    """Under load: errors are of the right kind, and clients that were told so can simply come back."""
    clients = [fragile.login() for _ in range(8)]
    for round_ in range(6):
        for client in clients:
            client.send(m.query("SELECT pg_sleep(0.05)"))
        time.sleep(0.03)
        with direct.login() as killer:
            killer.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = current_user AND query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()"
            )
        survivors = []
        for client in clients:
            heard = last_words(client)
            assert heard <= LOST, f"round {round_}"
            client.sock.close()
            survivors.append(fragile.login())
        clients = survivors
    for client in clients:
        assert client.value("SELECT 1") == "1"
        client.quit()
    recovered()


def test_wrong_login_after_losses(fragile: Side) -> None:
    """The way in is still guarded."""
    with pytest.raises(ServerError, match="28P01"):
        Side("wrong", fragile.host, fragile.port, fragile.user, "wrong", fragile.database, 0).login()
