"""The desired state, made from the store's records in one transaction.

Owns the mapping from RDS records to `ports.Desired`, and the note of what was looked at: a record that changes while
the data plane works is not settled by it. Refuses to judge roles (`credentials`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.auth.rds_token import SigningKeys
from tidegate.config.choices import ANY_USER
from tidegate.control.desired.credentials import Credentials, Login, NoCredentialsError
from tidegate.control.ports import Desired, DesiredEndpoint, DesiredProxy, DesiredTarget, DesiredUser
from tidegate.control.services.rds.auth import IAM_AUTH, PASSWORD_TYPES
from tidegate.control.services.rds.instance_rules import password_context
from tidegate.control.services.rds.records import AuthEntry, Instance, Proxy, ProxyEndpoint, Status
from tidegate.control.store.sealed import Sealer, UnsealError
from tidegate.control.store.store import Transaction

DEFAULT_DATABASE = "postgres"


@dataclass(frozen=True, slots=True)
class Place:
    """Where resources are: what their ARNs begin with."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, kind: str, identifier: str) -> str:
        """ARN of an RDS resource."""
        return f"arn:{self.partition}:rds:{self.region}:{self.account}:{kind}:{identifier}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run, and what it was made from."""

    desired: Desired
    revisions: Mapping[str, int]
    """Of each proxy, endpoint and instance, by its resource id."""
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By a proxy's resource id: why users lack credentials."""
    locked: frozenset[str] = frozenset()
    """Proxies, by resource id, that nobody can log in to for that."""
    secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By a proxy's resource id: ARNs of the secrets that its Auth names."""


def make_desired(
    transaction: Transaction, *, at: float, place: Place, credentials: Credentials, sealer: Sealer
) -> Desired:
    """Everything that the data plane is to run. at: seconds since 1970."""
    return make_plan(transaction, at=at, place=place, credentials=credentials, sealer=sealer).desired


def make_plan(transaction: Transaction, *, at: float, place: Place, credentials: Credentials, sealer: Sealer) -> Plan:
    """As make_desired, with what `settling` and `board` need to know. sealer: of instances' passwords."""
    proxies = transaction.table(Proxy).all()
    endpoints = transaction.table(ProxyEndpoint).all()
    instances = {one.resource_id: one for one in transaction.table(Instance).all()}
    maker = _Maker(transaction, at, place, credentials, sealer)
    desired = tuple(
        maker.proxy(
            proxy,
            [end for end in endpoints if end.proxy_id == proxy.resource_id],
            instances.get(proxy.group.target or ""),
        )
        for proxy in proxies
        if proxy.status is not Status.DELETING
    )
    revisions = {proxy.resource_id: proxy.revision for proxy in proxies}
    revisions |= {end.endpoint_id: end.revision for end in endpoints}
    revisions |= {one.resource_id: one.revision for one in instances.values()}
    refused = {key: tuple(reasons) for key, reasons in maker.refused.items() if reasons}
    locked = frozenset(one.resource_id for one in desired if not one.users and one.database_keys is None)
    secrets = {proxy.resource_id: frozenset(entry.secret_arn for entry in proxy.auth) for proxy in proxies}
    return Plan(Desired(proxies=desired), revisions, refused, locked, secrets)


class _Maker:
    def __init__(
        self, transaction: Transaction, at: float, place: Place, credentials: Credentials, sealer: Sealer
    ) -> None:
        self._transaction = transaction
        self._at = at
        self._place = place
        self._credentials = credentials
        self._sealer = sealer
        self.refused: dict[str, list[str]] = {}

    def proxy(self, proxy: Proxy, endpoints: Iterable[ProxyEndpoint], instance: Instance | None) -> DesiredProxy:
        pool = proxy.group.pool
        return DesiredProxy(
            resource_id=proxy.resource_id,
            name=proxy.name,
            endpoints=tuple(_endpoint(end, proxy) for end in endpoints if end.status is not Status.DELETING),
            target=self._target(proxy, instance),
            users=tuple(self._users(proxy)),
            require_tls=proxy.require_tls,
            idle_client_timeout=proxy.idle_client_timeout,
            connection_borrow_timeout=pool.borrow_timeout,
            max_connections_percent=pool.max_connections_percent,
            max_idle_connections_percent=pool.max_idle_connections_percent,
            init_query=pool.init_query,
            debug_logging=proxy.debug_logging,
            iam_for_all=proxy.default_auth_scheme == IAM_AUTH,
            role_arn=proxy.role_arn,
            database_keys=self._database_keys(proxy),
        )

    def _target(self, proxy: Proxy, instance: Instance | None) -> DesiredTarget | None:
        if instance is None or instance.status == "deleting":
            return None
        try:
            password = self._sealer.open(instance.sealed_password, password_context(instance.resource_id))
        except UnsealError:
            self._refuse(proxy, f"the master password of {instance.identifier} can't be decrypted")
            return None
        return DesiredTarget(
            name=instance.resource_id,
            host=instance.host,
            port=instance.port,
            user=instance.master_username,
            password=password.decode(),
            database=instance.db_name or DEFAULT_DATABASE,
            require_tls=proxy.default_auth_scheme == IAM_AUTH,
        )

    def _users(self, proxy: Proxy) -> list[DesiredUser]:
        """A user that two secrets name has the first one's credentials: the order in Auth says which counts."""
        users: dict[str, DesiredUser] = {}
        for entry in proxy.auth:
            for login in self._logins(proxy, entry):
                if login.name in users:
                    self._refuse(proxy, f"{entry.secret_arn}: the user {login.name} has another secret already")
                else:
                    users[login.name] = _user(login, entry)
        return list(users.values())

    def _logins(self, proxy: Proxy, entry: AuthEntry) -> list[Login]:
        try:
            logins = self._credentials.of_secret(
                self._transaction,
                role_arn=proxy.role_arn,
                secret_arn=entry.secret_arn,
                proxy_arn=self._arn(proxy),
                at=self._at,
            )
        except NoCredentialsError as error:
            self._refuse(proxy, str(error))
            return []
        if any(login.name == ANY_USER for login in logins):
            self._refuse(
                proxy, f'{entry.secret_arn}: the username "{ANY_USER}" would stand for every user, and is refused'
            )
            return []
        if entry.user_name and entry.user_name not in (login.name for login in logins):
            self._refuse(proxy, f"{entry.secret_arn} is not of the user {entry.user_name}, as the Auth entry says")
            return []
        return list(logins)

    def _database_keys(self, proxy: Proxy) -> SigningKeys | None:
        if proxy.default_auth_scheme != IAM_AUTH:
            return None
        try:
            return self._credentials.of_role(
                self._transaction, role_arn=proxy.role_arn, proxy_arn=self._arn(proxy), at=self._at
            )
        except NoCredentialsError as error:
            self._refuse(proxy, str(error))
            return None

    def _arn(self, proxy: Proxy) -> str:
        return self._place.arn("db-proxy", proxy.resource_id)

    def _refuse(self, proxy: Proxy, reason: str) -> None:
        reasons = self.refused.setdefault(proxy.resource_id, [])
        if reason not in reasons:  # a role's trust, say, is asked for with each secret
            reasons.append(reason)


def _endpoint(endpoint: ProxyEndpoint, proxy: Proxy) -> DesiredEndpoint:
    return DesiredEndpoint(
        resource_id=endpoint.endpoint_id,
        name=endpoint.name or proxy.name,
        host=endpoint.host,
        port=endpoint.port,
        names=(endpoint.host,),
        read_only=endpoint.read_only,
    )


def _user(login: Login, entry: AuthEntry) -> DesiredUser:
    return DesiredUser(
        name=login.name,
        passwords=login.passwords,
        iam=entry.iam_auth == "REQUIRED",
        auth_method=PASSWORD_TYPES[entry.client_password_auth_type],
    )
