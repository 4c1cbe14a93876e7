"""Acting as another role: SET ROLE, SET SESSION AUTHORIZATION and their ends.

Owns when each is allowed. Refuses other settings.
"""

from __future__ import annotations

import random

from tests.model.answers import Expected
from tests.model.client import ModelClient
from tests.model.database import ROLES
from tests.model.session import Session, Statement

from .base import SqlOperation, done


class SetRole(SqlOperation):
    """SET ROLE, SET SESSION ROLE, SET LOCAL ROLE, SET role =."""

    weight = 3

    def possible(self, session: Session) -> bool:
        return session.settings.text("session_authorization") == session.login.user

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        role = chance.choice(ROLES)
        form = chance.choice(["SET ROLE {}", "SET SESSION ROLE '{}'", "SET LOCAL ROLE {}", "SET role = '{}'"])

        def effect(session: Session) -> Expected:
            (session.settings.set_local if "LOCAL" in form else session.settings.set)("role", role)
            return done("SET")

        return Statement(form.format(role), effect)


class ResetRole(SqlOperation):
    """RESET ROLE, SET ROLE NONE."""

    weight = 2

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql, tag = chance.choice([("RESET ROLE", "RESET"), ("SET ROLE NONE", "SET"), ("RESET role", "RESET")])

        def effect(session: Session) -> Expected:
            session.settings.set("role", "none")
            return done(tag)

        return Statement(sql, effect)


class SetSessionAuthorization(SqlOperation):
    """SET SESSION AUTHORIZATION, which only a superuser's login may."""

    weight = 1

    def possible(self, session: Session) -> bool:
        return session.login.superuser and session.itself

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        role = chance.choice(ROLES)

        def effect(session: Session) -> Expected:
            session.settings.set("session_authorization", role)
            return done("SET")

        return Statement(f"SET SESSION AUTHORIZATION {role}", effect)


class ResetSessionAuthorization(SqlOperation):
    """RESET SESSION AUTHORIZATION."""

    weight = 2

    def possible(self, session: Session) -> bool:
        return session.settings.text("role") == "none"

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql, tag = chance.choice(
            [("RESET SESSION AUTHORIZATION", "RESET"), ("SET SESSION AUTHORIZATION DEFAULT", "SET")]
        )

        def effect(session: Session) -> Expected:
            session.settings.reset(["session_authorization"])
            return done(tag)

        return Statement(sql, effect)
