"""What a database says of a role, and whether that role may come in.

Owns the query that reads a role, the meaning of its answer, and PostgreSQL's refusals in PostgreSQL's words and order.
Refuses to run the query (`proxy`) and to check passwords (`scram`, `md5`, `verifiers`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tidegate.auth.verifiers import Plain, Secret, parse_secret
from tidegate.errors import ConfigError, PgError, Sqlstate

OBJECT_NOT_IN_PREREQUISITE_STATE: Final = "55000"

# $1 is the user, $2 the database of a start-up packet. Of type name, they are cut at 63 bytes as the server cuts those
# of a start-up packet. Everything is qualified: no search_path can put another function or operator in its place. A
# missing database gives NULLs, a VALID UNTIL of infinity gives 'Infinity', none gives NULL.
_ROLE_SQL: Final = (
    "SELECT r.rolname, {password}, r.rolcanlogin, pg_catalog.date_part('epoch', r.rolvaliduntil),"
    " d.oid IS NOT NULL, d.datallowconn, pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')"
    " FROM pg_catalog.{roles} AS r LEFT JOIN pg_catalog.pg_database AS d"
    " ON d.datname OPERATOR(pg_catalog.=) $2::pg_catalog.name"
    " WHERE r.rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name"
)

LOOKUP_SQL: Final = _ROLE_SQL.format(password="r.rolpassword", roles="pg_authid")
"""All about a role, for a superuser."""

ADMISSION_SQL: Final = _ROLE_SQL.format(password="NULL", roles="pg_roles")
"""The same without the verifier, for anyone: what an auth_query leaves out."""


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role as read for one database. None means not known: the server will say.

    `is_role` is False for a user whom only an auth_query knows: such a one can come in only where the server connection
    is opened as somebody else.
    """

    name: str
    secret: Secret = field(repr=False)
    can_login: bool = True
    valid_until: float | None = None
    """Seconds since 1970 after which the password is worthless; None or infinity for never."""
    database_exists: bool | None = None
    accepts_connections: bool | None = None
    may_connect: bool | None = None
    is_role: bool = True


def parse_row(row: Sequence[bytes | None]) -> RoleRecord:
    """Read a row of LOOKUP_SQL, in text format. Raises ValueError for anything else.

    As in PostgreSQL, a stored password that is no verifier counts as none: pg_authid holds no plain text since 10.
    """
    name, verifier, can_login, valid_until, exists, accepts, may_connect = row
    if name is None:
        raise ValueError("a role's row has no name")
    return RoleRecord(
        name=_text(name),
        secret=_stored_verifier(verifier),
        can_login=_boolean(can_login),
        valid_until=None if valid_until is None else float(valid_until),
        database_exists=_boolean(exists),
        accepts_connections=_boolean(accepts),
        may_connect=_boolean(may_connect),
    )


def _stored_verifier(verifier: bytes | None) -> Secret:
    if verifier is None:
        return None
    try:
        secret = parse_secret(_text(verifier))
    except ValueError:
        return None
    return None if isinstance(secret, Plain) else secret


def _boolean(value: bytes | None) -> bool:
    if value not in (b"t", b"f", None):
        raise ValueError("a boolean in text format is t or f")
    return value == b"t"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


# A configured auth_query: PgBouncer's contract, so that a query written for it serves here unchanged.


def check_auth_query(query: str) -> None:
    """Raise ConfigError unless the query has $1, and no other, as a parameter."""
    parameters = set(re.findall(r"\$(\d+)", query))
    if parameters != {"1"}:
        raise ConfigError(
            f"auth_query = {query!r}: must take the user's name as $1 and nothing else, "
            "e.g. SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1"
        )


def parse_auth_query_row(
    user: str, row: Sequence[bytes | None], admission: Sequence[bytes | None] | None
) -> RoleRecord:
    """Read a row (user, secret) of a configured auth_query; the secret may be NULL, a verifier or a password.

    `admission` is that role's row of ADMISSION_SQL, None if there is no such role.

    Raises PgError if the row is not of that form or is another user's: a query that ignores case, for one, must not
    let a user in with a stranger's password.
    """
    if len(row) != 2 or row[0] is None:
        raise _bad_answer(user, "It must return two columns, a user name and a password or verifier.")
    if _text(row[0]) != user:
        raise _bad_answer(user, f'It returned the row of "{_text(row[0])}".')
    try:
        secret = None if not row[1] else parse_secret(_text(row[1]))
    except ValueError as error:
        raise _bad_answer(user, f"The second column is unusable: {error}.") from error
    if admission is None:
        return RoleRecord(user, secret, is_role=False)
    return replace(parse_row(admission), name=user, secret=secret)


def _bad_answer(user: str, detail: str) -> PgError:
    return PgError(
        f'auth_query gave no usable answer for user "{user}"',
        Sqlstate.INVALID_AUTHORIZATION,
        "FATAL",
        detail,
        "Correct auth_query in the configuration.",
    )


# Admission. PostgreSQL looks at the password first (ClientAuthentication, crypt.c), then at the role
# (InitializeSessionUserId), then at the database (InitPostgres, CheckMyDatabase); the first objection is the answer.


def exchange_secret(record: RoleRecord | None, now: float) -> Secret:
    """Return the secret to run the password exchange with; None, which dooms it, if there is no valid password.

    `now` is in seconds since 1970.
    """
    if record is None or (record.valid_until is not None and record.valid_until < now):
        return None
    return record.secret


def admits(record: RoleRecord | None, now: float) -> bool:
    """Whether the role is let in with the right password. `now` is in seconds since 1970."""
    return denial(record, "", "", now) is None


def denial(record: RoleRecord | None, user: str, database: str, now: float, *, trusted: bool = False) -> PgError | None:
    """Return why this role must not come in, or None; to be asked AFTER the password exchange.

    `record` is None for an unknown role, `now` is in seconds since 1970. With `trusted` (method trust) no password was
    asked for, so neither its absence nor its end matters.
    """
    if trusted and record is None:
        return _fatal(f'role "{user}" does not exist', Sqlstate.INVALID_AUTHORIZATION)
    if record is None or (not trusted and exchange_secret(record, now) is None):
        return wrong_password(user)
    if not record.can_login:
        return _fatal(f'role "{user}" is not permitted to log in', Sqlstate.INVALID_AUTHORIZATION)
    return _database_denial(record, database)


def _database_denial(record: RoleRecord, database: str) -> PgError | None:
    if record.database_exists is False:
        return _fatal(f'database "{database}" does not exist', Sqlstate.INVALID_CATALOG_NAME)
    if record.accepts_connections is False:
        message = f'database "{database}" is not currently accepting connections'
        return _fatal(message, OBJECT_NOT_IN_PREREQUISITE_STATE)
    if record.may_connect is False:
        message = f'permission denied for database "{database}"'
        return _fatal(message, Sqlstate.INSUFFICIENT_PRIVILEGE, "User does not have CONNECT privilege.")
    return None


def wrong_password(user: str) -> PgError:
    """The refusal of a wrong password, and of everything that must look like one."""
    return _fatal(f'password authentication failed for user "{user}"', Sqlstate.INVALID_PASSWORD)


def empty_password() -> PgError:
    """The refusal of a PasswordMessage (clear text or MD5) that holds nothing, whoever the user is."""
    return _fatal("empty password returned by client", Sqlstate.INVALID_PASSWORD)


def _fatal(message: str, sqlstate: str, detail: str = "") -> PgError:
    return PgError(message, sqlstate, "FATAL", detail)


def unreadable_roles(cause: PgError, reader: str) -> PgError:
    """What a client is told when LOOKUP_SQL was refused to `reader`, the proxy's own user at the database."""
    return PgError(
        "cannot read the role's password verifier from the database",
        Sqlstate.INSUFFICIENT_PRIVILEGE,
        "FATAL",
        f'As user "{reader}": {cause.message}.',
        "Pass-through needs a superuser to read pg_authid. Otherwise set auth_query to call a SECURITY DEFINER "
        "function that a superuser owns; where nobody is one, as on Amazon RDS, list the users in the configuration.",
    )
