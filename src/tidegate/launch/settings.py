"""The desired state as a configuration of the proxy.

Owns that translation, which is pure. Refuses to apply it (`data_plane`).

Each proxy has a target of its own, though several may stand before one database: its share of connections is its own,
too. Both are named by the proxy's resource id, which stays when it is renamed, so that a new name touches no client.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.config.addresses import TcpAddress
from tidegate.config.model import (
    ANY_USER,
    AuthMethod,
    Config,
    LogLevel,
    ProxyConfig,
    SslMode,
    TargetConfig,
    UserConfig,
)
from tidegate.control.ports import Desired, DesiredProxy, DesiredUser
from tidegate.launch.certificates import LocalCertificates

NOWHERE = "/nonexistent/no-target-is-registered"
"""A socket that is not there: clients wait for a target as long as they would for a connection."""


def configuration(desired: Desired, base: Config, certificates: LocalCertificates) -> Config:
    """`base`: what the desired state says nothing of."""
    return replace(
        base,
        proxies=tuple(_proxy(proxy, certificates) for proxy in desired.proxies),
        targets=tuple(_target(proxy) for proxy in desired.proxies),
        users=tuple(user for proxy in desired.proxies for user in _users(proxy)),
        log_level=LogLevel.DEBUG if any(proxy.debug_logging for proxy in desired.proxies) else base.log_level,
    )


def _proxy(proxy: DesiredProxy, certificates: LocalCertificates) -> ProxyConfig:
    return ProxyConfig(
        name=proxy.resource_id,
        listen=tuple(str(TcpAddress(end.host, end.port)) for end in proxy.endpoints),
        target=proxy.resource_id,
        tls_certificate=certificates.certificate,
        tls_key=certificates.key,
        require_tls=proxy.require_tls,
        idle_client_timeout=float(proxy.idle_client_timeout),
        connection_borrow_timeout=float(proxy.connection_borrow_timeout),
        init_query=proxy.init_query,
        pass_through=False,
    )


def _target(proxy: DesiredProxy) -> TargetConfig:
    made = TargetConfig(
        name=proxy.resource_id,
        host=NOWHERE,
        user="nobody",
        max_connections_percent=proxy.max_connections_percent,
        max_idle_connections_percent=proxy.max_idle_connections_percent,
    )
    if proxy.target is None:
        return made
    return replace(
        made,
        host=proxy.target.host,
        port=proxy.target.port,
        user=proxy.target.user,
        password=proxy.target.password,
        database=proxy.target.database,
        sslmode=SslMode.REQUIRE if proxy.target.require_tls else made.sslmode,
    )


def _users(proxy: DesiredProxy) -> list[UserConfig]:
    found = [_user(proxy, user) for user in proxy.users]
    if proxy.iam_for_all and proxy.database_keys is not None:  # else they are told at once that there are none
        anybody = UserConfig(name=ANY_USER, auth_method=AuthMethod.IAM, database_iam=True, via=(proxy.resource_id,))
        found.append(anybody)
    return found


def _user(proxy: DesiredProxy, user: DesiredUser) -> UserConfig:
    return UserConfig(
        name=user.name,
        password=user.passwords[0] if user.passwords else "",
        other_passwords=user.passwords[1:],
        auth_method=AuthMethod.IAM if user.iam else AuthMethod(user.auth_method),
        database_iam=user.database_iam,
        via=(proxy.resource_id,),
    )
