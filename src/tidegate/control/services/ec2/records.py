"""What is kept of networks.

Owns the records, their keys (ids) and how ids are made. Refuses rules and answers.
"""

from __future__ import annotations

import secrets
from ipaddress import IPv4Network
from typing import ClassVar

from pydantic import Field

from tidegate.control.store.store import Part, Record

RESERVED = 5
"""Addresses of each subnet that nothing can have (VPC User Guide, "Subnet CIDR blocks")."""


def new_id(prefix: str) -> str:
    """prefix and 17 hexadecimal digits: "vpc-0a1b2c3d4e5f60718"."""
    return f"{prefix}-0{secrets.token_hex(8)}"


class Tagged(Record):
    """A resource with an id and tags."""

    identifier: str
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its id."""
        return self.identifier


class Vpc(Tagged):
    """A VPC."""

    kind: ClassVar[str] = "ec2-vpc"

    cidr: str
    association_id: str
    tenancy: str = "default"
    is_default: bool = False
    dns_support: bool = True
    dns_hostnames: bool = False
    usage_metrics: bool = False


class Subnet(Tagged):
    """A subnet."""

    kind: ClassVar[str] = "ec2-subnet"

    vpc_id: str
    cidr: str
    zone: str
    public_ips: bool = False
    """MapPublicIpOnLaunch."""
    is_default: bool = False

    @property
    def size(self) -> int:
        """Addresses that can be had."""
        return IPv4Network(self.cidr).num_addresses - RESERVED


class Rule(Part):
    """One rule of a security group: one protocol, one range of ports, one peer."""

    identifier: str
    egress: bool
    protocol: str
    """tcp, udp, icmp, icmpv6, a number, or -1: all."""
    from_port: int | None = None
    to_port: int | None = None
    cidr: str | None = None
    cidr6: str | None = None
    prefix_list: str | None = None
    group: str | None = None
    description: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def meaning(self) -> tuple[object, ...]:
        """What makes two rules the same."""
        return (
            self.egress,
            self.protocol,
            self.from_port,
            self.to_port,
            self.cidr,
            self.cidr6,
            self.prefix_list,
            self.group,
        )


class SecurityGroup(Tagged):
    """A security group with its rules."""

    kind: ClassVar[str] = "ec2-security-group"

    name: str
    description: str
    vpc_id: str
    rules: tuple[Rule, ...] = ()


class Route(Part):
    """Where packets to a range go. target: an id, or "local"."""

    destination: str
    target: str


class Association(Part):
    """Of a route table with a subnet; without one it is the VPC's main table."""

    identifier: str
    subnet_id: str | None = None


class RouteTable(Tagged):
    """A route table."""

    kind: ClassVar[str] = "ec2-route-table"

    vpc_id: str
    routes: tuple[Route, ...] = ()
    associations: tuple[Association, ...] = ()

    @property
    def is_main(self) -> bool:
        """Whether subnets without a table of their own use it."""
        return any(one.subnet_id is None for one in self.associations)


class InternetGateway(Tagged):
    """An internet gateway, attached to a VPC or to none."""

    kind: ClassVar[str] = "ec2-internet-gateway"

    vpc_id: str | None = None


class Address(Tagged):
    """An elastic IP address."""

    kind: ClassVar[str] = "ec2-address"

    public_ip: str


class NatGateway(Tagged):
    """A NAT gateway. One that was deleted is told of for an hour, as in AWS."""

    kind: ClassVar[str] = "ec2-nat-gateway"

    subnet_id: str
    vpc_id: str
    allocation_id: str | None
    public_ip: str | None
    private_ip: str
    interface_id: str
    association_id: str
    connectivity: str
    token: str | None = None
    created: float
    deleted: float | None = None
