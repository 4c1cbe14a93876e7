"""What an account may have of each thing, and where proxies listen. Owns numbers; refuses to enforce them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Quotas (Amazon RDS User Guide, "Quotas and constraints", and "Quotas and limitations for RDS Proxy")."""

    proxies: int = 20
    endpoints: int = 20
    """Of one proxy; the default one is not counted."""
    instances: int = 40
    subnet_groups: int = 50
    subnets_in_group: int = 20
    secrets: int = 200
    """Auth entries of one proxy."""
    tags: int = 50
    """Of one resource."""
    events: int = 2000
    """Kept; the oldest go first."""
    addresses_per_proxy: int = 10
    """Free IP addresses that a proxy's subnets must have together (User Guide, "Planning for IP address capacity")."""
    listen_network: IPv4Network = field(default_factory=lambda: IPv4Network("127.64.0.0/10"))
    """Where the endpoints' own addresses come from. All of 127.0.0.0/8 is this machine on Linux."""
    listen_port: int = 5432
