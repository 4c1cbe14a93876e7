"""Every setting of Tidegate as plain, frozen dataclasses, and what is known of each: meaning, unit, bounds, default.

Owns names, defaults and bounds; `load` checks against them and `docs/configuration.md` is compared with them.
Refuses to read files or to check values, and imports nothing but the standard library, since every worker holds it:
the supervisor checks once and sends `to_dict()` as JSON, the worker rebuilds it with `from_dict()`.

Durations are seconds, fractions allowed. Names follow the RDS Proxy API in snake case where it has the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self, TypeVar

from tidegate.config.about import about

_Choice = TypeVar("_Choice", bound=StrEnum)

ANY_DATABASE = "*"
"""The alias that stands for every database name without an entry of its own."""


class PoolMode(StrEnum):
    """When a client's server connection goes back to the pool: at the end of each transaction, or of the session."""

    TRANSACTION = "transaction"
    SESSION = "session"


class AuthMethod(StrEnum):
    """How a client proves who it is (PostgreSQL documentation, "Authentication Methods")."""

    SCRAM_SHA_256 = "scram-sha-256"
    MD5 = "md5"
    PASSWORD = "password"
    TRUST = "trust"


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
    auth_method: AuthMethod = field(
        default=AuthMethod.SCRAM_SHA_256,
        metadata=about("how clients prove who they are"),
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
    database: str = field(default="postgres", metadata=about("database of the proxy's own login"))
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
        default=300.0,
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
    def idle_percent(self) -> float:
        """max_idle_connections_percent with its default worked out: half of what may be open, as in the RDS API.

        A percent of max_connections where that is set, else of the database's usable connections.
        """
        if self.max_idle_connections_percent is not None:
            return float(self.max_idle_connections_percent)
        return 50.0 if self.max_connections is not None else self.max_connections_percent / 2

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; TypeError on foreign data."""
        return cls(**data)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """One user that clients may log in as; without any, every role of the database may (pass-through)."""

    name: str = field(metadata=about("user name, as clients send it and as the database knows it"))
    password: str = field(
        default="",
        repr=False,
        metadata=about("plain password, SCRAM-SHA-256 verifier, or md5 hash", default_shown="none", secret=True),
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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError or TypeError on foreign data."""
        return cls(
            **{
                **data,
                "pool_mode": _optional(PoolMode, data.get("pool_mode")),
                "auth_method": _optional(AuthMethod, data.get("auth_method")),
            }
        )


@dataclass(frozen=True, kw_only=True)  # without slots, for the cached property
class Config:
    """Everything that one `tidegate serve` runs."""

    proxies: tuple[ProxyConfig, ...] = field(metadata=about("the proxies, one `[[proxy]]` each"))
    targets: tuple[TargetConfig, ...] = field(metadata=about("the database servers, one `[[target]]` each"))
    users: tuple[UserConfig, ...] = field(
        default=(),
        metadata=about("who may log in, one `[[user]]` each", default_shown="none: pass-through"),
    )
    workers: int = field(
        default=1,
        metadata=about("relay processes, at most one a core", unit="processes", least=1, most=256),
    )
    io_uring: bool = field(
        default=True,
        metadata=about("send by io_uring where the kernel allows it"),
    )
    control_socket: str = field(
        default="",
        metadata=about(
            "Unix socket on which `tidegate reload` reaches the supervisor",
            default_shown="in `$XDG_RUNTIME_DIR` or `/tmp`, named after the configuration file",
        ),
    )
    shutdown_timeout: float = field(
        default=30.0,
        metadata=about("how long transactions may finish after SIGTERM", unit="seconds", least=0, most=3_600),
    )
    log_level: LogLevel = field(default=LogLevel.INFO, metadata=about("least severe log line that is written"))
    log_format: LogFormat = field(default=LogFormat.TEXT, metadata=about("text lines or one JSON object a line"))

    def target_of(self, proxy: ProxyConfig) -> TargetConfig:
        """The target that serves a proxy; KeyError if it names none (a loaded configuration always does)."""
        for target in self.targets:
            if target.name == proxy.target:
                return target
        raise KeyError(proxy.target)

    def user(self, name: str) -> UserConfig | None:
        """The listed user of that name, or None."""
        return self._users_by_name.get(name)

    @cached_property
    def _users_by_name(self) -> dict[str, UserConfig]:
        return {user.name: user for user in reversed(self.users)}  # the first of a name counts

    def pool_mode(self, proxy: ProxyConfig, database: DatabaseConfig, user: str) -> PoolMode:
        """The pool mode of one client: its user's, else its database's, else its proxy's (PgBouncer's order)."""
        listed = self.user(user)
        return (listed and listed.pool_mode) or database.pool_mode or proxy.pool_mode

    def auth_method(self, proxy: ProxyConfig, user: str) -> AuthMethod:
        """How one client must prove who it is: its user's method, else its proxy's."""
        listed = self.user(user)
        return (listed and listed.auth_method) or proxy.auth_method

    def server_password(self, proxy: ProxyConfig, database: DatabaseConfig, user: str) -> str:
        """What the settings know to log in at the database with for a client that came as `user`.

        A plain password, a verifier or an md5 hash; "" if they know nothing (pass-through, or a trusting database).
        A forced user's is the entry's own, else that of the listed user, else of the target's login of that name.
        """
        login = database.user or user
        if database.user is not None and database.password is not None:
            return database.password
        listed = self.user(login)
        if listed is not None and listed.password:
            return listed.password
        target = self.target_of(proxy)
        return target.password if database.user is not None and target.user == login else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json.dumps, passwords included: only for a private channel."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from to_dict() or parsed JSON; ValueError, KeyError or TypeError on foreign data."""
        read = dict(data)
        read["proxies"] = tuple(ProxyConfig.from_dict(one) for one in data["proxies"])
        read["targets"] = tuple(TargetConfig.from_dict(one) for one in data["targets"])
        read["users"] = tuple(UserConfig.from_dict(one) for one in data.get("users", ()))
        if "log_level" in data:
            read["log_level"] = LogLevel(data["log_level"])
        if "log_format" in data:
            read["log_format"] = LogFormat(data["log_format"])
        return cls(**read)


def _optional(kind: type[_Choice], value: str | None) -> _Choice | None:
    return None if value is None else kind(value)
