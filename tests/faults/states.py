"""The states that a session can be in when something breaks: each brings a fresh socket there.

Owns the rows of the fault tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import RawClient

Reach = Callable[[Side], RawClient]

HUGE = "SELECT repeat('x', 100000) FROM generate_series(1, 2000)"  # 200 MB, so that it can't be done before the fault


def connected(side: Side) -> RawClient:
    return side.open()


def asking_for_encryption(side: Side) -> RawClient:
    client = side.open()
    client.send(m.SSL_REQUEST)
    assert client.read_bytes(1) == b"N"
    return client


def amid_start_up(side: Side) -> RawClient:
    client = side.open()
    client.send(m.startup({"user": side.user, "database": side.database})[:17])
    return client


def logging_in(side: Side) -> RawClient:
    client = side.open()
    client.send(m.startup({"user": side.user, "database": side.database}))
    assert client.read().kind == "R"
    return client


def said(*parts: bytes, until: str = "Z") -> Reach:
    """Logged in, these messages sent one by one, each answered up to the kind `until` has for it (`-`: nothing)."""

    def reach(side: Side) -> RawClient:
        client = side.login()
        for part, kind in zip(parts, until.ljust(len(parts), until[-1])[: len(parts)], strict=True):
            client.send(part)
            if kind != "-":
                client.read_until(kind)
        return client

    return reach


def stalled(reach: Reach) -> Reach:
    """The same, left alone until every buffer on the way is full and the server stands still."""

    def wait(side: Side) -> RawClient:
        client = reach(side)
        time.sleep(0.2)
        return client

    return wait


INSERT = m.query("INSERT INTO faults_rows VALUES (1)")
COPY_IN = m.query("COPY faults_rows FROM STDIN")

LOGIN_STATES: dict[str, Reach] = {
    "connected": connected,
    "asking for encryption": asking_for_encryption,
    "amid start-up": amid_start_up,
    "logging in": logging_in,
}

SESSION_STATES: dict[str, Reach] = {
    "idle": said(),
    "idle after a transaction": said(m.query("SELECT 1")),
    "in a query": said(m.query("SELECT pg_sleep(1)"), until="-"),
    "in a query of a transaction": said(m.query("BEGIN"), INSERT, m.query("SELECT pg_sleep(1)"), until="ZZ-"),
    "in a transaction": said(m.query("BEGIN"), INSERT),
    "in a failed transaction": said(m.query("BEGIN"), INSERT, m.query("SELECT 1/0")),
    "without its Sync": said(
        m.parse("INSERT INTO faults_rows VALUES (1)") + m.bind() + m.execute() + m.flush(), until="C"
    ),
    "skipping to Sync": said(m.parse("SELEC") + m.flush(), until="E"),
    "with a suspended portal": said(m.parse(HUGE) + m.bind() + m.execute("", 5) + m.flush(), until="s"),
    "in COPY in": said(COPY_IN + m.copy_data(b"1\n"), until="G"),
    "in COPY in of a transaction": said(m.query("BEGIN"), COPY_IN + m.copy_data(b"1\n"), until="ZG"),
    "after a failed COPY": said(COPY_IN + m.copy_data(b"x\n") + m.copy_data(b"1\n")),
    "in COPY out": said(m.query(f"COPY ({HUGE}) TO STDOUT"), until="d"),
    "in a large result": said(m.query(HUGE), until="D"),
    "stalled in COPY out": stalled(said(m.query(f"COPY ({HUGE}) TO STDOUT"), until="d")),
    "stalled in a large result": stalled(said(m.query("BEGIN"), INSERT, m.query(HUGE), until="ZZD")),
    "pipelining": said(m.batch("SELECT pg_sleep(0.05), repeat('x', 100000)") * 30, until="D"),
    "pipelining transactions": said((m.query("BEGIN") + INSERT + m.query("ROLLBACK")) * 50, until="Z"),
    "pinned": said(m.query("CREATE TEMP TABLE faults_pinned (a int)")),
    "pinned in a transaction": said(m.query("SELECT pg_advisory_lock(4712)"), m.query("BEGIN"), INSERT),
    "listening": said(m.query("LISTEN faults_channel")),
    "listening in a transaction": said(m.query("LISTEN faults_channel"), m.query("BEGIN"), INSERT),
    "about to listen": said(m.query("BEGIN"), m.query("LISTEN faults_channel"), INSERT),
    "handing a channel over": said(m.query("LISTEN faults_channel"), until="-"),
}

WAITING: Reach = said(INSERT, until="-")
"""In the queue, once all servers are held."""
