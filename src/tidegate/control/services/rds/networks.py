"""What this service asks about networks, and the rules for subnets and security groups of RDS.

Owns the Protocol that they are seen through (`services.ec2.lookup` implements it), and the checks that
CreateDBProxy, CreateDBProxyEndpoint and DB subnet groups share. Refuses to keep networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.control.services.rds import errors
from tidegate.control.store.store import Transaction

MAX_IDS = 100
"""Subnets or security groups in one request."""


class SubnetInfo(Protocol):
    """A subnet, as far as RDS cares."""

    @property
    def subnet_id(self) -> str:
        """subnet-..."""

    @property
    def vpc_id(self) -> str:
        """vpc-..."""

    @property
    def zone(self) -> str:
        """Availability Zone: "eu-west-1a"."""

    @property
    def available(self) -> int:
        """IPv4 addresses that nothing has."""

    @property
    def ipv6(self) -> bool:
        """Whether it has an IPv6 block, too."""


class Network(Protocol):
    """The account's VPCs."""

    def subnets(self, transaction: Transaction, ids: Sequence[str]) -> Mapping[str, SubnetInfo]:
        """Those of the ids that there are."""

    def group_vpcs(self, transaction: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
        """The VPC of each of the security groups that there are."""

    def default_group(self, transaction: Transaction, vpc_id: str) -> str | None:
        """The default security group of a VPC."""

    def default_subnets(self, transaction: Transaction) -> Sequence[SubnetInfo]:
        """The default VPC's default subnets; none if that VPC was deleted."""


def subnets_of(network: Network, transaction: Transaction, ids: Sequence[str], *, ipv6: bool) -> Sequence[SubnetInfo]:
    """The subnets of a proxy or endpoint. InvalidSubnet unless they exist, share a VPC, and lie in two zones."""
    found = _known(network, transaction, ids)
    if len({subnet.zone for subnet in found}) < 2:
        raise errors.invalid_subnet(
            "The requested subnets must be in at least two different Availability Zones: "
            f"{', '.join(subnet.subnet_id for subnet in found)} are all in {found[0].zone}."
        )
    lacking = [subnet.subnet_id for subnet in found if ipv6 and not subnet.ipv6]
    if lacking:
        raise errors.invalid_subnet(
            f"The network types IPV6 and DUAL need an IPv6 CIDR block in every subnet; {', '.join(lacking)} have none."
        )
    return found


def group_subnets(network: Network, transaction: Transaction, ids: Sequence[str]) -> Sequence[SubnetInfo]:
    """The subnets of a DB subnet group: as above, but lacking zones is DBSubnetGroupDoesNotCoverEnoughAZs."""
    found = _known(network, transaction, ids)
    zones = sorted({subnet.zone for subnet in found})
    if len(zones) < 2:
        raise errors.subnet_group_coverage(", ".join(zones))
    return found


def security_groups_of(network: Network, transaction: Transaction, vpc_id: str, ids: Sequence[str]) -> tuple[str, ...]:
    """The security groups to use in a VPC: those given, else its default. InvalidParameterValue if one is missing."""
    unique = tuple(dict.fromkeys(ids))
    if len(unique) > MAX_IDS:
        raise errors.invalid_value(f"There can be at most {MAX_IDS} security groups, not {len(unique)}.")
    if not unique:
        default = network.default_group(transaction, vpc_id)
        return () if default is None else (default,)
    vpcs = network.group_vpcs(transaction, unique)
    for group in unique:
        if group not in vpcs:
            raise errors.invalid_value(f"Invalid security group , groupId= {group}, groupName=.")
        if vpcs[group] != vpc_id:
            raise errors.invalid_combination(
                f"The security group {group} is in the VPC {vpcs[group]}, and the subnets are in the VPC {vpc_id}."
            )
    return unique


def _known(network: Network, transaction: Transaction, ids: Sequence[str]) -> list[SubnetInfo]:
    unique = list(dict.fromkeys(ids))
    if not unique:
        raise errors.invalid_subnet("At least two subnets are needed, in different Availability Zones.")
    if len(unique) > MAX_IDS:
        raise errors.invalid_value(f"There can be at most {MAX_IDS} subnets, not {len(unique)}.")
    there = network.subnets(transaction, unique)
    unknown = [subnet for subnet in unique if subnet not in there]
    if unknown:
        raise errors.invalid_subnet(f"The requested subnet is invalid: {', '.join(unknown)}.")
    found = [there[subnet] for subnet in unique]
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise errors.invalid_subnet(f"The requested subnets {', '.join(unique)} are not all in a common VPC.")
    return found
