"""The desired state as a configuration of the proxy.

Owns that translation, which is pure. Refuses to apply it (`data_plane`).

Each proxy has a target of its own, though several may stand before one database: its share of connections is its own,
too. It is named by the proxy's resource id, which stays when that is renamed, so that a new name touches no client.

Each endpoint is a proxy of the configuration before that same target: so a client is known by the endpoint that it came
by, in its tokens, in statistics, and when that endpoint is deleted. They share servers (`proxy/poolkeys`), except that
those with the role READ_ONLY have another init_query: what that sets is what every session begins with and returns to,
and pools of different init_queries share no server.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.config.addresses import TcpAddress
from tidegate.config.model import (
    ANY_USER,
    AuthMethod,
    Config,
    ProxyConfig,
    SslMode,
    TargetConfig,
    UserConfig,
)
from tidegate.control.ports import Desired, DesiredEndpoint, DesiredProxy, DesiredUser
from tidegate.launch.certificates import LocalCertificates

REFUSE_WRITES = "SET default_transaction_read_only = on"
NOWHERE = "/nonexistent/no-target-is-registered"
"""A socket that is not there: clients wait for a target as long as they would for a connection."""


def configuration(desired: Desired, base: Config, certificates: LocalCertificates) -> Config:
    """`base`: what the desired state says nothing of. A proxy must have an endpoint."""
    return replace(
        base,
        proxies=tuple(_endpoint(proxy, end, certificates) for proxy in desired.proxies for end in proxy.endpoints),
        targets=tuple(_target(proxy) for proxy in desired.proxies),
        users=tuple(user for proxy in desired.proxies for user in _users(proxy)),
    )


def endpoint_of(name: str) -> tuple[str, str]:
    """Resource ids of the proxy and the endpoint that this name in the configuration stands for."""
    proxy, _, endpoint = name.partition("/")
    return proxy, endpoint


def _name(proxy: DesiredProxy, endpoint: DesiredEndpoint) -> str:
    return f"{proxy.resource_id}/{endpoint.resource_id}"


def _endpoint(proxy: DesiredProxy, endpoint: DesiredEndpoint, certificates: LocalCertificates) -> ProxyConfig:
    return ProxyConfig(
        name=_name(proxy, endpoint),
        listen=(str(TcpAddress(endpoint.host, endpoint.port)),),
        target=proxy.resource_id,
        tls_certificate=certificates.certificate,
        tls_key=certificates.key,
        require_tls=proxy.require_tls,
        idle_client_timeout=float(proxy.idle_client_timeout),
        connection_borrow_timeout=float(proxy.connection_borrow_timeout),
        init_query=_init_query_of_readers(proxy.init_query) if endpoint.read_only else proxy.init_query,
        debug_logging=proxy.debug_logging,
        pass_through=False,
    )


def _init_query_of_readers(init_query: str) -> str:
    """Ours is the last word. It stands on a line of its own: InitQuery may end in a comment."""
    return f"{init_query}\n;{REFUSE_WRITES}" if init_query else REFUSE_WRITES


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
        anybody = UserConfig(name=ANY_USER, auth_method=AuthMethod.IAM, database_iam=True, via=_via(proxy))
        found.append(anybody)
    return found


def _user(proxy: DesiredProxy, user: DesiredUser) -> UserConfig:
    return UserConfig(
        name=user.name,
        password=user.passwords[0] if user.passwords else "",
        other_passwords=user.passwords[1:],
        plain_passwords=True,
        auth_method=AuthMethod.IAM if user.iam else AuthMethod(user.auth_method),
        database_iam=user.database_iam,
        via=_via(proxy),
    )


def _via(proxy: DesiredProxy) -> tuple[str, ...]:
    """By which proxies of the configuration its users may come: by all of its endpoints, and by nobody else's."""
    return tuple(_name(proxy, end) for end in proxy.endpoints)
