"""Looking: nothing changes, and everything must be the session's own.

Owns the questions. Refuses to change anything.
"""

from __future__ import annotations

import random

from tests.model.answers import ANY, Expected, Value, selected
from tests.model.client import ModelClient, Transport
from tests.model.database import PLACES
from tests.model.session import Refused, Session, Statement
from tests.model.settings import CODECS, CUSTOM, ORDINARY

from .base import Operation, SqlOperation, system

DATES = {
    "ISO": "2024-03-05",
    "German, DMY": "05.03.2024",
    "SQL, DMY": "05/03/2024",
    "SQL, MDY": "03/05/2024",
    "Postgres, DMY": "05-03-2024",
    "Postgres, MDY": "03-05-2024",
}
INTERVALS = {"postgres": "1 day 02:00:00", "iso_8601": "P1DT2H", "sql_standard": "1 2:00:00"}


class ShowSetting(SqlOperation):
    """SHOW, or current_setting()."""

    weight = 12

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        if chance.random() < 0.5:
            name = chance.choice(list(ORDINARY))
            return Statement(f"SHOW {name}", lambda session: Expected("SHOW", ((session.settings.value(name),),)))
        name = chance.choice([*ORDINARY, *CUSTOM, *CUSTOM])
        call = system(session, chance, "current_setting")
        return Statement(f"SELECT {call}('{name}', true)", lambda session: selected(session.settings.value(name)))


class ShowEverything(Operation):
    """All settings, who one is, what is locked and which notifications are listened to, in one query."""

    weight = 12

    def play(self, client: ModelClient) -> None:
        alone = client.session.status == "I"
        names = [*ORDINARY, *CUSTOM]
        columns = [f"pg_catalog.current_setting('{name}', true)" for name in names]
        columns += ["current_user::text", "session_user::text", "pg_catalog.current_setting('role')"]
        columns += ["pg_catalog.current_setting('transaction_isolation')"]
        columns += ["pg_catalog.current_setting('transaction_read_only')", "pg_catalog.pg_backend_pid()"]

        def effect(session: Session) -> Expected:
            values: list[Value] = [session.settings.value(name) for name in names]
            values += [session.user, session.settings.text("session_authorization"), session.settings.text("role")]
            values += [session.isolation, "on" if session.read_only else "off", ANY]
            return Expected("SELECT 1", (values,), learn=lambda rows: learn(rows[0][-1] or b""))

        def learn(pid: bytes) -> None:
            if alone:
                client.saw_server(pid.decode())

        transport = client.chance.choice(list(Transport))
        client.exchange([Statement("SELECT " + ", ".join(columns), effect)], transport)


class ShowLocks(SqlOperation):
    """pg_locks: the advisory locks of this backend are this session's."""

    weight = 4

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement(
            f"SELECT count(*) FROM {system(session, chance, 'pg_locks')}"
            " WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            lambda session: selected(str(session.locks.count())),
        )


class ShowFormats(SqlOperation):
    """Output follows the settings."""

    weight = 4

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            style = session.settings.text("DateStyle")
            date = DATES.get(style) or DATES[style.split(",")[0]]
            blob = "\\x00ff" if session.settings.text("bytea_output") == "hex" else "\\000\\377"
            letter = "é".encode(CODECS[session.settings.text("client_encoding")])
            return selected(date, INTERVALS[session.settings.text("IntervalStyle")], blob, letter)

        sql = "SELECT date '2024-03-05', interval '1 day 2 hours', '00ff'::text::bytea, chr(233)"
        return Statement(sql.replace("'00ff'::text::bytea", "decode('00ff', 'hex')"), effect)


class WhereAmI(SqlOperation):
    """An unqualified table is the one that search_path finds."""

    weight = 5

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement("SELECT name FROM place", lambda session: selected(place(session)))


def place(session: Session) -> str:
    """What `SELECT name FROM place` finds; Refused if no schema of the path has that table."""
    for schema in session.settings.text("search_path").split(","):
        if schema.strip() in PLACES:
            return PLACES[schema.strip()]
    raise Refused("42P01")
