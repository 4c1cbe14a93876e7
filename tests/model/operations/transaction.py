"""Transaction blocks and savepoints.

Owns the statements that begin, end and divide transactions. Refuses what happens within: other operations do.
"""

from __future__ import annotations

import random

from tests.model.answers import Expected
from tests.model.client import ModelClient
from tests.model.session import Session, Statement

from .base import SqlOperation, done


class Begin(SqlOperation):
    """BEGIN in its forms."""

    weight = 14
    joins = False

    def possible(self, session: Session) -> bool:
        return session.status == "I"

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        form = chance.choice(
            ["BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY"]
        )

        def effect(session: Session) -> Expected:
            session.begin()
            if "REPEATABLE" in form:
                session.isolation = "repeatable read"
            if "READ ONLY" in form:
                session.read_only = True
            return done("START TRANSACTION" if form.startswith("START") else "BEGIN")

        return Statement(form, effect)


class End(SqlOperation):
    """COMMIT and ROLLBACK; the COMMIT of a failed block is a ROLLBACK."""

    weight = 14
    joins = False
    in_failed = True
    undoes = True

    def possible(self, session: Session) -> bool:
        return session.status != "I"

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql = chance.choice(["COMMIT", "COMMIT", "END", "ROLLBACK", "ABORT"])

        def effect(session: Session) -> Expected:
            return done("COMMIT" if session.end(sql in ("COMMIT", "END")) else "ROLLBACK")

        return Statement(sql, effect, ends_failed=True)


NAMES = ("a", "b", '"C d"')


class Savepoint(SqlOperation):
    """SAVEPOINT."""

    weight = 8

    def possible(self, session: Session) -> bool:
        return session.status == "T" and len(session.savepoints) < 5

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(NAMES)

        def effect(session: Session) -> Expected:
            session.savepoint(name)
            return done("SAVEPOINT")

        return Statement(f"SAVEPOINT {name}", effect)


class RollbackTo(SqlOperation):
    """ROLLBACK TO SAVEPOINT, also out of a failed state, also to one that isn't there."""

    weight = 6
    in_failed = True
    joins = False

    def possible(self, session: Session) -> bool:
        return session.status != "I" and bool(session.savepoints)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice([name for name, _ in session.savepoints] + ["missing"] * (chance.random() < 0.1))

        def effect(session: Session) -> Expected:
            session.rollback_to(name)
            return done("ROLLBACK")

        return Statement(f"ROLLBACK TO SAVEPOINT {name}", effect, ends_failed=True)


class Release(SqlOperation):
    """RELEASE SAVEPOINT."""

    weight = 3

    def possible(self, session: Session) -> bool:
        return session.status == "T" and bool(session.savepoints)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice([name for name, _ in session.savepoints])

        def effect(session: Session) -> Expected:
            session.release(name)
            return done("RELEASE")

        return Statement(f"RELEASE SAVEPOINT {name}", effect)


class InFailed(SqlOperation):
    """Whatever is said in a failed block is refused."""

    weight = 6
    in_failed = True
    FORMS = ("SELECT 1", "SET work_mem = '9999kB'", "SAVEPOINT a", "LISTEN soak_a", "DISCARD ALL", "RESET ALL")

    def possible(self, session: Session) -> bool:
        return session.status == "E"

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement(chance.choice(self.FORMS), lambda session: session.refuse("25P02"))


class NotInBlock(SqlOperation):
    """DISCARD ALL is refused in a block."""

    weight = 1

    def possible(self, session: Session) -> bool:
        return session.status == "T"

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement("DISCARD ALL", lambda session: session.refuse("25001"))
