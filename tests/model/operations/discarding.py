"""DISCARD, and the queries with which drivers reset a session.

Owns what each leaves. Refuses anything narrower: that is beside what makes it.
"""

from __future__ import annotations

import random

from tests.model.answers import Expected
from tests.model.client import ModelClient, Transport
from tests.model.session import Session, Statement

from .base import Operation, SqlOperation, done


class DiscardAll(SqlOperation):
    """DISCARD ALL, outside a block."""

    weight = 2
    undoes = True
    joins = False

    def possible(self, session: Session) -> bool:
        # A read-only transaction may not drop tables.
        return session.status == "I" and (session.writable or not session.tables)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            client.world.locks.freeing(session)
            session.discard_all()
            return done("DISCARD ALL")

        return Statement("DISCARD ALL", effect)


class DiscardPart(SqlOperation):
    """DISCARD PLANS, TEMP, SEQUENCES."""

    weight = 1
    undoes = True

    def possible(self, session: Session) -> bool:
        return session.writable

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        part = chance.choice(["PLANS", "TEMP", "TEMPORARY", "SEQUENCES"])

        def effect(session: Session) -> Expected:
            if part.startswith("TEMP"):
                session.tables.clear()
            elif part == "SEQUENCES":
                session.sequences.discard()
            return done(f"DISCARD {part}".replace("TEMPORARY", "TEMP"))

        return Statement(f"DISCARD {part}", effect)


class DriverReset(Operation):
    """What asyncpg sends when a connection goes back to its pool, and Npgsql's, statement by statement."""

    weight = 1
    undoes = True

    def possible(self, session: Session) -> bool:
        return session.status == "I" and not session.login.preset

    def play(self, client: ModelClient) -> None:
        def unlock(session: Session) -> Expected:
            client.world.locks.freeing(session)
            session.locks.session.clear()
            return Expected("SELECT 1", (("",),))

        def close(session: Session) -> Expected:
            for cursor in session.cursors.values():
                cursor.closed = True
            return done("CLOSE CURSOR ALL")

        def unlisten(session: Session) -> Expected:
            session.unlisten_all()
            return done("UNLISTEN")

        def reset(session: Session) -> Expected:
            session.settings.reset_all()
            return done("RESET")

        statements = [
            Statement("SELECT pg_catalog.pg_advisory_unlock_all()", unlock),
            Statement("CLOSE ALL", close),
            Statement("UNLISTEN *", unlisten),
            Statement("RESET ALL", reset),
        ]
        client.exchange(statements, Transport.SIMPLE)
