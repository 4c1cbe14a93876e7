"""Advisory locks: of the session, of the transaction, and some that several clients try to get.

Owns the keys. Refuses to wait for a lock that another client may have.
"""

from __future__ import annotations

import random

from tests.model.answers import ANY, Expected, selected
from tests.model.client import ModelClient
from tests.model.session import Session, Statement

from .base import Operation, SqlOperation, system

LOCK = frozenset({"advisory_lock"})
SHARED_KEYS = (11, 12, 13)


def own_key(client: ModelClient, chance: random.Random) -> int:
    """A key that no other client uses."""
    return (client.number + 1) * 1000 + chance.randrange(4)


class LockSession(SqlOperation):
    """pg_advisory_lock() and its like."""

    pins = LOCK

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        key, shared, tries = own_key(client, chance), chance.random() < 0.3, chance.random() < 0.5
        function = f"pg_{'try_' if tries else ''}advisory_lock{'_shared' if shared else ''}"

        def effect(session: Session) -> Expected:
            session.locks.session[key, shared] += 1
            return selected("t" if tries else "")

        return Statement(f"SELECT {system(session, chance, function)}({key})", effect)


class LockTransaction(SqlOperation):
    """pg_advisory_xact_lock(): gone with the transaction. Not after a savepoint, whose rollback would free it."""

    def possible(self, session: Session) -> bool:
        return not session.savepoints

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        key = own_key(client, chance) + 500

        def effect(session: Session) -> Expected:
            session.locks.transaction.add((key, False))
            return selected("")

        return Statement(f"SELECT {system(session, chance, 'pg_advisory_xact_lock')}({key})", effect)


class Unlock(SqlOperation):
    """pg_advisory_unlock() of what is held, or of what isn't."""

    weight = 3
    undoes = True

    def possible(self, session: Session) -> bool:
        return bool(session.locks.held())

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        wrong = (own_key(client, chance) + 900, False)
        key, shared = chance.choice([*[one for one in session.locks.held() if one[0] not in SHARED_KEYS], wrong])
        function = f"pg_advisory_unlock{'_shared' if shared else ''}"

        def effect(session: Session) -> Expected:
            return selected("t" if session.locks.unlock((key, shared)) else "f")

        return Statement(f"SELECT {system(session, chance, function)}({key})", effect)


class UnlockAll(SqlOperation):
    """pg_advisory_unlock_all()."""

    weight = 1
    undoes = True

    def possible(self, session: Session) -> bool:
        return bool(session.locks.held())

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            client.world.locks.freeing(session)
            session.locks.session.clear()
            return selected("")

        return Statement(f"SELECT {system(session, chance, 'pg_advisory_unlock_all')}()", effect)


class TryShared(Operation):
    """pg_try_advisory_lock() of a key that others want, too: whatever the answer, nobody else has it as well."""

    pins = LOCK

    def play(self, client: ModelClient) -> None:
        key, session = client.chance.choice(SHARED_KEYS), client.session
        held = bool(session.locks.session[key, False])

        def learn(answer: bytes | None) -> None:
            if answer == b"t":
                session.locks.session[key, False] += 1
                if words := client.world.locks.taken(key, session):
                    client.differ(words)
            elif held:
                client.differ(f"advisory lock {key} was refused to the session that has it")

        def effect(session: Session) -> Expected:
            return Expected("SELECT 1", ((ANY,),), learn=lambda rows: learn(rows[0][0]))

        client.exchange([Statement(f"SELECT pg_try_advisory_lock({key})", effect)])


class UnlockShared(SqlOperation):
    """pg_advisory_unlock() of such a key."""

    weight = 4
    undoes = True

    def possible(self, session: Session) -> bool:
        return any(key in SHARED_KEYS for key, _ in session.locks.held())

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        key = chance.choice([key for key, _ in session.locks.held() if key in SHARED_KEYS])

        def effect(session: Session) -> Expected:
            if session.locks.session[key, False] == 1:
                client.world.locks.freeing(session, key)
            return selected("t" if session.locks.unlock((key, False)) else "f")

        return Statement(f"SELECT pg_advisory_unlock({key})", effect)
