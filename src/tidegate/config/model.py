"""Every setting of Tidegate: the tables of `sections`, put together as the configuration of one `tidegate serve`.

Owns what holds across tables: whose pool mode, method and password count for a client. `load` checks against names,
defaults and bounds, and `docs/configuration.md` is compared with them. Refuses to read files or to check values, and
imports nothing but the standard library, since every worker holds it: the supervisor checks once and sends `to_dict()`
as JSON, the worker rebuilds it with `from_dict()`.

Durations are seconds, fractions allowed. Names follow the RDS Proxy API in snake case where it has the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

from tidegate.config.about import about
from tidegate.config.choices import (
    ANY_DATABASE,
    ANY_USER,
    AuthMethod,
    Lending,
    LogFormat,
    LogLevel,
    PoolMode,
    SslMode,
    SslNegotiation,
)
from tidegate.config.sections import DatabaseConfig, ProxyConfig, TargetConfig, UserConfig

__all__ = [
    "ANY_DATABASE",
    "ANY_USER",
    "AuthMethod",
    "Config",
    "DatabaseConfig",
    "Lending",
    "LogFormat",
    "LogLevel",
    "PoolMode",
    "ProxyConfig",
    "SslMode",
    "SslNegotiation",
    "TargetConfig",
    "UserConfig",
]


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
        metadata=about("relay processes, at most one a core", unit="processes", least=1, most=128),
    )
    io_uring: bool = field(
        default=True,
        metadata=about("send by io_uring where the kernel allows it"),
    )
    aws_region: str = field(
        default="",
        metadata=about("AWS region of secrets, IAM tokens and STS", default_shown="as botocore finds it"),
    )
    aws_endpoint_url: str = field(
        default="",
        metadata=about("where the AWS services are, if not at AWS", default_shown="AWS"),
    )
    aws_profile: str = field(
        default="",
        metadata=about("profile with the proxy's own AWS credentials", default_shown="as botocore finds them"),
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

    @property
    def debugged(self) -> frozenset[tuple[str, str]]:
        """Fields of the log lines that are about proxies with debug_logging, or about their targets' servers."""
        proxies = [proxy for proxy in self.proxies if proxy.debug_logging]
        return frozenset(field for proxy in proxies for field in (("proxy", proxy.name), ("target", proxy.target)))

    def user(self, name: str, proxy: str) -> UserConfig | None:
        """The listed user of that name who may come by the proxy of that name, else ANY_USER's entry, or None."""
        known = (*self._users_by_name.get(name, ()), *self._users_by_name.get(ANY_USER, ()))
        return next((user for user in known if not user.via or proxy in user.via), None)

    def users_at(self, name: str, target: str) -> list[UserConfig]:
        """Those of that name whose statements a target runs, whichever proxy they come by."""
        proxies = [proxy.name for proxy in self.proxies if proxy.target == target]
        found = [self.user(name, proxy) for proxy in proxies]
        return list({id(user): user for user in found if user is not None}.values())

    def passes_through(self, proxy: ProxyConfig) -> bool:
        """Whether a proxy lets in every role of its database."""
        return not self.users if proxy.pass_through is None else proxy.pass_through

    @cached_property
    def _users_by_name(self) -> dict[str, list[UserConfig]]:
        found: dict[str, list[UserConfig]] = {}
        for user in self.users:
            found.setdefault(user.name, []).append(user)
        return found

    def pool_mode(self, proxy: ProxyConfig, database: DatabaseConfig, user: str) -> PoolMode:
        """The pool mode of one client: its user's, else its database's, else its proxy's (PgBouncer's order)."""
        listed = self.user(user, proxy.name)
        return (listed and listed.pool_mode) or database.pool_mode or proxy.pool_mode

    def auth_method(self, proxy: ProxyConfig, user: str) -> AuthMethod:
        """How one client must prove who it is: its user's method, else its proxy's."""
        listed = self.user(user, proxy.name)
        return (listed and listed.auth_method) or proxy.auth_method

    def server_password(self, proxy: ProxyConfig, database: DatabaseConfig, user: str) -> str:
        """What the settings know to log in at the database with for a client that came as `user`.

        A plain password, a verifier or an md5 hash; "" if they know nothing (pass-through, or a trusting database).
        A forced user's is the entry's own, else that of the listed user, else of the target's login of that name.
        """
        login = database.user or user
        if database.user is not None and database.password is not None:
            return database.password
        listed = self.user(login, proxy.name)
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
