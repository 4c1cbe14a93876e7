"""What is kept of proxies, endpoints, instances, subnet groups and events.

Owns the records, their keys and their states. Refuses rules and answers (`shapes`).

`revision` counts the changes of a record that a data plane must hear of: what applied an older one does not settle it.
"""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from tidegate.control.store.store import Part, Record


class Status(StrEnum):
    """DBProxyStatus and DBProxyEndpointStatus of the RDS API, those that occur here."""

    CREATING = "creating"
    AVAILABLE = "available"
    MODIFYING = "modifying"
    DELETING = "deleting"
    INCOMPATIBLE_NETWORK = "incompatible-network"
    INSUFFICIENT_RESOURCE_LIMITS = "insufficient-resource-limits"


def new_id(prefix: str) -> str:
    """prefix and 17 hexadecimal digits: "prx-0a1b2c3d4e5f60718"."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


class AuthEntry(Part):
    """UserAuthConfig: one secret, and how its user's clients prove themselves."""

    description: str | None = None
    user_name: str | None = None
    secret_arn: str
    iam_auth: str = "DISABLED"
    client_password_auth_type: str = "POSTGRES_SCRAM_SHA_256"


class PoolConfig(Part):
    """ConnectionPoolConfiguration. Percents are of the database's max_connections; times are seconds."""

    max_connections_percent: int = 100
    idle_percent: int | None = None
    """MaxIdleConnectionsPercent as given; None: half of max_connections_percent."""
    borrow_timeout: int = 120
    init_query: str = ""

    @property
    def max_idle_connections_percent(self) -> int:
        """As given, or its default."""
        return self.max_connections_percent // 2 if self.idle_percent is None else self.idle_percent


class TargetGroup(Part):
    """The proxy's one target group, `default`."""

    group_id: str
    pool: PoolConfig = PoolConfig()
    target: str | None = None
    """DbiResourceId of the instance, which stays when that is renamed."""
    created: float
    updated: float
    tags: dict[str, str] = Field(default_factory=dict)


class Proxy(Record):
    """A DB proxy with its target group. Names are unique without regard to case, and keep theirs."""

    kind: ClassVar[str] = "rds-proxy"

    name: str
    resource_id: str
    status: Status
    engine_family: str
    vpc_id: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    default_auth_scheme: str
    auth: tuple[AuthEntry, ...]
    role_arn: str
    require_tls: bool
    idle_client_timeout: int
    """Seconds."""
    debug_logging: bool
    endpoint_network_type: str
    target_connection_network_type: str
    created: float
    updated: float
    group: TargetGroup
    tags: dict[str, str] = Field(default_factory=dict)
    revision: int = 0
    reason: str = ""
    """Why the data plane could not run it, while the status says so."""

    @property
    def key(self) -> str:
        """Its name."""
        return self.name.lower()


class ProxyEndpoint(Record):
    """An address of a proxy. The default one has the proxy's name, and follows it when the proxy is renamed."""

    kind: ClassVar[str] = "rds-proxy-endpoint"

    name: str
    """Empty: the default endpoint, named like the proxy."""
    endpoint_id: str
    proxy_id: str
    status: Status
    vpc_id: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    read_only: bool = False
    network_type: str = "IPV4"
    host: str
    port: int
    created: float
    tags: dict[str, str] = Field(default_factory=dict)
    revision: int = 0

    @property
    def is_default(self) -> bool:
        """Whether it came with the proxy."""
        return not self.name

    @property
    def key(self) -> str:
        """Its name; of a default one the proxy's id, with a character that no name has."""
        return self.name.lower() or f"default/{self.proxy_id}"


class Instance(Record):
    """A DB instance that runs elsewhere. host and port: where; the password is sealed."""

    kind: ClassVar[str] = "rds-instance"

    identifier: str
    """Lower case, as RDS keeps it."""
    resource_id: str
    """DbiResourceId: db-..."""
    status: str
    engine: str
    engine_version: str
    instance_class: str
    master_username: str
    sealed_password: str = Field(repr=False)
    db_name: str | None
    host: str
    port: int
    subnet_group: str | None
    vpc_id: str | None
    availability_zone: str
    security_group_ids: tuple[str, ...]
    deletion_protection: bool = False
    echoed: dict[str, Any] = Field(default_factory=dict)
    """Members of the answer that are kept as given, by their names there."""
    created: float
    tags: dict[str, str] = Field(default_factory=dict)
    revision: int = 0

    @property
    def key(self) -> str:
        """Its identifier."""
        return self.identifier


class SubnetGroup(Record):
    """A DB subnet group."""

    kind: ClassVar[str] = "rds-subnet-group"

    name: str
    """Lower case, as RDS keeps it."""
    description: str
    vpc_id: str
    subnets: dict[str, str]
    """Availability Zones by subnet."""
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


class EventLog(Record):
    """How many events there were so far."""

    kind: ClassVar[str] = "rds-event-log"

    count: int = 0

    @property
    def key(self) -> str:
        """There is one."""
        return "log"


class Event(Record):
    """Something that happened to a resource (RDS User Guide, "Amazon RDS event categories and event messages")."""

    kind: ClassVar[str] = "rds-event"

    number: int
    at: float
    source_type: str
    source: str
    arn: str
    event_id: str
    category: str
    message: str

    @property
    def key(self) -> str:
        """Its number, so that keys are in the order of time."""
        return f"{self.number:016d}"
