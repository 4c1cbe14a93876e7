"""Subnets: CreateSubnet, DeleteSubnet, DescribeSubnets, ModifySubnetAttribute.

Owns these operations. IPv4 only.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import Base, allowed, arn_of, find, named, new_tags, permit, tag_set, text
from tidegate.control.services.ec2.filters import Filters, flag, page
from tidegate.control.services.ec2.records import NatGateway, RouteTable, Subnet, Vpc, new_id
from tidegate.control.services.ec2.vpcs import block
from tidegate.control.services.ec2.zones import zone_id, zone_of
from tidegate.control.store.store import Transaction

FILTERS: Filters[tuple[Subnet, int]] = Filters(
    {
        "subnet-id": lambda one: [one[0].identifier],
        "vpc-id": lambda one: [one[0].vpc_id],
        "cidr": lambda one: [one[0].cidr],
        "cidr-block": lambda one: [one[0].cidr],
        "cidrBlock": lambda one: [one[0].cidr],
        "availability-zone": lambda one: [one[0].zone],
        "availabilityZone": lambda one: [one[0].zone],
        "availability-zone-id": lambda one: [zone_id(one[0].zone)],
        "available-ip-address-count": lambda one: [str(one[1])],
        "default-for-az": lambda one: flag(one[0].is_default),
        "defaultForAz": lambda one: flag(one[0].is_default),
        "map-public-ip-on-launch": lambda one: flag(one[0].public_ips),
        "ipv6-native": lambda _: ["false"],
        "state": lambda _: ["available"],
    },
    lambda one: one[0].tags,
)
"""They look at a subnet and how many of its addresses are free."""


def available(transaction: Transaction, subnet: Subnet) -> int:
    """Addresses that nothing has: NAT gateways take one each."""
    gateways = transaction.table(NatGateway).all()
    return subnet.size - sum(one.subnet_id == subnet.identifier and one.deleted is None for one in gateways)


class Subnets(Base):
    """The operations on subnets."""

    def create_subnet(self, call: Call) -> dict[str, Any]:
        """CreateSubnet. InvalidVpcID.NotFound, InvalidSubnet.Range, InvalidSubnet.Conflict, SubnetLimitExceeded."""
        given = call.parameters
        tags = new_tags(call, "subnet")
        vpc_id = str(given.get("VpcId") or "")
        permit(call, [("subnet", "*"), ("vpc", vpc_id)], tags)
        text(call, "VpcId")
        vpc = find(call, Vpc, vpc_id)
        if given.get("Ipv6CidrBlock") or given.get("Ipv6Native"):
            raise errors.unsupported("IPv6 is not supported in a subnet of Tidegate yet.")
        zone = zone_of(call.region, given.get("AvailabilityZone"), given.get("AvailabilityZoneId"))
        subnet = Subnet(
            identifier=new_id("subnet"),
            vpc_id=vpc.identifier,
            cidr=self._free_block(call, vpc, text(call, "CidrBlock")),
            zone=zone,
            tags=tags,
        )
        call.transaction.table(Subnet).put(subnet)
        return {"Subnet": _shape(call, subnet)}

    def _free_block(self, call: Call, vpc: Vpc, cidr: str) -> str:
        network = block(cidr, errors.bad_subnet_range)
        if not network.subnet_of(IPv4Network(vpc.cidr)):
            raise errors.bad_subnet_range(cidr)
        others = [subnet for subnet in call.transaction.table(Subnet).all() if subnet.vpc_id == vpc.identifier]
        if any(network.overlaps(IPv4Network(other.cidr)) for other in others):
            raise errors.subnet_conflict(cidr)
        if len(others) >= self.limits.subnets:
            raise errors.limit("subnet", self.limits.subnets)
        return str(network)

    def delete_subnet(self, call: Call) -> dict[str, Any]:
        """DeleteSubnet. InvalidSubnetID.NotFound, DependencyViolation while anything is in it."""
        subnet = allowed(call, Subnet, "SubnetId")
        identifier = subnet.identifier
        gateways = call.transaction.table(NatGateway).all()
        if any(gateway.subnet_id == identifier and gateway.deleted is None for gateway in gateways):
            raise errors.in_use(f"The subnet '{identifier}' has dependencies")
        user = self.used(call.transaction, identifier)
        if user is not None:
            raise errors.in_use(f"The subnet '{identifier}' is used by {user}")
        tables = call.transaction.table(RouteTable)
        for table in tables.all():
            rest = tuple(one for one in table.associations if one.subnet_id != identifier)
            if rest != table.associations:
                tables.put(table.model_copy(update={"associations": rest}))
        call.transaction.table(Subnet).delete(subnet.key)
        return {}

    def describe_subnets(self, call: Call) -> dict[str, Any]:
        """DescribeSubnets. InvalidSubnetID.NotFound."""
        permit(call)
        given = call.parameters
        counted = [(subnet, available(call.transaction, subnet)) for subnet in named(call, Subnet, "SubnetIds")]
        found = FILTERS.apply(given.get("Filters"), counted, call.account)
        subnets, token = page(given, [subnet for subnet, _ in found], lambda subnet: subnet.key)
        return {"Subnets": [_shape(call, subnet) for subnet in subnets], **token}

    def modify_subnet_attribute(self, call: Call) -> dict[str, Any]:
        """ModifySubnetAttribute: MapPublicIpOnLaunch. InvalidSubnetID.NotFound."""
        subnet = allowed(call, Subnet, "SubnetId")
        others = [name for name in call.parameters if name not in ("SubnetId", "MapPublicIpOnLaunch", "DryRun")]
        if others:
            raise errors.unsupported(f"The attribute {others[0]} of a subnet can't be changed in Tidegate yet.")
        value = call.parameters.get("MapPublicIpOnLaunch")
        if value is None:
            raise errors.missing("mapPublicIpOnLaunch")
        call.transaction.table(Subnet).put(subnet.model_copy(update={"public_ips": bool(value.get("Value"))}))
        return {}


def _shape(call: Call, subnet: Subnet) -> dict[str, Any]:
    return {
        "SubnetId": subnet.identifier,
        "SubnetArn": arn_of(call, "subnet", subnet.identifier),
        "VpcId": subnet.vpc_id,
        "CidrBlock": subnet.cidr,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": zone_id(subnet.zone),
        "AvailableIpAddressCount": available(call.transaction, subnet),
        "DefaultForAz": subnet.is_default,
        "MapPublicIpOnLaunch": subnet.public_ips,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "EnableDns64": False,
        "Ipv6Native": False,
        "OwnerId": call.account,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "State": "available",
        "Tags": tag_set(subnet.tags),
    }
