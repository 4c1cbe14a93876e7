"""Every session state x every way a client's socket breaks: nothing leaks, nobody else notices, servers come back."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import LOGIN_TIMEOUT, SERVERS, Recovered
from tests.faults.states import COPY_IN, LOGIN_STATES, SESSION_STATES, WAITING, Reach
from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import RawClient

Break = Callable[[RawClient], None]

STATES = LOGIN_STATES | SESSION_STATES


def reset(client: RawClient) -> None:
    client.reset()


def close(client: RawClient) -> None:
    """FIN with unread data becomes RST; without, a plain end of stream."""
    client.sock.close()


def half_close(client: RawClient) -> None:
    """FIN, then reading on until the other side is done."""
    client.half_close()
    client.read_to_end()
    client.sock.close()


def half_close_unread(client: RawClient) -> None:
    """FIN, then neither reading nor closing for a while."""
    client.half_close()
    time.sleep(0.1)
    client.reset()


def partial_message(client: RawClient) -> None:
    """A message that announces more than comes."""
    client.send(m.query("SELECT 'never'")[:9])
    client.sock.close()


def partial_message_reset(client: RawClient) -> None:
    client.send(b"Q\0\0")
    client.reset()


def terminate(client: RawClient) -> None:
    client.quit()


BREAKS: list[Break] = [reset, close, half_close, half_close_unread, partial_message, partial_message_reset, terminate]


@pytest.mark.parametrize("break_", BREAKS, ids=lambda break_: break_.__name__)
@pytest.mark.parametrize("reach", STATES.values(), ids=STATES.keys())
def test_nothing_is_left(fragile: Side, recovered: Recovered, reach: Reach, break_: Break) -> None:
    break_(reach(fragile))
    recovered()


# A FIN from the queue is taken for a client that has gone: nothing tells it from one that only half-closed.
GONE = [break_ for break_ in BREAKS if break_ is not half_close]


@pytest.mark.parametrize("break_", GONE, ids=lambda break_: break_.__name__)
def test_breaks_while_waiting(fragile: Side, recovered: Recovered, break_: Break) -> None:
    """A client that vanishes from the queue never gets a server; what it asked for isn't done, or at least undone."""
    holders = [fragile.login() for _ in range(SERVERS - 1)]  # the bystander holds the last server
    for holder in holders:
        holder.query("BEGIN")
    waiting = WAITING(fragile)
    assert waiting.silent(0.05)
    break_(waiting)
    time.sleep(0.05)
    for holder in holders:
        holder.query("COMMIT")
        holder.quit()
    recovered()


@pytest.mark.parametrize("break_", [reset, close, partial_message_reset], ids=lambda break_: break_.__name__)
def test_breaks_while_its_server_stands_still(direct: Side, fragile: Side, recovered: Recovered, break_: Break) -> None:
    """A COPY whose table is locked: the proxy has stopped reading from a client that is gone now."""
    with direct.login() as locker:
        locker.query("BEGIN; LOCK TABLE faults_rows")
        client = fragile.login()
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.send(COPY_IN, m.copy_data(b"1\n" * 500_000) * 50)
        try:
            break_(client)
        except TimeoutError:
            client.reset()  # no room for one more message
        time.sleep(0.1)
        locker.query("COMMIT")
    recovered()


STALLS = {name: reach for name, reach in STATES.items() if name not in LOGIN_STATES}


@pytest.mark.parametrize("reach", STALLS.values(), ids=STALLS.keys())
def test_stalled_client_disturbs_nobody(fragile: Side, bystander: RawClient, reach: Reach) -> None:
    """A frozen client keeps at most its own server: the last one goes round among all others."""
    stalled = reach(fragile)
    others = [fragile.login() for _ in range(4)]
    for _ in range(5):
        for other in others:
            assert other.value("SELECT 'served'") == "served"
    for other in others:
        other.quit()
    stalled.reset()


@pytest.mark.parametrize("reach", LOGIN_STATES.values(), ids=LOGIN_STATES.keys())
def test_stalled_login_is_dropped(fragile: Side, recovered: Recovered, reach: Reach) -> None:
    stalled = reach(fragile)
    began = time.monotonic()
    stalled.read_rest()
    assert time.monotonic() - began < LOGIN_TIMEOUT + 10
    stalled.sock.close()
    recovered()


def test_many_at_once(fragile: Side, recovered: Recovered) -> None:
    """All states, broken together, five times over."""
    for _ in range(5):
        clients = [reach(fragile) for name, reach in STATES.items() if name in LOGIN_STATES or name.startswith("idle")]
        clients += [fragile.login() for _ in range(20)]
        for client in clients[4:]:
            client.send(m.query("SELECT pg_sleep(0.01)"), m.query("BEGIN"))
        for client in clients:
            client.reset()
    recovered()
