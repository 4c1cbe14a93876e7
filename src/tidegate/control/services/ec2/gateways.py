"""Internet gateways, NAT gateways, elastic IP addresses; DescribeVpnGateways, which finds none.

Owns these operations. All of it is data only. Public addresses are of 198.18.0.0/15, which leads nowhere (RFC 2544).
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import Base, allowed, find, listed, named, new_tags, permit, tag_set, text
from tidegate.control.services.ec2.filters import Filters, by_ids, given, page
from tidegate.control.services.ec2.records import Address, InternetGateway, NatGateway, Subnet, Vpc, new_id
from tidegate.control.services.ec2.subnets import available

PUBLIC = IPv4Network("198.18.0.0/15")
TOLD_FOR = 3600.0
"""Seconds for which a NAT gateway that was deleted is still described."""

INTERNET_FILTERS: Filters[InternetGateway] = Filters(
    {
        "internet-gateway-id": lambda gateway: [gateway.identifier],
        "attachment.vpc-id": lambda gateway: given(gateway.vpc_id),
        "attachment.state": lambda gateway: ["available"] if gateway.vpc_id else [],
    },
    lambda gateway: gateway.tags,
)
NAT_FILTERS: Filters[NatGateway] = Filters(
    {
        "nat-gateway-id": lambda gateway: [gateway.identifier],
        "vpc-id": lambda gateway: [gateway.vpc_id],
        "subnet-id": lambda gateway: [gateway.subnet_id],
        "state": lambda gateway: [_state(gateway)],
    },
    lambda gateway: gateway.tags,
)
ADDRESS_FILTERS: Filters[tuple[Address, NatGateway | None]] = Filters(
    {
        "allocation-id": lambda one: [one[0].identifier],
        "public-ip": lambda one: [one[0].public_ip],
        "domain": lambda _: ["vpc"],
        "association-id": lambda one: given(one[1] and one[1].association_id),
        "network-interface-id": lambda one: given(one[1] and one[1].interface_id),
    },
    lambda one: one[0].tags,
)


class Gateways(Base):
    """The operations on gateways and addresses."""

    def create_internet_gateway(self, call: Call) -> dict[str, Any]:
        """CreateInternetGateway. InternetGatewayLimitExceeded."""
        tags = new_tags(call, "internet-gateway")
        permit(call, [("internet-gateway", "*")], tags)
        gateways = call.transaction.table(InternetGateway)
        if len(gateways.all()) >= self.limits.gateways:
            raise errors.limit("internet-gateway", self.limits.gateways)
        gateway = InternetGateway(identifier=new_id("igw"), tags=tags)
        gateways.put(gateway)
        return {"InternetGateway": _internet_shape(call, gateway)}

    def attach_internet_gateway(self, call: Call) -> dict[str, Any]:
        """AttachInternetGateway. ...NotFound of either, Resource.AlreadyAssociated."""
        gateway, vpc = self._gateway_and_vpc(call)
        others = call.transaction.table(InternetGateway).all()
        if gateway.vpc_id is not None or any(one.vpc_id == vpc.identifier for one in others):
            raise errors.already_associated(
                f"resource {gateway.identifier} or network {vpc.identifier} already has an attachment"
            )
        call.transaction.table(InternetGateway).put(gateway.model_copy(update={"vpc_id": vpc.identifier}))
        return {}

    def detach_internet_gateway(self, call: Call) -> dict[str, Any]:
        """DetachInternetGateway. InvalidInternetGatewayID.NotFound, InvalidVpcID.NotFound, Gateway.NotAttached."""
        gateway, vpc = self._gateway_and_vpc(call)
        if gateway.vpc_id != vpc.identifier:
            raise errors.not_attached(gateway.identifier, vpc.identifier)
        call.transaction.table(InternetGateway).put(gateway.model_copy(update={"vpc_id": None}))
        return {}

    def _gateway_and_vpc(self, call: Call) -> tuple[InternetGateway, Vpc]:
        gateway_id, vpc_id = (str(call.parameters.get(name) or "") for name in ("InternetGatewayId", "VpcId"))
        permit(call, [("internet-gateway", gateway_id), ("vpc", vpc_id)])
        gateway = find(call, InternetGateway, text(call, "InternetGatewayId"))
        return gateway, find(call, Vpc, text(call, "VpcId"))

    def delete_internet_gateway(self, call: Call) -> dict[str, Any]:
        """DeleteInternetGateway. InvalidInternetGatewayID.NotFound, DependencyViolation while it is attached."""
        gateway = allowed(call, InternetGateway, "InternetGatewayId")
        if gateway.vpc_id is not None:
            raise errors.in_use(f"The internetGateway '{gateway.identifier}' has dependencies")
        call.transaction.table(InternetGateway).delete(gateway.key)
        return {}

    def describe_internet_gateways(self, call: Call) -> dict[str, Any]:
        """DescribeInternetGateways. InvalidInternetGatewayID.NotFound."""
        permit(call)
        gateways, token = listed(call, InternetGateway, "InternetGatewayIds", INTERNET_FILTERS)
        return {"InternetGateways": [_internet_shape(call, gateway) for gateway in gateways], **token}

    def describe_vpn_gateways(self, call: Call) -> dict[str, Any]:
        """DescribeVpnGateways: there are none, which is what CDK's Vpc.fromLookup wants to know."""
        permit(call)
        return {"VpnGateways": []}

    def allocate_address(self, call: Call) -> dict[str, Any]:
        """AllocateAddress. AddressLimitExceeded."""
        tags = new_tags(call, "elastic-ip")
        permit(call, [("elastic-ip", "*")], tags)
        if call.parameters.get("Domain") not in (None, "vpc"):
            raise errors.invalid_value("The domain of an address is vpc.")
        addresses = call.transaction.table(Address)
        there = {address.public_ip for address in addresses.all()}
        if len(there) >= self.limits.addresses:
            raise errors.limit("elastic-ip", self.limits.addresses)
        free = next(str(host) for host in PUBLIC.hosts() if str(host) not in there)
        address = Address(identifier=new_id("eipalloc"), public_ip=free, tags=tags)
        addresses.put(address)
        return {
            "AllocationId": address.identifier,
            "PublicIp": free,
            "Domain": "vpc",
            "PublicIpv4Pool": "amazon",
            "NetworkBorderGroup": call.region,
        }

    def release_address(self, call: Call) -> dict[str, Any]:
        """ReleaseAddress. InvalidAllocationID.NotFound, InvalidIPAddress.InUse."""
        address = allowed(call, Address, "AllocationId")
        if self._user(call, address) is not None:
            raise errors.address_in_use(address.identifier)
        call.transaction.table(Address).delete(address.key)
        return {}

    def describe_addresses(self, call: Call) -> dict[str, Any]:
        """DescribeAddresses. InvalidAllocationID.NotFound."""
        permit(call)
        wanted = call.parameters
        found = named(call, Address, "AllocationIds")
        ips = wanted.get("PublicIps") or []
        used = [(one, self._user(call, one)) for one in found if not ips or one.public_ip in ips]
        used = ADDRESS_FILTERS.apply(wanted.get("Filters"), used, call.account)
        return {"Addresses": [_address_shape(call, address, user) for address, user in used]}

    def _user(self, call: Call, address: Address) -> NatGateway | None:
        gateways = call.transaction.table(NatGateway).all()
        return next((one for one in gateways if one.allocation_id == address.identifier and one.deleted is None), None)

    def create_nat_gateway(self, call: Call) -> dict[str, Any]:
        """CreateNatGateway. InvalidSubnetID.NotFound, InvalidAllocationID.NotFound, InvalidIPAddress.InUse, limit."""
        wanted = call.parameters
        tags = new_tags(call, "natgateway")
        permit(call, [("natgateway", "*"), ("subnet", str(wanted.get("SubnetId") or ""))], tags)
        gateways = call.transaction.table(NatGateway)
        token = wanted.get("ClientToken")
        same = next((one for one in gateways.all() if token is not None and one.token == token), None)
        if same is not None:
            return {"ClientToken": str(token), "NatGateway": _nat_shape(call, same)}
        subnet = find(call, Subnet, text(call, "SubnetId"))
        if sum(one.deleted is None for one in gateways.all()) >= self.limits.nat_gateways:
            raise errors.limit("natgateway", self.limits.nat_gateways)
        gateway = self._new_gateway(call, subnet, tags)
        gateways.put(gateway)
        answer = {"NatGateway": _nat_shape(call, gateway)}
        return answer if token is None else {"ClientToken": str(token), **answer}

    def _new_gateway(self, call: Call, subnet: Subnet, tags: dict[str, str]) -> NatGateway:
        connectivity = call.parameters.get("ConnectivityType") or "public"
        if connectivity not in ("public", "private"):
            raise errors.invalid_value(f"Value ({connectivity!s:.40}) for parameter ConnectivityType is invalid.")
        address = None
        if connectivity == "public":
            address = find(call, Address, text(call, "AllocationId"))
            if self._user(call, address) is not None:
                raise errors.address_in_use(address.identifier)
        if available(call.transaction, subnet) < 1:
            raise errors.invalid_value(f"The subnet {subnet.identifier} has no free addresses.")
        token = call.parameters.get("ClientToken")
        return NatGateway(
            identifier=new_id("nat"),
            subnet_id=subnet.identifier,
            vpc_id=subnet.vpc_id,
            allocation_id=None if address is None else address.identifier,
            public_ip=None if address is None else address.public_ip,
            private_ip=self._private_ip(call, subnet),
            interface_id=new_id("eni"),
            association_id=new_id("eipassoc"),
            connectivity=connectivity,
            token=None if token is None else str(token)[:64],
            created=call.at,
            tags=tags,
        )

    def _private_ip(self, call: Call, subnet: Subnet) -> str:
        """The first that is free: the network's own and the next three are reserved."""
        gateways = call.transaction.table(NatGateway).all()
        taken = {one.private_ip for one in gateways if one.subnet_id == subnet.identifier and one.deleted is None}
        network = IPv4Network(subnet.cidr)
        return next(str(network[at]) for at in range(4, network.num_addresses - 1) if str(network[at]) not in taken)

    def delete_nat_gateway(self, call: Call) -> dict[str, Any]:
        """DeleteNatGateway. NatGatewayNotFound. Those deleted long ago are forgotten on the way."""
        gateway = allowed(call, NatGateway, "NatGatewayId")
        gateways = call.transaction.table(NatGateway)
        for old in gateways.all():
            if old.deleted is not None and call.at - old.deleted > TOLD_FOR:
                gateways.delete(old.key)
        if gateway.deleted is None:
            gateways.put(gateway.model_copy(update={"deleted": call.at}))
        return {"NatGatewayId": gateway.identifier}

    def describe_nat_gateways(self, call: Call) -> dict[str, Any]:
        """DescribeNatGateways. NatGatewayNotFound."""
        permit(call)
        wanted = call.parameters
        there = [
            one
            for one in call.transaction.table(NatGateway).all()
            if one.deleted is None or call.at - one.deleted <= TOLD_FOR
        ]
        found = by_ids("natgateway", wanted.get("NatGatewayIds") or [], there, lambda one: one.identifier)
        found = NAT_FILTERS.apply(wanted.get("Filter"), found, call.account)
        gateways, token = page(wanted, found, lambda gateway: gateway.key)
        return {"NatGateways": [_nat_shape(call, gateway) for gateway in gateways], **token}


def _state(gateway: NatGateway) -> str:
    return "available" if gateway.deleted is None else "deleted"


def _internet_shape(call: Call, gateway: InternetGateway) -> dict[str, Any]:
    return {
        "InternetGatewayId": gateway.identifier,
        "Attachments": [{"State": "available", "VpcId": gateway.vpc_id}] if gateway.vpc_id else [],
        "OwnerId": call.account,
        "Tags": tag_set(gateway.tags),
    }


def _address_shape(call: Call, address: Address, user: NatGateway | None) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "AllocationId": address.identifier,
        "PublicIp": address.public_ip,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": call.region,
        "Tags": tag_set(address.tags),
    }
    if user is not None:
        shape |= {
            "AssociationId": user.association_id,
            "NetworkInterfaceId": user.interface_id,
            "NetworkInterfaceOwnerId": call.account,
            "PrivateIpAddress": user.private_ip,
        }
    return shape


def _nat_shape(call: Call, gateway: NatGateway) -> dict[str, Any]:
    address: dict[str, Any] = {
        "NetworkInterfaceId": gateway.interface_id,
        "PrivateIp": gateway.private_ip,
        "IsPrimary": True,
        "Status": "succeeded",
    }
    if gateway.allocation_id is not None:
        address |= {
            "AllocationId": gateway.allocation_id,
            "PublicIp": gateway.public_ip,
            "AssociationId": gateway.association_id,
        }
    shape = {
        "NatGatewayId": gateway.identifier,
        "SubnetId": gateway.subnet_id,
        "VpcId": gateway.vpc_id,
        "State": _state(gateway),
        "ConnectivityType": gateway.connectivity,
        "CreateTime": datetime.fromtimestamp(gateway.created, UTC),
        "NatGatewayAddresses": [address],
        "Tags": tag_set(gateway.tags),
    }
    if gateway.deleted is not None:
        shape["DeleteTime"] = datetime.fromtimestamp(gateway.deleted, UTC)
    return shape
