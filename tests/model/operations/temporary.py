"""Temporary tables and cursors WITH HOLD.

Owns their names, which are the session's alone. Refuses to look for those of lost sessions: `leaving` does.
"""

from __future__ import annotations

import random

from tests.model.answers import Expected, selected
from tests.model.client import ModelClient
from tests.model.kept import Cursor, OnCommit, TempTable
from tests.model.session import Refused, Session, Statement

from .base import SqlOperation, done

TEMP = frozenset({"temp_object"})
HOLD = frozenset({"hold_cursor"})


class CreateTemp(SqlOperation):
    """CREATE TEMP TABLE, with all that ON COMMIT can say; CREATE TEMP TABLE AS; SELECT INTO TEMP."""

    weight = 3
    pins = TEMP

    def possible(self, session: Session) -> bool:
        return session.itself and session.writable and len(session.tables) < 3

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = f"soak_temp_{client.number}_{client.mark().rpartition('.')[2]}"
        on_commit = chance.choice(list(OnCommit))
        way = chance.randrange(3)
        rows = (way, 7)
        if way == 0:
            sql, tag, rows = f"CREATE TEMP TABLE {name} (n int) ON COMMIT {on_commit}", "CREATE TABLE", ()
        elif way == 1:
            sql = f"CREATE TEMPORARY TABLE {name} ON COMMIT {on_commit} AS SELECT unnest(ARRAY[1, 7]) AS n"
            tag = "SELECT 2"
        else:
            sql, tag = f"SELECT unnest(ARRAY[2, 7]) AS n INTO TEMP {name}", "SELECT 2"
            on_commit = OnCommit.PRESERVE

        def effect(session: Session) -> Expected:
            session.tables[name] = TempTable(on_commit, rows)
            return done(tag)

        return Statement(sql, effect)


class UseTemp(SqlOperation):
    """INSERT into a temporary table, or all its rows."""

    weight = 5

    def possible(self, session: Session) -> bool:
        return session.itself and bool(session.tables)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(list(session.tables))
        if chance.random() < 0.5:
            number = chance.randrange(100)

            def insert(session: Session) -> Expected:
                session.tables[name] = session.tables[name].with_rows((number,))
                return done("INSERT 0 1")

            return Statement(f"INSERT INTO {name} VALUES ({number})", insert)

        def read(session: Session) -> Expected:
            return selected(",".join(str(one) for one in sorted(session.tables[name].rows)))

        return Statement(f"SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM {name}", read)


class MissingTemp(SqlOperation):
    """A temporary table that this session never made, with a name that another's has."""

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = f"soak_temp_{client.number + 1}_{chance.randrange(1, 60)}"
        return Statement(f"SELECT * FROM {name}", lambda session: session.refuse("42P01"))


class DropTemp(SqlOperation):
    """DROP TABLE."""

    weight = 3
    undoes = True

    def possible(self, session: Session) -> bool:
        return session.itself and session.writable and bool(session.tables)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(list(session.tables))

        def effect(session: Session) -> Expected:
            del session.tables[name]
            return done("DROP TABLE")

        return Statement(f"DROP TABLE {chance.choice(['', 'pg_temp.'])}{name}", effect)


class DeclareHold(SqlOperation):
    """DECLARE ... CURSOR WITH HOLD."""

    weight = 2
    pins = HOLD

    def possible(self, session: Session) -> bool:
        return len(session.cursors) < 3

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(["c1", "c2", '"C 3"'])
        first = client.number * 1000 + chance.randrange(900)

        def effect(session: Session) -> Expected:
            if name in session.cursors:
                raise Refused("42P03")
            session.undoable.cursors[name] = Cursor(tuple(range(first, first + 6)))
            return done("DECLARE CURSOR")

        sql = f"DECLARE {name} CURSOR WITH HOLD FOR SELECT generate_series({first}, {first + 5})"
        return Statement(sql, effect)


class Fetch(SqlOperation):
    """FETCH of an open cursor."""

    weight = 4

    def possible(self, session: Session) -> bool:
        return bool(session.cursors)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, count = chance.choice(list(session.cursors)), chance.randint(1, 3)

        def effect(session: Session) -> Expected:
            rows = session.cursors[name].fetch(count)
            return Expected(f"FETCH {len(rows)}", [(str(one),) for one in rows])

        return Statement(f"FETCH {count} FROM {name}", effect)


class CloseCursor(SqlOperation):
    """CLOSE, also of one that is not there, and CLOSE ALL."""

    weight = 3
    undoes = True

    def possible(self, session: Session) -> bool:
        return bool(session.cursors)

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice([*session.cursors, "ALL"])

        def effect(session: Session) -> Expected:
            for one, cursor in session.cursors.items():
                cursor.closed = cursor.closed or name in (one, "ALL")
            return done("CLOSE CURSOR ALL" if name == "ALL" else "CLOSE CURSOR")

        return Statement(f"CLOSE {name}", effect)


class MissingCursor(SqlOperation):
    """FETCH from a cursor that isn't open."""

    weight = 1

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement("FETCH 1 FROM c9", lambda session: session.refuse("34000"))
