"""VPCs: CreateVpc, DeleteVpc, DescribeVpcs, DescribeVpcAttribute, ModifyVpcAttribute.

Owns these operations, and what comes with a VPC: its main route table and its default security group. IPv4 only.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import Base, allowed, find, listed, new_tags, permit, tag_set, text
from tidegate.control.services.ec2.filters import Filters, flag
from tidegate.control.services.ec2.records import (
    Association,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    new_id,
)
from tidegate.control.store.store import Transaction

DHCP_OPTIONS = "dopt-default"
ATTRIBUTES = {
    "enableDnsSupport": ("EnableDnsSupport", "dns_support"),
    "enableDnsHostnames": ("EnableDnsHostnames", "dns_hostnames"),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", "usage_metrics"),
}
"""By the attribute's name: its member in answers and requests, and in the record."""

FILTERS: Filters[Vpc] = Filters(
    {
        "vpc-id": lambda vpc: [vpc.identifier],
        "cidr": lambda vpc: [vpc.cidr],
        "cidr-block": lambda vpc: [vpc.cidr],
        "cidrBlock": lambda vpc: [vpc.cidr],
        "cidr-block-association.association-id": lambda vpc: [vpc.association_id],
        "cidr-block-association.cidr-block": lambda vpc: [vpc.cidr],
        "cidr-block-association.state": lambda _: ["associated"],
        "dhcp-options-id": lambda _: [DHCP_OPTIONS],
        "is-default": lambda vpc: flag(vpc.is_default),
        "isDefault": lambda vpc: flag(vpc.is_default),
        "state": lambda _: ["available"],
    },
    lambda vpc: vpc.tags,
)


def make_vpc(transaction: Transaction, vpc: Vpc) -> RouteTable:
    """Keep a VPC with what comes with it. Returns its main route table."""
    transaction.table(Vpc).put(vpc)
    table = RouteTable(
        identifier=new_id("rtb"),
        vpc_id=vpc.identifier,
        routes=(Route(destination=vpc.cidr, target="local"),),
        associations=(Association(identifier=new_id("rtbassoc")),),
    )
    transaction.table(RouteTable).put(table)
    group_id = new_id("sg")
    inside = Rule(identifier=new_id("sgr"), egress=False, protocol="-1", group=group_id)
    outside = Rule(identifier=new_id("sgr"), egress=True, protocol="-1", cidr="0.0.0.0/0")
    transaction.table(SecurityGroup).put(
        SecurityGroup(
            identifier=group_id,
            name="default",
            description="default VPC security group",
            vpc_id=vpc.identifier,
            rules=(inside, outside),
        )
    )
    return table


def block(cidr: str, fault: Any) -> IPv4Network:
    """A network of /16 to /28; bits of the host are cut off, as EC2 does. fault: makes the error of another one."""
    try:
        network = IPv4Network(cidr, strict=False)
    except ValueError:
        raise errors.invalid_value(
            f"Value ({cidr:.80}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        ) from None
    if not 16 <= network.prefixlen <= 28 or "/" not in cidr:
        raise fault(cidr)
    return network


class Vpcs(Base):
    """The operations on VPCs."""

    def create_vpc(self, call: Call) -> dict[str, Any]:
        """CreateVpc. InvalidVpc.Range, VpcLimitExceeded."""
        tags = new_tags(call, "vpc")
        permit(call, [("vpc", "*")], tags)
        given = call.parameters
        if given.get("AmazonProvidedIpv6CidrBlock") or given.get("Ipv6CidrBlock") or given.get("Ipv6Pool"):
            raise errors.unsupported("IPv6 is not supported in a VPC of Tidegate yet.")
        tenancy = given.get("InstanceTenancy") or "default"
        if tenancy not in ("default", "dedicated"):
            raise errors.invalid_value(f"Value ({tenancy!s:.80}) for parameter instanceTenancy is invalid.")
        if len(call.transaction.table(Vpc).all()) >= self.limits.vpcs:
            raise errors.limit("vpc", self.limits.vpcs)
        vpc = Vpc(
            identifier=new_id("vpc"),
            cidr=str(block(text(call, "CidrBlock"), errors.bad_range)),
            association_id=new_id("vpc-cidr-assoc"),
            tenancy=tenancy,
            tags=tags,
        )
        make_vpc(call.transaction, vpc)
        return {"Vpc": _shape(call, vpc) | {"State": "pending"}}

    def delete_vpc(self, call: Call) -> dict[str, Any]:
        """DeleteVpc. InvalidVpcID.NotFound, DependencyViolation while anything else is in it."""
        vpc = allowed(call, Vpc, "VpcId")
        identifier = vpc.identifier
        _check_empty(call.transaction, identifier)
        for table in call.transaction.table(RouteTable).all():
            if table.vpc_id == identifier:
                call.transaction.table(RouteTable).delete(table.key)
        for group in call.transaction.table(SecurityGroup).all():
            if group.vpc_id == identifier:
                call.transaction.table(SecurityGroup).delete(group.key)
        call.transaction.table(Vpc).delete(vpc.key)
        return {}

    def describe_vpcs(self, call: Call) -> dict[str, Any]:
        """DescribeVpcs. InvalidVpcID.NotFound."""
        permit(call)
        vpcs, token = listed(call, Vpc, "VpcIds", FILTERS)
        return {"Vpcs": [_shape(call, vpc) for vpc in vpcs], **token}

    def describe_vpc_attribute(self, call: Call) -> dict[str, Any]:
        """DescribeVpcAttribute. InvalidVpcID.NotFound."""
        identifier = str(call.parameters.get("VpcId") or "")
        permit(call, [("vpc", identifier)])
        text(call, "VpcId")
        attribute = text(call, "Attribute")
        if attribute not in ATTRIBUTES:
            raise errors.invalid_value(f"Value ({attribute:.80}) for parameter attribute is invalid.")
        vpc = find(call, Vpc, identifier)
        member, kept = ATTRIBUTES[attribute]
        return {"VpcId": vpc.identifier, member: {"Value": getattr(vpc, kept)}}

    def modify_vpc_attribute(self, call: Call) -> dict[str, Any]:
        """ModifyVpcAttribute. InvalidVpcID.NotFound; one attribute a call, as with EC2."""
        vpc = allowed(call, Vpc, "VpcId")
        update = {
            kept: bool(call.parameters[member].get("Value"))
            for member, kept in ATTRIBUTES.values()
            if call.parameters.get(member) is not None
        }
        if len(update) != 1:
            raise errors.invalid_combination("Exactly one attribute must be specified.")
        call.transaction.table(Vpc).put(vpc.model_copy(update=update))
        return {}


def _check_empty(transaction: Transaction, vpc_id: str) -> None:
    """What must go first: subnets, gateways, and groups and tables beside those that came with the VPC."""
    groups = transaction.table(SecurityGroup).all()
    tables = transaction.table(RouteTable).all()
    there = (
        any(subnet.vpc_id == vpc_id for subnet in transaction.table(Subnet).all())
        or any(gateway.vpc_id == vpc_id for gateway in transaction.table(InternetGateway).all())
        or any(gateway.vpc_id == vpc_id and gateway.deleted is None for gateway in transaction.table(NatGateway).all())
        or any(group.vpc_id == vpc_id and group.name != "default" for group in groups)
        or any(table.vpc_id == vpc_id and not table.is_main for table in tables)
    )
    if there:
        raise errors.in_use(f"The vpc '{vpc_id}' has dependencies")


def _shape(call: Call, vpc: Vpc) -> dict[str, Any]:
    return {
        "VpcId": vpc.identifier,
        "CidrBlock": vpc.cidr,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": vpc.association_id,
                "CidrBlock": vpc.cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "DhcpOptionsId": DHCP_OPTIONS,
        "InstanceTenancy": vpc.tenancy,
        "IsDefault": vpc.is_default,
        "OwnerId": call.account,
        "State": "available",
        "Tags": tag_set(vpc.tags),
    }
