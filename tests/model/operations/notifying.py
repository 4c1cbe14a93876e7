"""LISTEN, UNLISTEN, NOTIFY, and waiting for what must come.

Owns the channels' names and what is sent. Refuses to say who must hear it: `channels` does.
"""

from __future__ import annotations

import random

from tests.model.answers import Expected, selected
from tests.model.client import ModelClient
from tests.model.session import Event, Session, Statement

from .base import Operation, SqlOperation, done, literal, system

CHANNELS = {"soak_a": "soak_a", "soak_b": "SOAK_B", "Soak C": '"Soak C"'}
"""How each is written in SQL."""
WAIT = 20.0  # seconds


class Listen(SqlOperation):
    """LISTEN."""

    weight = 2
    pins = frozenset({"listen"})

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        channel = chance.choice(list(CHANNELS))

        def effect(session: Session) -> Expected:
            session.undoable.events += (Event("listen", channel),)
            return done("LISTEN")

        return Statement(f"LISTEN {CHANNELS[channel]}", effect)


class Unlisten(SqlOperation):
    """UNLISTEN of one, or of all."""

    undoes = True

    def possible(self, session: Session) -> bool:
        return bool(session.listening or session.undoable.events)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        channel = chance.choice([*CHANNELS, "*", "*"])

        def effect(session: Session) -> Expected:
            session.undoable.events += (Event("unlisten", channel),)
            return done("UNLISTEN")

        return Statement(f"UNLISTEN {CHANNELS.get(channel, '*')}", effect)


class Notify(SqlOperation):
    """NOTIFY or pg_notify(); now and then a long payload, or one that needs quoting."""

    weight = 5

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        channel = chance.choice(list(CHANNELS))
        payload = client.mark(chance.choice(["", "", " it's\\", "x" * 7000]))
        if chance.random() < 0.2:
            sent = [event for event in session.undoable.events if event.what == "notify"]
            # The same again in one transaction is delivered once.
            channel, payload = (sent[-1].channel, sent[-1].payload) if sent else (channel, payload)
        text = literal(session, chance, payload)
        by_function = chance.random() < 0.5

        def effect(session: Session) -> Expected:
            event = Event("notify", channel, payload)
            if event not in session.undoable.events:
                session.undoable.events += (event,)
            return selected("") if by_function else done("NOTIFY")

        if by_function:
            return Statement(f"SELECT {system(session, chance, 'pg_notify')}('{channel}', {text})", effect)
        return Statement(f"NOTIFY {CHANNELS[channel]}, {text}", effect)


class AwaitNotifications(Operation):
    """An idle client gets what is due, without asking."""

    weight = 3

    def possible(self, session: Session) -> bool:
        return session.status == "I" and bool(session.listening)

    def play(self, client: ModelClient) -> None:
        client.listen_idly(WAIT)
