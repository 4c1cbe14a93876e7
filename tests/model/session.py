"""The model of one session: its transaction, and everything that it keeps.

Owns what a transaction's end does to each part ("BEGIN", "ROLLBACK TO SAVEPOINT"; protocol, "Multiple Statements in a
Simple Query" and "Pipelining"). Refuses sockets, SQL text and other sessions: what those must see is left in `events`.

A message is a series of statements: a Query, or what stands before one Sync. Outside a transaction block they are one
implicit transaction. What a rollback undoes is in one object, `undoable`, which is copied where the rollback may return
to; what it doesn't undo (prepared statements, advisory locks, cursors' positions) is beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .answers import Expected
from .kept import Cursor, Locks, Sequences, TempTable, at_commit
from .plans import Plans
from .settings import IDENTITY, Settings


class Refused(Exception):
    """PostgreSQL refuses the statement with this SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class Event(NamedTuple):
    """What a commit makes known to others: `listen`, `unlisten` ('*' for all) or `notify`."""

    what: str
    channel: str
    payload: str = ""


@dataclass
class Undoable:
    """What ROLLBACK returns to where it was."""

    settings: Settings
    tables: dict[str, TempTable] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def copy(self) -> Undoable:
        """To return to; cursors are the same ones."""
        return Undoable(self.settings.copy(), dict(self.tables), dict(self.cursors), self.events)


Effect = Callable[["Session"], Expected]


@dataclass(frozen=True)
class Statement:
    """SQL, and what it does to the model. `values` are its parameters, which only the extended protocol can pass."""

    sql: str
    effect: Effect
    values: tuple[str | None, ...] = ()
    ends_failed: bool = False
    """ROLLBACK and its like, which a failed transaction takes."""


@dataclass(frozen=True)
class Login:
    """Who comes, with which start-up parameters, and what settings are then before anything is said."""

    user: str
    superuser: bool
    parameters: Mapping[str, str]
    defaults: Mapping[str, str]
    preset: frozenset[str]
    """Settings that a start-up parameter has set."""


class Session:
    """One session, from its login to its end."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.status = "I"
        self.undoable = Undoable(Settings(login.defaults))
        self.savepoints: list[tuple[str, Undoable]] = []
        self.plans = Plans()
        self.locks = Locks()
        self.sequences = Sequences()
        self.listening: set[str] = set()
        self.events: list[Event] = []
        """What was committed, for the client to tell the others of."""
        self.bound: set[str] = set()
        """Why a proxy may keep it at one server until it ends, by the names of its reasons."""
        self.isolation = ""
        self.read_only = False
        self.strings = self.settings.text("standard_conforming_strings")
        """standard_conforming_strings when the message began: a Query is read as a whole, before any of it is run."""
        self._before: Undoable | None = None

    # --- what operations ask ---------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """As they are now."""
        return self.undoable.settings

    @property
    def tables(self) -> dict[str, TempTable]:
        """Temporary tables that are there now."""
        return self.undoable.tables

    @property
    def cursors(self) -> dict[str, Cursor]:
        """Cursors WITH HOLD that are open."""
        return {name: cursor for name, cursor in self.undoable.cursors.items() if not cursor.closed}

    @property
    def user(self) -> str:
        """current_user."""
        role = self.settings.text("role")
        return self.settings.text("session_authorization") if role == "none" else role

    @property
    def itself(self) -> bool:
        """Whether it acts as the role that logged in."""
        return self.user == self.login.user and self.settings.text("role") == "none"

    @property
    def writable(self) -> bool:
        """Whether the current transaction, or the next one, may write."""
        if self._before is not None:
            return not self.read_only
        return self.settings.text("default_transaction_read_only") == "off"

    def holds(self) -> set[str]:
        """What binds it to its server connection, by the names of the proxy's reasons."""
        found = {
            "temp_object": self.tables,
            "hold_cursor": self.cursors,
            "advisory_lock": self.locks.held(),
            "listen": self.listening,
            "sql_prepare": self.plans.by_sql(),
        }
        return {reason for reason, there in found.items() if there} | self.bound

    # --- messages --------------------------------------------------------------------------------------------------

    def run(self, statement: Statement) -> Expected:
        """One statement: the answer that must come. An error ends the message."""
        if self.status == "E" and not statement.ends_failed:
            return Expected(sqlstate="25P02")
        self._enter()
        try:
            return statement.effect(self)
        except Refused as refusal:
            self.fail()
            return Expected(sqlstate=refusal.sqlstate)

    def refuse(self, sqlstate: str) -> Expected:
        """An effect of statements that PostgreSQL refuses."""
        raise Refused(sqlstate)

    def end_message(self) -> None:
        """ReadyForQuery: an implicit transaction ends with the message."""
        if self.status == "I" and self._before is not None:
            self._commit()
        self.strings = self.settings.text("standard_conforming_strings")

    def fail(self) -> None:
        """An error: what came since the last savepoint, or BEGIN, is undone at once (AbortCurrentTransaction)."""
        if self.status == "I":
            self._roll_back()
            return
        assert self._before is not None
        self.status = "E"
        self.undoable = (self.savepoints[-1][1] if self.savepoints else self._before).copy()
        if not self.savepoints:
            self.locks.transaction.clear()  # they are from before any savepoint (see operations.locking)

    def _enter(self) -> None:
        if self._before is None:
            self._before = self.undoable.copy()
            self.isolation = self.settings.text("default_transaction_isolation")
            self.read_only = self.settings.text("default_transaction_read_only") == "on"

    # --- transactions ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """BEGIN: a block of what the message has done so far, and of what follows."""
        self.status = "T"

    def end(self, commit: bool) -> bool:
        """COMMIT or ROLLBACK; whether it was a commit in the end."""
        committed = commit and self.status == "T"
        self.status = "I"
        if committed:
            self._commit()
        else:
            self._roll_back()
        return committed

    def savepoint(self, name: str) -> None:
        """SAVEPOINT; another of the same name is hidden, not replaced."""
        self.savepoints.append((name, self.undoable.copy()))

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO SAVEPOINT: later ones are gone, this one stays."""
        at = self._find(name)
        del self.savepoints[at + 1 :]
        self.undoable = self.savepoints[at][1].copy()
        self.status = "T"

    def release(self, name: str) -> None:
        """RELEASE SAVEPOINT: it and later ones are gone, what they did stays."""
        del self.savepoints[self._find(name) :]

    def _find(self, name: str) -> int:
        for at in range(len(self.savepoints) - 1, -1, -1):
            if self.savepoints[at][0] == name:
                return at
        raise Refused("3B001")

    def _commit(self) -> None:
        self.settings.local.clear()
        self.undoable.tables = at_commit(self.undoable.tables)
        self.undoable.cursors = self.cursors
        for event in self.undoable.events:
            self._make_known(event)
        self._close_block()

    def _make_known(self, event: Event) -> None:
        if event.what == "listen":
            self.listening.add(event.channel)
        elif event.channel == "*":
            self.listening.clear()
        elif event.what == "unlisten":
            self.listening.discard(event.channel)
        self.events.append(event)

    def _roll_back(self) -> None:
        assert self._before is not None
        self.undoable = self._before
        self._close_block()

    def _close_block(self) -> None:
        self._before = None
        self.undoable.events = ()
        self.savepoints.clear()
        self.locks.transaction.clear()

    def unlisten_all(self) -> None:
        """UNLISTEN *, from the commit on."""
        self.undoable.events += (Event("unlisten", "*"),)

    # --- DISCARD ---------------------------------------------------------------------------------------------------

    def discard_all(self) -> None:
        """DISCARD ALL ("DISCARD"), which no transaction block takes."""
        self.settings.reset(IDENTITY)
        self.settings.reset_all()
        self.plans.deallocate_all()
        self.unlisten_all()
        self.locks.session.clear()
        self.tables.clear()
        self.sequences.discard()
        for cursor in self.cursors.values():
            cursor.closed = True
