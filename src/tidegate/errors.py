"""Every error that Tidegate itself reports, and every reason for which it closes a connection, named once.

Owns the SQLSTATE codes, texts and close reasons that clients, logs, statistics and (later) the API share.
Refuses to format bytes for the wire (`wire`) or to decide when an error is due (`pool`, `auth`, `proxy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sqlstate(StrEnum):
    """SQLSTATE codes that Tidegate raises (PostgreSQL documentation, appendix A)."""

    NOTIFICATIONS_MISSED = "01T01"  # the proxy's own, in the class of warnings
    CONNECTION_EXCEPTION = "08000"
    CONNECTION_FAILURE = "08006"
    PROTOCOL_VIOLATION = "08P01"
    FEATURE_NOT_SUPPORTED = "0A000"
    INVALID_AUTHORIZATION = "28000"
    INVALID_PASSWORD = "28P01"
    IDLE_IN_TRANSACTION_TIMEOUT = "25P03"
    INVALID_STATEMENT_NAME = "26000"
    INVALID_CATALOG_NAME = "3D000"
    DUPLICATE_PREPARED_STATEMENT = "42P05"
    INSUFFICIENT_PRIVILEGE = "42501"
    OBJECT_IN_USE = "55006"
    TOO_MANY_CONNECTIONS = "53300"
    QUERY_CANCELED = "57014"
    ADMIN_SHUTDOWN = "57P01"
    CANNOT_CONNECT_NOW = "57P03"
    IDLE_SESSION_TIMEOUT = "57P05"


class CloseReason(StrEnum):
    """Why a client or server connection ended, for log lines and statistics; docs/operations.md explains each."""

    CLIENT_LEFT = "client_left"
    CLIENT_LOST = "client_lost"
    CLIENT_IDLE = "client_idle"
    IDLE_IN_TRANSACTION = "idle_in_transaction"
    LOGIN_TIMEOUT = "login_timeout"
    LOGIN_REFUSED = "login_refused"
    TLS_FAILED = "tls_failed"
    PROTOCOL_ERROR = "protocol_error"
    INTERNAL_ERROR = "internal_error"
    TERMINATED = "terminated"
    CANCEL_REQUEST = "cancel_request"
    TOO_MANY_CLIENTS = "too_many_clients"
    SHUTDOWN = "shutdown"
    SERVER_LOST = "server_lost"
    SERVER_IDLE = "server_idle"
    SERVER_LIFETIME = "server_lifetime"
    SERVER_UNCLEAN = "server_unclean"
    SERVER_EXCESS = "server_excess"
    SERVER_SPURNED = "server_spurned"
    SERVER_MADE_ROOM = "server_made_room"
    SERVER_LOGIN_FAILED = "server_login_failed"
    SERVER_RELOADED = "server_reloaded"
    SERVER_VACATED = "server_vacated"


@dataclass(unsafe_hash=True)
class PgError(Exception):
    """An error as PostgreSQL reports one: to be sent to a client, or received from a server.

    Fields are those of ErrorResponse (protocol documentation, "Error and Notice Message Fields").
    """

    message: str
    sqlstate: str
    severity: str = "ERROR"
    detail: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.message} ({self.sqlstate})"


class UntoldError(PgError):
    """What a server said last to the proxy itself: the client that has the server did not hear it."""


class InitQueryError(PgError):
    """init_query failed on a new server connection: waiting helps no client, and trying at once again nobody."""


class LoginUnsettled(PgError):
    """The database refused a password in whose place another one may be right: clients wait while that is tried."""


class ConfigError(Exception):
    """A setting that cannot be used; the text names the setting, its value, and what to write instead."""
