"""nextval(), currval(), lastval(): a session's own values, or error 55000.

Owns the sequences' names and what advances them. Refuses to compare values between sessions but for this.
"""

from __future__ import annotations

import random

from tests.model.answers import ANY, Expected
from tests.model.client import ModelClient
from tests.model.features import Feature
from tests.model.session import Refused, Session, Statement

from .base import SqlOperation

SERIAL, IDENTITY, PLAIN = "public.soak_serial_id_seq", "public.soak_identity_id_seq", "public.soak_sequence"
ADVANCING = {
    SERIAL: ("INSERT INTO public.soak_serial (owner) VALUES ('x') RETURNING id", "INSERT 0 1"),
    IDENTITY: ("INSERT INTO public.soak_identity (owner) VALUES ('x') RETURNING id", "INSERT 0 1"),
    PLAIN: ("SELECT nextval('public.soak_sequence')", "SELECT 1"),
}


class Advance(SqlOperation):
    """An INSERT that takes a value of a sequence, or nextval()."""

    weight = 4

    def possible(self, session: Session) -> bool:
        return session.writable

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(list(ADVANCING))
        sql, tag = ADVANCING[name]

        def effect(session: Session) -> Expected:
            call = session.sequences.advance(name)
            return Expected(tag, ((ANY,),), learn=lambda rows: setattr(call, "value", (rows[0][0] or b"").decode()))

        return Statement(sql, effect)


class CurrentValue(SqlOperation):
    """currval() or lastval()."""

    weight = 4
    needs = Feature.SEQUENCES

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice([*ADVANCING, ""])

        def effect(session: Session) -> Expected:
            call = session.sequences.current.get(name) if name else session.sequences.last
            if call is None:
                raise Refused("55000")
            return Expected("SELECT 1", lambda: ((call.value,),))

        return Statement(f"SELECT currval('{name}')" if name else "SELECT lastval()", effect)
