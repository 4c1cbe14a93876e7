"""The desired state as a configuration of the proxy.

Owns that translation, which is pure. Refuses to apply it (`data_plane`).

Each proxy has a target of its own, though several may stand before one database: its share of connections is its own,
too. Both are named by the proxy's resource id, which stays when it is renamed, so that a new name touches no client.

Endpoints with the role READ_ONLY are a proxy of their own before that same target, with another init_query: what that
sets is what every session begins with and returns to, and pools of different init_queries share no server.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.config.addresses import TcpAddress
from tidegate.config.model import ANY_USER, AuthMethod, Config, ProxyConfig, TargetConfig, UserConfig
from tidegate.control.ports import Desired, DesiredProxy, DesiredUser
from tidegate.launch.certificates import LocalCertificates

READERS = "/read-only"
"""What stands behind a resource id in the name of the proxy of its READ_ONLY endpoints."""
REFUSE_WRITES = "SET default_transaction_read_only = on"
NOWHERE = "/nonexistent/no-target-is-registered"
"""A socket that is not there: clients wait for a target as long as they would for a connection."""


def configuration(desired: Desired, base: Config, certificates: LocalCertificates) -> Config:
    """`base`: what the desired state says nothing of."""
    return replace(
        base,
        proxies=tuple(part for proxy in desired.proxies for part in _proxies(proxy, certificates)),
        targets=tuple(_target(proxy) for proxy in desired.proxies),
        users=tuple(user for proxy in desired.proxies for user in _users(proxy)),
    )


def endpoints_of(name: str) -> tuple[str, bool]:
    """Whose endpoints a proxy of this name in the configuration has: a resource id, and whether the READ_ONLY ones."""
    return name.removesuffix(READERS), name.endswith(READERS)


def _proxies(proxy: DesiredProxy, certificates: LocalCertificates) -> list[ProxyConfig]:
    """That of the READ_WRITE endpoints, then that of the READ_ONLY ones if there are any."""
    writers = _proxy(proxy, certificates)
    if not _has_readers(proxy):
        return [writers]
    readers = replace(
        writers,
        name=proxy.resource_id + READERS,
        listen=_addresses(proxy, read_only=True),
        init_query=_init_query_of_readers(proxy.init_query),
    )
    return [writers, readers]


def _init_query_of_readers(init_query: str) -> str:
    """Ours is the last word. It stands on a line of its own: InitQuery may end in a comment."""
    return f"{init_query}\n;{REFUSE_WRITES}" if init_query else REFUSE_WRITES


def _has_readers(proxy: DesiredProxy) -> bool:
    return any(end.read_only for end in proxy.endpoints)


def _addresses(proxy: DesiredProxy, *, read_only: bool) -> tuple[str, ...]:
    return tuple(str(TcpAddress(end.host, end.port)) for end in proxy.endpoints if end.read_only is read_only)


def _proxy(proxy: DesiredProxy, certificates: LocalCertificates) -> ProxyConfig:
    return ProxyConfig(
        name=proxy.resource_id,
        listen=_addresses(proxy, read_only=False),
        target=proxy.resource_id,
        tls_certificate=certificates.certificate,
        tls_key=certificates.key,
        require_tls=proxy.require_tls,
        idle_client_timeout=float(proxy.idle_client_timeout),
        connection_borrow_timeout=float(proxy.connection_borrow_timeout),
        init_query=proxy.init_query,
        debug_logging=proxy.debug_logging,
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
    )


def _users(proxy: DesiredProxy) -> list[UserConfig]:
    found = [_user(proxy, user) for user in proxy.users]
    if proxy.iam_for_all:
        anybody = UserConfig(name=ANY_USER, auth_method=AuthMethod.IAM, database_iam=True, via=_via(proxy))
        found.append(anybody)
    return found


def _user(proxy: DesiredProxy, user: DesiredUser) -> UserConfig:
    return UserConfig(
        name=user.name,
        password=user.passwords[0] if user.passwords else "",
        other_passwords=user.passwords[1:],
        auth_method=AuthMethod.IAM if user.iam else AuthMethod(user.auth_method),
        database_iam=user.database_iam,
        via=_via(proxy),
    )


def _via(proxy: DesiredProxy) -> tuple[str, ...]:
    """By which proxies of the configuration its users may come."""
    readers = (proxy.resource_id + READERS,) if _has_readers(proxy) else ()
    return (proxy.resource_id, *readers)
