"""Networks as other services ask for them; implements `services.rds.networks.Network`.

Owns these questions. Refuses to change anything. Leave is the asking service's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.control.services.ec2 import subnets
from tidegate.control.services.ec2.records import SecurityGroup, Subnet, Vpc
from tidegate.control.store.store import Transaction


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """A subnet for somebody who places something in it."""

    subnet_id: str
    vpc_id: str
    zone: str
    available: int
    """IPv4 addresses that nothing has."""
    ipv6: bool = False


class Lookup:
    """The account's VPCs."""

    def subnets(self, transaction: Transaction, ids: Sequence[str]) -> dict[str, SubnetFacts]:
        """Those of the ids that there are."""
        found = (transaction.table(Subnet).get(each) for each in ids)
        return {subnet.identifier: _facts(transaction, subnet) for subnet in found if subnet is not None}

    def group_vpcs(self, transaction: Transaction, ids: Sequence[str]) -> dict[str, str]:
        """The VPC of each of the security groups that there are."""
        found = (transaction.table(SecurityGroup).get(each) for each in ids)
        return {group.identifier: group.vpc_id for group in found if group is not None}

    def default_group(self, transaction: Transaction, vpc_id: str) -> str | None:
        """The default security group of a VPC."""
        groups = transaction.table(SecurityGroup).all()
        return next((one.identifier for one in groups if one.vpc_id == vpc_id and one.name == "default"), None)

    def default_subnets(self, transaction: Transaction) -> list[SubnetFacts]:
        """The default VPC's default subnets, by zone; none if that VPC was deleted."""
        vpcs = {vpc.identifier for vpc in transaction.table(Vpc).all() if vpc.is_default}
        found = [one for one in transaction.table(Subnet).all() if one.is_default and one.vpc_id in vpcs]
        return [_facts(transaction, subnet) for subnet in sorted(found, key=lambda one: one.zone)]


def _facts(transaction: Transaction, subnet: Subnet) -> SubnetFacts:
    return SubnetFacts(
        subnet_id=subnet.identifier,
        vpc_id=subnet.vpc_id,
        zone=subnet.zone,
        available=subnets.available(transaction, subnet),
    )
