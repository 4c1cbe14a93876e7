"""What Terraform reads of a VPC beside what it has made: DescribeNetworkAcls, DescribeNetworkInterfaces.

Owns these views. Each VPC has its default network ACL, which lets everything pass and is made up from the VPC's record;
the only network interfaces are those of NAT gateways. Refuses to make or change either.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2.base import Base, permit
from tidegate.control.services.ec2.filters import Filters, by_ids, flag, given, page
from tidegate.control.services.ec2.records import NatGateway, Subnet, Vpc
from tidegate.control.services.ec2.zones import zone_id

ALL = "0.0.0.0/0"
LAST_RULE = 32767
"""The rule behind all others, which denies (VPC User Guide, "Default network ACL")."""

Acl = tuple[Vpc, list[Subnet]]
"""A default network ACL is a VPC and its subnets."""

ACL_FILTERS: Filters[Acl] = Filters(
    {
        "network-acl-id": lambda acl: [_acl_id(acl[0])],
        "vpc-id": lambda acl: [acl[0].identifier],
        "default": lambda _: flag(True),
        "association.subnet-id": lambda acl: [subnet.identifier for subnet in acl[1]],
        "association.network-acl-id": lambda acl: [_acl_id(acl[0]) for _ in acl[1]],
    },
    lambda _: {},
)
INTERFACE_FILTERS: Filters[tuple[NatGateway, Subnet]] = Filters(
    {
        "network-interface-id": lambda one: [one[0].interface_id],
        "vpc-id": lambda one: [one[0].vpc_id],
        "subnet-id": lambda one: [one[0].subnet_id],
        "availability-zone": lambda one: [one[1].zone],
        "private-ip-address": lambda one: [one[0].private_ip],
        "addresses.private-ip-address": lambda one: [one[0].private_ip],
        "association.public-ip": lambda one: given(one[0].public_ip),
        "group-id": lambda _: [],
        "group-name": lambda _: [],
        "attachment.instance-id": lambda _: [],
        "attachment.status": lambda _: ["attached"],
        "interface-type": lambda _: ["nat_gateway"],
        "requester-managed": lambda _: flag(True),
        "description": lambda one: [_description(one[0])],
        "status": lambda _: ["in-use"],
    },
    lambda _: {},
)


class Attached(Base):
    """The operations on network ACLs and interfaces."""

    def describe_network_acls(self, call: Call) -> dict[str, Any]:
        """DescribeNetworkAcls. InvalidNetworkAclID.NotFound."""
        permit(call)
        subnets = call.transaction.table(Subnet).all()
        there: list[Acl] = [
            (vpc, [subnet for subnet in subnets if subnet.vpc_id == vpc.identifier])
            for vpc in call.transaction.table(Vpc).all()
        ]
        ids = call.parameters.get("NetworkAclIds") or []
        found = by_ids("network-acl", ids, there, lambda acl: _acl_id(acl[0]))
        found = ACL_FILTERS.apply(call.parameters.get("Filters"), found, call.account)
        acls, token = page(call.parameters, found, lambda acl: _acl_id(acl[0]))
        return {"NetworkAcls": [_acl_shape(call, vpc, own) for vpc, own in acls], **token}

    def describe_network_interfaces(self, call: Call) -> dict[str, Any]:
        """DescribeNetworkInterfaces. InvalidNetworkInterfaceID.NotFound."""
        permit(call)
        subnets = {subnet.identifier: subnet for subnet in call.transaction.table(Subnet).all()}
        there = [
            (gateway, subnets[gateway.subnet_id])
            for gateway in call.transaction.table(NatGateway).all()
            if gateway.deleted is None
        ]
        ids = call.parameters.get("NetworkInterfaceIds") or []
        found = by_ids("network-interface", ids, there, lambda one: one[0].interface_id)
        found = INTERFACE_FILTERS.apply(call.parameters.get("Filters"), found, call.account)
        interfaces, token = page(call.parameters, found, lambda one: one[0].interface_id)
        return {"NetworkInterfaces": [_interface_shape(call, *one) for one in interfaces], **token}


def _acl_id(vpc: Vpc) -> str:
    """As lasting as the VPC's own."""
    return "acl-" + vpc.identifier.partition("-")[2]


def _acl_shape(call: Call, vpc: Vpc, subnets: list[Subnet]) -> dict[str, Any]:
    identifier = _acl_id(vpc)
    return {
        "NetworkAclId": identifier,
        "VpcId": vpc.identifier,
        "IsDefault": True,
        "OwnerId": call.account,
        "Associations": [
            {
                "NetworkAclAssociationId": "aclassoc-" + subnet.identifier.partition("-")[2],
                "NetworkAclId": identifier,
                "SubnetId": subnet.identifier,
            }
            for subnet in subnets
        ],
        "Entries": [
            {"CidrBlock": ALL, "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number}
            for egress in (True, False)
            for number, action in ((100, "allow"), (LAST_RULE, "deny"))
        ],
        "Tags": [],
    }


def _description(gateway: NatGateway) -> str:
    return f"Interface for NAT Gateway {gateway.identifier}"


def _interface_shape(call: Call, gateway: NatGateway, subnet: Subnet) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "NetworkInterfaceId": gateway.interface_id,
        "InterfaceType": "nat_gateway",
        "Description": _description(gateway),
        "SubnetId": gateway.subnet_id,
        "VpcId": gateway.vpc_id,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": zone_id(subnet.zone),
        "OwnerId": call.account,
        "RequesterManaged": True,
        "SourceDestCheck": False,
        "Status": "in-use",
        "MacAddress": _mac(gateway),
        "PrivateIpAddress": gateway.private_ip,
        "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": gateway.private_ip}],
        "Groups": [],
        "TagSet": [],
    }
    if gateway.public_ip is not None:
        shape["Association"] = {
            "AllocationId": gateway.allocation_id,
            "AssociationId": gateway.association_id,
            "IpOwnerId": call.account,
            "PublicIp": gateway.public_ip,
        }
    return shape


def _mac(gateway: NatGateway) -> str:
    """A locally administered address made of the IPv4 one."""
    return ":".join(f"{part:02x}" for part in (0x02, 0x00, *IPv4Address(gateway.private_ip).packed))
