"""A database as a secret describes it: logging in, and changing a role's password there.

Owns what goes to PostgreSQL for rotation. Refuses to send a password in clear: logins prove themselves by SCRAM or MD5
(or fail), and what ALTER ROLE carries is a SCRAM verifier, so that neither a forged server nor the database's log sees
a password. A server that asks for no proof (`trust`) is refused too: there a login says nothing about the password.

Whatever a server does or leaves undone, each connection has its end in time: a login by CONNECT_TIMEOUT, what is said
after it by TIME_LIMIT. The database's own statement_timeout comes first, where there is a database that obeys it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from tidegate.auth.scram_keys import ScramKeys
from tidegate.control.services.secretsmanager.credentials import CredentialsError, login_in, place_in

CONNECT_TIMEOUT = 10
"""Seconds for each address of the host."""
TIME_LIMIT = 30.0
"""Seconds that a connection may be used, from its login on."""
STATEMENT_TIMEOUT = 15_000
"""Milliseconds."""
DEFAULT_DATABASE = "postgres"

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class _Line:
    """The socket below a connection: cut when TIME_LIMIT is over, since libpq waits for an answer without an end.

    A descriptor of its own, so that it is this connection's for as long as anybody may cut it.
    """

    def __init__(self, descriptor: int) -> None:
        self.was_cut = False
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._timer = threading.Timer(TIME_LIMIT, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        self.was_cut = True
        with suppress(OSError):  # the server has gone already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut nothing any more."""
        self._timer.cancel()
        self._timer.join()
        self._socket.close()


class _Limited(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is over after TIME_LIMIT: what waits then fails with StatementError."""

    _line: _Line | None = None

    def begin(self) -> None:
        """From now on."""
        self._line = _Line(self.fileno())

    def execute(self, *given: Any, **options: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """As psycopg's."""
        try:
            return super().execute(*given, **options)
        except psycopg.Error:
            if self._line is not None and self._line.was_cut:
                raise StatementError(f"no answer came within {TIME_LIMIT:g} seconds") from None
            raise

    def close(self) -> None:
        """As psycopg's."""
        if self._line is not None:
            self._line.close()
        super().close()


class LoginError(Exception):
    """The database could not be reached, or did not let the user in; the text is the database's."""


class StatementError(Exception):
    """The database refused a statement; the text is its message, without the statement."""


@dataclass(frozen=True, slots=True)
class Account:
    """One user of one database."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    sslmode: str
    """"ssl" true: require, false: disable; not said: TLS where the server has it, as AWS's functions do."""

    @property
    def place(self) -> tuple[str, int]:
        """Which server: what may not change in a rotation."""
        return self.host, self.port


def account_in(fields: Mapping[str, Any]) -> Account:
    """What a database secret's JSON says. CredentialsError for what can't be used."""
    username, password = login_in(dict(fields))
    host, port = place_in(fields)
    database = fields.get("dbname") or DEFAULT_DATABASE
    if not isinstance(database, str) or "\0" in database:
        raise CredentialsError("the secret's \"dbname\" is not a database's name")
    return Account(host, port, database, username, password, _sslmode(fields.get("ssl")))


def _sslmode(given: Any) -> str:
    return {"true": "require", "false": "disable"}.get(str(given).lower(), "prefer")


def login(account: Account) -> Connection:
    """A connection, in autocommit, to be closed by the caller. LoginError if there is none to be had."""
    try:
        connection = _Limited.connect(
            host=account.host,
            port=account.port,
            dbname=account.database,
            user=account.username,
            password=account.password,
            sslmode=account.sslmode,
            gssencmode="disable",
            require_auth="scram-sha-256,md5",
            connect_timeout=CONNECT_TIMEOUT,
            application_name="tidegate rotation",
            autocommit=True,
        )
    except psycopg.Error as error:
        raise LoginError(_one_line(str(error))) from None
    try:
        connection.begin()
        connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(STATEMENT_TIMEOUT)))
    except (psycopg.Error, StatementError) as error:
        connection.close()
        raise LoginError(_one_line(str(error))) from None
    return connection


def can_log_in(account: Account) -> bool:
    """Whether the user gets in with that password."""
    try:
        login(account).close()
    except LoginError:
        return False
    return True


def try_out(account: Account) -> None:
    """Log in and run a query. LoginError or StatementError if that fails."""
    with closing(login(account)) as connection:
        _run(connection, sql.SQL("SELECT now()"))


def change_password(connection: Connection, account: Account) -> None:
    """Give the account's user its password. StatementError if the connection's user may not."""
    _run(connection, sql.SQL("ALTER ROLE {} PASSWORD {}").format(*_role_and_verifier(account)))


def role_exists(connection: Connection, username: str) -> bool:
    """Whether the server has a role of that name."""
    with _told():
        cursor = connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (username,))
        return cursor.fetchone() is not None


def create_like(connection: Connection, account: Account, like: str) -> None:
    """Create the account's user as a member of the role `like`: what that may, by itself or as a member of others, the
    new one may too. All or nothing. StatementError if the connection's user may not."""
    role, verifier = _role_and_verifier(account)
    with _told(), connection.transaction():
        _run(connection, sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, verifier))
        _run(connection, sql.SQL("GRANT {} TO {}").format(sql.Identifier(like), role))


def _role_and_verifier(account: Account) -> tuple[sql.Composable, sql.Composable]:
    verifier = ScramKeys.from_password(account.password).text()
    return sql.Identifier(account.username), sql.Literal(verifier)


def _run(connection: Connection, statement: sql.SQL | sql.Composed) -> None:
    with _told():
        connection.execute(statement)


@contextmanager
def _told() -> Iterator[None]:
    """Turn the database's error into StatementError: its whole text may quote the statement, verifier included."""
    try:
        yield
    except psycopg.Error as error:
        raise StatementError(_one_line(error.diag.message_primary or type(error).__name__)) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
