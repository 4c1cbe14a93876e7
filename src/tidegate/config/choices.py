"""What settings choose from: names that stand for all others, and the values of those that have a few.

Owns these values, which are written in the configuration file as they are here. Refuses to say what they are chosen
for (`sections`), and imports nothing but the standard library.
"""

from __future__ import annotations

from enum import StrEnum

ANY_DATABASE = "*"
"""The alias that stands for every database name without an entry of its own."""

ANY_USER = "*"
"""The name that stands for every user without an entry of its own."""


class PoolMode(StrEnum):
    """When a client's server connection goes back to the pool: at the end of each transaction, or of the session."""

    TRANSACTION = "transaction"
    SESSION = "session"


class Lending(StrEnum):
    """Which idle server a client is lent: the latest used, if possible one that fits; or never the one it had last."""

    FIT = "fit"
    ROTATE = "rotate"


class AuthMethod(StrEnum):
    """How a client proves who it is (PostgreSQL documentation, "Authentication Methods")."""

    SCRAM_SHA_256 = "scram-sha-256"
    MD5 = "md5"
    PASSWORD = "password"
    CERT = "cert"
    IAM = "iam"
    TRUST = "trust"


class SslMode(StrEnum):
    """How far a connection to the database must be encrypted (libpq documentation, "SSL Mode Descriptions")."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class SslNegotiation(StrEnum):
    """How encryption begins: asked for by an SSLRequest, or at once, which takes PostgreSQL 17."""

    POSTGRES = "postgres"
    DIRECT = "direct"


class LogLevel(StrEnum):
    """The least severe log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Log lines for people, or one JSON object a line."""

    TEXT = "text"
    JSON = "json"
