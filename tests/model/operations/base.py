"""What all operations have: a name, how often they are chosen, when they make sense, and how they are played.

Owns the ways of writing SQL that operations share. Refuses any operation of its own.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection
from types import ModuleType
from typing import ClassVar

from tests.model.answers import Expected
from tests.model.client import ModelClient, Transport
from tests.model.database import SHADOWED
from tests.model.features import Feature
from tests.model.session import Session, Statement


class Operation(ABC):
    """One thing that a client does. Its class is all that is needed: `ALL` in this package finds it."""

    weight: ClassVar[int] = 2
    pins: ClassVar[frozenset[str]] = frozenset()
    """What it may make the session hold (`Session.holds`)."""
    undoes: ClassVar[bool] = False
    """Whether it may let go of what is held."""
    needs: ClassVar[Feature | None] = None
    in_failed: ClassVar[bool] = False
    """Whether it makes sense in a failed transaction."""

    @property
    def kind(self) -> str:
        """Its name in reports."""
        return type(self).__name__

    def allowed(self, client: ModelClient) -> bool:
        """Whether it makes sense now."""
        if self.needs is not None and self.needs not in client.world.features:
            return False
        if self.pins - client.world.carried and not client.may_pin:
            return False
        return (self.in_failed or client.session.status != "E") and self.possible(client.session)

    def possible(self, session: Session) -> bool:
        """Whether it makes sense now, but for what the class says; to be overridden."""
        return True

    @abstractmethod
    def play(self, client: ModelClient) -> None:
        """Do it."""


def operations_of(module: ModuleType) -> list[Operation]:
    """One of each class that is written there."""
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Operation)]
    return [one() for one in classes if one.__module__ == module.__name__]


class SqlOperation(Operation):
    """One SQL statement, sent in any way."""

    joins: ClassVar[bool] = True
    """Whether it may stand among others in one message."""

    @abstractmethod
    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        """The statement and its effect."""

    def play(self, client: ModelClient) -> None:
        """Send it alone."""
        one = self.statement(client, client.session, client.chance)
        client.exchange([one], transport_for([one], client.chance))


def transport_for(statements: Collection[Statement], chance: random.Random) -> Transport:
    """Any way that these can be sent."""
    if any(one.values for one in statements):
        return chance.choice([Transport.EXTENDED, Transport.NAMED])
    return chance.choice([Transport.SIMPLE, Transport.SIMPLE, Transport.EXTENDED, Transport.NAMED])


def literal(session: Session, chance: random.Random, text: str) -> str:
    """A string constant in one of the ways that PostgreSQL reads ("String Constants")."""
    strings = session.settings.text("standard_conforming_strings")
    way = chance.randrange(4 if strings == session.strings else 2)
    doubled = text.replace("'", "''")
    if way == 0 and "$q$" not in text:
        return f"$q${text}$q$"
    if way < 2:
        return "E'" + doubled.replace("\\", "\\\\") + "'"
    if strings == "off":
        if way == 2:
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        doubled = doubled.replace("\\", "\\\\")
    return f"'{doubled}'"


def system(session: Session, chance: random.Random, name: str) -> str:
    """A function or table of PostgreSQL's; with its schema, where another would be found first."""
    if session.settings.text("search_path").startswith(SHADOWED) or chance.random() < 0.3:
        return f"pg_catalog.{name}"
    return name


def done(tag: str) -> Expected:
    """Success without rows."""
    return Expected(tag)
