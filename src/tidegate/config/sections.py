"""The tables of a configuration file as plain, frozen dataclasses, and what is known of each setting in them.

Owns their names, defaults, units and bounds. Refuses to read files or to check values, and imports nothing but the
standard library: see `model`, where they come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeVar

from tidegate.config.about import about
from tidegate.config.choices import (
    ANY_DATABASE,
    AuthMethod,
    Lending,
    PoolMode,
    SslMode,
    SslNegotiation,
)

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """One database name that clients may ask for (the alias is its key in ProxyConfig.databases)."""

    database: str | None = field(
        default=None,
        metadata=about("name of the database at the target", default_shown="the name that the client asked for"),
    )
    user: str | None = field(
        default=None,
        metadata=about("forced user: every server connection logs in as this", default_shown="the client's user"),
    )
    password: str | None = field(
        default=None,
        repr=False,
        metadata=about(
            "password of the forced user",
            default_shown="that of the `[[user]]` or target login of the same name",
            secret=True,
        ),
    )
    pool_size: int = field(
        default=0,
        metadata=about(
            "most server connections of one (database, user) pool; 0 = only the target's limit",
            unit="connections",
            least=0,
            most=100_000,
        ),
    )
    min_pool_size: int = field(
        default=0,
        metadata=about(
            "server connections kept open in a (database, user) pool that has been used",
            unit="connections",
            least=0,
            most=100_000,
        ),
    )
    max_db_connections: int = field(
        default=0,
        metadata=about(
            "most server connections to this database, of all users together; 0 = only the target's limit",
            unit="connections",
            least=0,
            most=100_000,
        ),
    )
    pool_mode: PoolMode | None = field(
        default=None,
        metadata=about("pool mode for clients of this database", default_shown="the proxy's"),
    )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError or TypeError on foreign data."""
        return cls(**{**data, "pool_mode": _optional(PoolMode, data.get("pool_mode"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """One proxy: where clients connect, how they are treated, and which target serves them."""

    name: str = field(metadata=about("name, used in logs and statistics"))
    listen: tuple[str, ...] = field(
        metadata=about('addresses: "host:port", "[ipv6]:port", or a Unix socket\'s path or folder')
    )
    target: str = field(metadata=about("name of the target that serves this proxy"))
    pool_mode: PoolMode = field(
        default=PoolMode.TRANSACTION,
        metadata=about("how long a client keeps a server connection"),
    )
    lending: Lending = field(
        default=Lending.FIT,
        metadata=about("which idle server connection a client is lent"),
    )
    auth_method: AuthMethod = field(
        default=AuthMethod.SCRAM_SHA_256,
        metadata=about("how clients prove who they are"),
    )
    tls_certificate: str = field(
        default="",
        metadata=about(
            "file of the certificate that clients are shown, its chain behind it (PEM)", default_shown="none: no TLS"
        ),
    )
    tls_key: str = field(
        default="",
        metadata=about("file of its private key (PEM), readable by its owner alone", default_shown="none"),
    )
    tls_client_ca: str = field(
        default="",
        metadata=about(
            "file of the authorities whose client certificates are believed (PEM)",
            default_shown="none: clients are not asked for one",
        ),
    )
    require_tls: bool = field(
        default=False,
        metadata=about("refuse clients that come over TCP without TLS"),
    )
    pass_through: bool | None = field(
        default=None,
        metadata=about(
            "whether every role of the database may log in, with its own password",
            default_shown="whether there is no `[[user]]`",
        ),
    )
    iam_server_id: str = field(
        default="",
        metadata=about(
            "what IAM tokens must have been made for, where STS verifies them",
            default_shown="none: no such tokens",
        ),
    )
    idle_client_timeout: float = field(
        default=1800.0,
        metadata=about("close a client that is idle outside a transaction", unit="seconds", least=1, most=28_800),
    )
    idle_in_transaction_timeout: float = field(
        default=300.0,
        metadata=about(
            "close a client that is idle inside a transaction; 0 = never", unit="seconds", least=0, most=86_400
        ),
    )
    connection_borrow_timeout: float = field(
        default=120.0,
        metadata=about(
            "how long a client waits for a server connection before it gets an error", unit="seconds", least=0, most=300
        ),
    )
    login_timeout: float = field(
        default=15.0,
        metadata=about("drop a client that has not logged in by then", unit="seconds", least=1, most=300),
    )
    max_client_connections: int = field(
        default=10_000,
        metadata=about("most clients at once, over all workers", unit="connections", least=1, most=1_000_000),
    )
    init_query: str = field(
        default="",
        metadata=about("SQL that each new server connection runs before its first use"),
    )
    debug_logging: bool = field(
        default=False,
        metadata=about("log what is about this proxy from level debug on, whatever `log_level` says"),
    )
    session_audit: float = field(
        default=0.0,
        metadata=about(
            "share of transactions after which the server is asked for state that the tracker missed",
            least=0,
            most=1,
        ),
    )
    max_prepared_statements: int = field(
        default=500,
        metadata=about(
            "prepared statements kept on one server connection, least recently used out first",
            unit="statements",
            least=1,
            most=100_000,
        ),
    )
    databases: Mapping[str, DatabaseConfig] = field(
        default_factory=lambda: {ANY_DATABASE: DatabaseConfig()},
        metadata=about(
            'database names that clients may ask for; "*" = every other name',
            default_shown='`"*"`: every name passes through',
        ),
    )

    def database(self, alias: str) -> DatabaseConfig | None:
        """The entry for a name that a client asks for; None if clients may not ask for it."""
        return self.databases.get(alias) or self.databases.get(ANY_DATABASE)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError or TypeError on foreign data."""
        read = dict(data)
        read["listen"] = tuple(data["listen"])
        if "pool_mode" in data:
            read["pool_mode"] = PoolMode(data["pool_mode"])
        if "lending" in data:
            read["lending"] = Lending(data["lending"])
        if "auth_method" in data:
            read["auth_method"] = AuthMethod(data["auth_method"])
        if "databases" in data:
            read["databases"] = {alias: DatabaseConfig.from_dict(one) for alias, one in data["databases"].items()}
        return cls(**read)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetConfig:
    """One database server, the proxy's own login to it, and how many connections it is asked for."""

    name: str = field(metadata=about("name that a proxy's `target` refers to"))
    host: str = field(metadata=about("host name, address, or the folder of a Unix socket"))
    port: int = field(default=5432, metadata=about("port", least=1, most=65_535))
    user: str = field(metadata=about("the proxy's own login: reads limits and password verifiers"))
    password: str = field(
        default="",
        repr=False,
        metadata=about("password of the proxy's own login", default_shown="none", secret=True),
    )
    other_passwords: tuple[str, ...] = field(
        default=(),
        repr=False,
        metadata=about(
            "further passwords of that login, tried when the database refuses it", default_shown="none", secret=True
        ),
    )
    password_file: str = field(
        default="",
        metadata=about("file with that password, readable by its owner alone", default_shown="none"),
    )
    secret_arn: str = field(
        default="",
        metadata=about("secret of AWS Secrets Manager with that password", default_shown="none"),
    )
    database_iam: bool = field(
        default=False,
        metadata=about("log in with IAM tokens instead, as a user of Amazon RDS that has `rds_iam`"),
    )
    database: str = field(default="postgres", metadata=about("database of the proxy's own login"))
    sslmode: SslMode = field(
        default=SslMode.PREFER,
        metadata=about("encryption of connections to the database, by libpq's names"),
    )
    sslnegotiation: SslNegotiation = field(
        default=SslNegotiation.POSTGRES,
        metadata=about("how that encryption begins: after a request, or at once"),
    )
    tls_ca: str = field(
        default="",
        metadata=about(
            "file of the authorities that may have signed the database's certificate (PEM)",
            default_shown="the system's",
        ),
    )
    tls_certificate: str = field(
        default="",
        metadata=about("file of the certificate that the database is shown (PEM)", default_shown="none"),
    )
    tls_key: str = field(
        default="",
        metadata=about("file of its private key (PEM), readable by its owner alone", default_shown="none"),
    )
    cleartext_passwords: bool = field(
        default=False,
        metadata=about(
            "send a password in clear where the database asks for it over TCP, and `sslmode` requires no TLS"
        ),
    )
    max_connections_percent: int = field(
        default=100,
        metadata=about(
            "share of the connections that the database has free for use", unit="percent", least=1, most=100
        ),
    )
    max_connections: int | None = field(
        default=None,
        metadata=about(
            "most server connections, as a number, in place of the share",
            unit="connections",
            least=1,
            most=100_000,
            default_shown="none: the share applies",
        ),
    )
    max_idle_connections_percent: int | None = field(
        default=None,
        metadata=about(
            "most idle server connections, as a share like max_connections_percent (or of max_connections)",
            unit="percent",
            least=0,
            most=100,
            default_shown="half of `max_connections_percent`",
        ),
    )
    server_idle_timeout: float = field(
        default=600.0,
        metadata=about("close a server connection unused for so long; 0 = never", unit="seconds", least=0, most=86_400),
    )
    server_lifetime: float = field(
        default=86_400.0,
        metadata=about("replace a server connection at this age", unit="seconds", least=1, most=2_592_000),
    )
    server_login_timeout: float = field(
        default=15.0,
        metadata=about("give up on connecting and logging in at the database", unit="seconds", least=1, most=300),
    )
    auth_query: str = field(
        default="",
        metadata=about(
            "query that gives a user's name and verifier for a user name in $1", default_shown="reads pg_authid"
        ),
    )
    verifier_cache_ttl: float = field(
        default=0.0,
        metadata=about(
            "how long a verifier is trusted without asking the database again", unit="seconds", least=0, most=86_400
        ),
    )
    catalogue_refresh: float = field(
        default=60.0,
        metadata=about(
            "how often to look for new functions and triggers made past the proxy; 0 = never",
            unit="seconds",
            least=0,
            most=86_400,
        ),
    )
    open_burst: int = field(
        default=8,
        metadata=about(
            "most server connections being opened at the same time, in each worker",
            unit="connections",
            least=1,
            most=1_000,
        ),
    )

    @property
    def source(self) -> str:
        """Where the password is to be looked at again: path of a file, ARN of a secret, or "" for nowhere."""
        return self.password_file or self.secret_arn

    @property
    def idle_percent(self) -> float:
        """max_idle_connections_percent with its default worked out: half of what may be open, as in the RDS API.

        A percent of max_connections where that is set, else of the database's usable connections.
        """
        if self.max_idle_connections_percent is not None:
            return float(self.max_idle_connections_percent)
        return 50.0 if self.max_connections is not None else self.max_connections_percent / 2

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError or TypeError on foreign data."""
        read = {**data, "other_passwords": tuple(data.get("other_passwords", ()))}
        if "sslmode" in data:
            read["sslmode"] = SslMode(data["sslmode"])
        if "sslnegotiation" in data:
            read["sslnegotiation"] = SslNegotiation(data["sslnegotiation"])
        return cls(**read)


_LISTS_OF_USERS = ("other_passwords", "iam_arns", "via", "certificate_names")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """One user that clients may log in as; without any, every role of the database may (pass-through)."""

    name: str = field(metadata=about("user name, as clients send it and as the database knows it"))
    password: str = field(
        default="",
        repr=False,
        metadata=about("plain password, SCRAM-SHA-256 verifier, or md5 hash", default_shown="none", secret=True),
    )
    other_passwords: tuple[str, ...] = field(
        default=(),
        repr=False,
        metadata=about(
            "further passwords that clients may use and that are tried at the database, while one replaces another",
            default_shown="none",
            secret=True,
        ),
    )
    plain_passwords: bool = field(
        default=False,
        metadata=about("take the passwords for plain ones whatever they look like"),
    )
    password_file: str = field(
        default="",
        metadata=about("file with the password, readable by its owner alone", default_shown="none"),
    )
    secret_arn: str = field(
        default="",
        metadata=about("secret of AWS Secrets Manager with the passwords", default_shown="none"),
    )
    database_iam: bool = field(
        default=False,
        metadata=about("log in at the database with IAM tokens, as a user of Amazon RDS that has `rds_iam`"),
    )
    iam_arns: tuple[str, ...] = field(
        default=(),
        metadata=about(
            'AWS roles and users that may log in as this user with auth_method = "iam"; "*" stands for any text',
            default_shown="none",
        ),
    )
    via: tuple[str, ...] = field(
        default=(),
        metadata=about("names of the proxies by which this user may come", default_shown="all"),
    )
    pool_size: int = field(
        default=0,
        metadata=about(
            "most server connections of this user, over all databases; 0 = no limit of its own",
            unit="connections",
            least=0,
            most=100_000,
        ),
    )
    pool_mode: PoolMode | None = field(
        default=None,
        metadata=about("pool mode of this user, before the database's and the proxy's", default_shown="the database's"),
    )
    auth_method: AuthMethod | None = field(
        default=None,
        metadata=about("how this user proves who it is", default_shown="the proxy's"),
    )
    certificate_names: tuple[str, ...] = field(
        default=(),
        metadata=about(
            'names in client certificates, CN or SAN, that this user has with auth_method = "cert"',
            default_shown="the user's own name",
        ),
    )

    @property
    def source(self) -> str:
        """As TargetConfig's."""
        return self.password_file or self.secret_arn

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError or TypeError on foreign data."""
        return cls(
            **{
                **data,
                "pool_mode": _optional(PoolMode, data.get("pool_mode")),
                "auth_method": _optional(AuthMethod, data.get("auth_method")),
                **{name: tuple(data.get(name, ())) for name in _LISTS_OF_USERS},
            }
        )


def _optional(kind: type[_Choice], value: str | None) -> _Choice | None:
    return None if value is None else kind(value)
