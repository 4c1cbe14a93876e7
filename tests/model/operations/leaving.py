"""Clients that leave, politely or not, amid whatever they were doing, and what must soon be gone of them.

Owns the ways to leave. Refuses to stay away: each comes back as a new session.
"""

from __future__ import annotations

import time

from tests.model.answers import ANY, Expected
from tests.model.client import ModelClient
from tests.model.session import Statement
from tests.support import messages as m
from tests.support.wire import RawClient

from .base import Operation

SOON = 20.0  # seconds until nothing is left of a lost session


class Leave(Operation):
    """Terminate, FIN or RST; now and then in the middle of a query."""

    weight = 2
    undoes = True
    in_failed = True

    def play(self, client: ModelClient) -> None:
        session, chance = client.session, client.chance
        client.forget()
        client.ghosts = [
            *(f"SELECT pg_catalog.pg_try_advisory_xact_lock({key})" for key, _ in session.locks.held() if key > 100),
            *(
                f"SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = '{name}')"
                for name in session.tables
            ),
        ]
        way = chance.choice(["Terminate", "FIN", "RST", "in a query", "in a pipeline"])
        client.note(f"-- leaves: {way}")
        if way == "in a query":
            client.raw.send(
                m.query(f"SET work_mem = '5555kB'; SELECT pg_advisory_lock(99, {client.number}), pg_sleep(0.002)")
            )
        elif way == "in a pipeline":
            client.raw.send(m.parse("SELECT $1::int", "p1") + m.bind(["1"], "p1") + m.execute())
        leave(client.raw, way)
        client.connect()


def leave(raw: RawClient, way: str) -> None:
    """Close the socket."""
    if way == "Terminate":
        raw.quit()
    elif way == "FIN":
        raw.sock.close()
    else:
        raw.reset()


class AskForGhosts(Operation):
    """What lost sessions held is free, soon."""

    weight = 20

    def allowed(self, client: ModelClient) -> bool:
        return client.session.status == "I" and bool(client.ghosts)

    def play(self, client: ModelClient) -> None:
        deadline = time.monotonic() + SOON
        answer: list[bytes | None] = []
        anything = Expected("SELECT 1", ((ANY,),), learn=lambda rows: answer.append(rows[0][0]))
        while client.ghosts:
            client.exchange([Statement(client.ghosts[-1], lambda session: anything)])
            if answer[-1] == b"t":
                client.ghosts.pop()
            elif time.monotonic() > deadline:
                client.differ(f"of a lost session there is still something: {client.ghosts[-1]}")
