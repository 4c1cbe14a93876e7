"""What PostgreSQL says when a database is to be dropped, renamed, moved or copied while others are connected to it.

Owns the question whether that is the only thing in the way, and the errors in PostgreSQL's words (dbcommands.c:
createdb, dropdb, RenameDatabase, movedb, errdetail_busy_db; procarray.c: TerminateOtherDBBackends). Refuses to know who
is connected to the proxy (`proxy.vacating`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.errors import PgError, Sqlstate
from tidegate.session.backends import Act as Signalling
from tidegate.session.databases import Act, DatabaseStatement
from tidegate.session.settings import literal

_EQUALS = b" OPERATOR(pg_catalog.=) "
_DIFFERS = b" OPERATOR(pg_catalog.<>) "
_ME = b"FROM pg_catalog.pg_roles WHERE rolname" + _EQUALS + b"current_user"

_OWNS = b"pg_catalog.pg_has_role(d.datdba,'USAGE')"
_MAY_CREATE = b"EXISTS(SELECT " + _ME + b" AND (rolsuper OR rolcreatedb))"
_ELSEWHERE = b"d.datname" + _DIFFERS + b"pg_catalog.current_database()"
_NEW_NAME = b"NOT EXISTS(SELECT FROM pg_catalog.pg_database WHERE datname" + _EQUALS + b"%s)"
_NEW_PLACE = (
    b"EXISTS(SELECT FROM pg_catalog.pg_tablespace AS t WHERE t.spcname" + _EQUALS + b"%s"
    b" AND t.oid" + _DIFFERS + b"d.dattablespace AND t.spcname" + _DIFFERS + b"'pg_global'"
    b" AND pg_catalog.has_tablespace_privilege(t.oid,'CREATE'))"
)

# What PostgreSQL checks before it looks for other sessions.
_ALLOWED = {
    Act.COPY: (_MAY_CREATE, b"(d.datistemplate OR " + _OWNS + b")", _NEW_NAME),
    Act.DROP: (_OWNS, b"NOT d.datistemplate", _ELSEWHERE),
    Act.RENAME: (_OWNS, _MAY_CREATE, _NEW_NAME, _ELSEWHERE),
    Act.MOVE: (_OWNS, _ELSEWHERE, _NEW_PLACE),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """How things stand for a statement, apart from the proxy's clients."""

    allowed: bool
    """Nothing but other sessions would be in the way."""
    may_end: bool
    """Its role may end sessions of the users that were named."""
    sessions: int
    """Backends of others in that database, the proxy's included."""
    prepared: int
    """Prepared transactions there."""


def judge_sql(statement: DatabaseStatement, users: Iterable[bytes]) -> bytes:
    """One row for `read_judgement`, to be asked in the session that runs the statement. `users`: who is to be ended."""
    database = _name(statement.database)
    allowed = b" AND ".join(_ALLOWED[statement.act]).replace(b"%s", _name(statement.other))
    return (
        b"SELECT EXISTS(SELECT FROM pg_catalog.pg_database AS d WHERE d.datname" + _EQUALS + database + b" AND "
        + allowed + b")," + may_signal(users)
        + b",(SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.datname" + _EQUALS + database
        + b" AND a.pid" + _DIFFERS + b"pg_catalog.pg_backend_pid() AND coalesce(a.backend_type,'')" + _DIFFERS
        + b"'autovacuum worker'),(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database"
        + _EQUALS + database + b")"
    )  # fmt: skip


def read_judgement(row: Sequence[bytes | None]) -> Judgement:
    """From the row of judge_sql; ValueError if it is no such row."""
    allowed, may_end, sessions, prepared = row
    return Judgement(allowed == b"t", may_end == b"t", int(sessions or b"0"), int(prepared or b"0"))


def may_signal(users: Iterable[bytes]) -> bytes:
    """An expression: whether the current role may end sessions of all these (signalfuncs.c, pg_signal_backend)."""
    names = b",".join(map(literal, users))
    return (
        b"NOT EXISTS(SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname" + _EQUALS + b"ANY(ARRAY[" + names
        + b"]::pg_catalog.name[]) AND NOT ((SELECT m.rolsuper OR NOT r.rolsuper FROM pg_catalog.pg_roles AS m"
        b" WHERE m.rolname" + _EQUALS + b"current_user) AND (pg_catalog.pg_has_role(r.oid,'USAGE')"
        b" OR pg_catalog.pg_has_role('pg_signal_backend','USAGE'))))"
    )  # fmt: skip


def in_use(statement: DatabaseStatement, sessions: int, prepared: int) -> PgError:
    """What PostgreSQL answers where others are connected."""
    name = statement.database.decode("utf-8", "replace")
    what = f'source database "{name}"' if statement.act is Act.COPY else f'database "{name}"'
    return PgError(
        f"{what} is being accessed by other users", Sqlstate.OBJECT_IN_USE, detail=_detail(sessions, prepared)
    )


def signal_sql(caller: bytes, victim: bytes) -> bytes:
    """One row: whether the role `caller` may signal a backend of `victim`, and whether that one is a superuser."""
    return (
        b"SELECT (c.rolsuper OR NOT v.rolsuper) AND (pg_catalog.pg_has_role(c.oid,v.oid,'USAGE') OR"
        b" pg_catalog.pg_has_role(c.oid,'pg_signal_backend','USAGE')),v.rolsuper AND NOT c.rolsuper FROM"
        b" pg_catalog.pg_roles AS c, pg_catalog.pg_roles AS v WHERE c.rolname" + _EQUALS + literal(caller)
        + b" AND v.rolname" + _EQUALS + literal(victim)
    )  # fmt: skip


def may_not_signal(act: Signalling, superuser: bool) -> PgError:
    """What PostgreSQL answers to one who may not (signalfuncs.c). superuser: the other one is, and this one is not."""
    to, do, what, gerund = _SIGNAL_WORDS[act]
    who = "the SUPERUSER attribute" if superuser else f"privileges of the role whose {what} is being {gerund}"
    detail = (
        f"Only roles with {who} may {do} of roles with the SUPERUSER attribute."
        if superuser
        else f'Only roles with {who} or with privileges of the "pg_signal_backend" role may {to} this {what}.'
    )
    message = f"permission denied to {to} {what}"
    return PgError(message, Sqlstate.INSUFFICIENT_PRIVILEGE, detail=detail)


def may_not_end() -> PgError:
    """What PostgreSQL answers to DROP DATABASE ... WITH (FORCE) by one who may not end the sessions there."""
    return may_not_signal(Signalling.TERMINATE, superuser=False)


_SIGNAL_WORDS = {
    Signalling.TERMINATE: ("terminate", "terminate processes", "process", "terminated"),
    Signalling.CANCEL: ("cancel", "cancel queries", "query", "canceled"),
}


def _detail(sessions: int, prepared: int) -> str:
    if sessions and prepared:
        return f"There are {sessions} other session(s) and {prepared} prepared transaction(s) using the database."
    count, what = (sessions, "other session") if sessions else (prepared, "prepared transaction")
    return f"There is 1 {what} using the database." if count == 1 else f"There are {count} {what}s using the database."


def _name(name: bytes) -> bytes:
    return literal(name) + b"::pg_catalog.name"
