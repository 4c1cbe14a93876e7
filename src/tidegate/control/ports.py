"""What the control plane asks of a data plane.

Owns the desired state, in the control plane's own words, and the Protocol that a data plane is seen through. Refuses to
know any data plane: the program that starts both gives one.

Data flows one way: a call commits, `desired` reads the store and makes a Desired, the data plane makes it so. What it
finds out (health, what could not be run) is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tidegate.auth.rds_token import SigningKeys


class Health(StrEnum):
    """TargetHealth.State of the RDS API."""

    REGISTERING = "REGISTERING"
    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"


class HealthReason(StrEnum):
    """TargetHealth.Reason of the RDS API."""

    UNREACHABLE = "UNREACHABLE"
    CONNECTION_FAILED = "CONNECTION_FAILED"
    AUTH_FAILURE = "AUTH_FAILURE"
    PENDING_PROXY_CAPACITY = "PENDING_PROXY_CAPACITY"
    INVALID_REPLICATION_STATE = "INVALID_REPLICATION_STATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredUser:
    """One database user that clients of a proxy may log in as."""

    name: str
    passwords: tuple[str, ...] = field(repr=False)
    """All that may be valid at the database, the likeliest first: current, pending, previous within its grace.
    Clients without IAM may log in with any of them."""
    iam: bool
    """Whether its clients prove themselves by an IAM token, and by nothing else."""
    database_iam: bool = False
    """Whether the proxy itself logs in at the database by IAM tokens, which its role's credentials sign."""
    auth_method: str = "scram-sha-256"
    """How clients without IAM prove themselves: scram-sha-256 or md5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredTarget:
    """The database behind a proxy. user and password: of the proxy's own login (the instance's master user).

    name: the instance's DbiResourceId, which stays when the instance is renamed.
    """

    name: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "postgres"
    require_tls: bool = False
    """Whether it is spoken to over TLS only: where tokens are shown to it, which are sent in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredEndpoint:
    """An address of a proxy."""

    resource_id: str
    """prx-endpoint-...: what stays when it is renamed."""
    name: str
    host: str
    port: int
    names: tuple[str, ...]
    """What clients may call it, in IAM tokens and certificates: host names and addresses without a port."""
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredProxy:
    """One proxy. Times are seconds."""

    resource_id: str
    """prx-...: what stays when it is renamed, and what rds-db:connect names."""
    name: str
    endpoints: tuple[DesiredEndpoint, ...]
    target: DesiredTarget | None
    """None while nothing is registered: clients are refused with the reason."""
    users: tuple[DesiredUser, ...]
    require_tls: bool
    idle_client_timeout: int
    connection_borrow_timeout: int
    max_connections_percent: int
    max_idle_connections_percent: int
    init_query: str = ""
    debug_logging: bool = False
    iam_for_all: bool = False
    """DefaultAuthScheme IAM_AUTH: whoever is not among `users` logs in by an IAM token, and the proxy at the database
    by tokens that its role's credentials sign."""
    role_arn: str = ""
    """Whose credentials sign these."""
    database_keys: SigningKeys | None = field(default=None, repr=False)
    """These credentials, of a session of that role: others come well before they expire. None if the role may not be
    assumed; then nobody but `users` may log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Everything that the data plane is to run."""

    proxies: tuple[DesiredProxy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """How a proxy's target is, as seen by the proxy."""

    state: Health
    reason: HealthReason | None = None
    description: str = ""


class FailureKind(StrEnum):
    """What a proxy or an endpoint could not be run for: the state that the RDS API tells of it."""

    NETWORK = "incompatible-network"
    """Its address can't be listened on."""
    LIMITS = "insufficient-resource-limits"
    """Anything else that it lacks: descriptors, memory, a setting that the data plane refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a proxy or an endpoint does not run as desired. description: for a user, so without secrets."""

    kind: FailureKind
    description: str
    credentials_lag: bool = False
    """Whether the proxy runs, and has not even the desired users and their credentials."""


class DataPlane(Protocol):
    """A proxy that can be told what to run. Methods are awaited one at a time."""

    async def apply(self, desired: Desired, *, again: bool) -> dict[str, Failure]:
        """Make it so. Returns, by the resource_id of a proxy or an endpoint, why it could not be.

        All else runs. An endpoint that fails leaves its proxy's others alone; a proxy that fails goes on as it was, but
        with the desired users, their credentials and those of its role, and without the endpoints that are deleted.

        again: whether what has failed before is to be tried though it is to be as it was to be then.

        What raises has applied nothing, or is to be applied again: the caller does so.
        """

    async def health(self) -> dict[str, TargetHealth]:
        """By a proxy's resource_id, for those with a target."""
