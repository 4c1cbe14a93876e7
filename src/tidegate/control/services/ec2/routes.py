"""Route tables: Create, Delete and DescribeRouteTable(s), CreateRoute, ReplaceRoute, DeleteRoute, AssociateRouteTable,
DisassociateRouteTable, ReplaceRouteTableAssociation.

Owns these operations. Routes go to internet gateways and NAT gateways, and are data only.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import Base, allowed, find, listed, new_tags, permit, tag_set, text
from tidegate.control.services.ec2.filters import Filters, flag, given
from tidegate.control.services.ec2.records import (
    Association,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    new_id,
)

KIND = "route-table"
FILTERS: Filters[RouteTable] = Filters(
    {
        "route-table-id": lambda table: [table.identifier],
        "vpc-id": lambda table: [table.vpc_id],
        "association.main": lambda table: flag(table.is_main),
        "association.subnet-id": lambda table: given(*(one.subnet_id for one in table.associations)),
        "association.route-table-association-id": lambda table: [one.identifier for one in table.associations],
        "association.route-table-id": lambda table: [table.identifier for _ in table.associations],
        "route.destination-cidr-block": lambda table: [route.destination for route in table.routes],
        "route.gateway-id": lambda table: [one.target for one in table.routes if not one.target.startswith("nat-")],
        "route.nat-gateway-id": lambda table: [one.target for one in table.routes if one.target.startswith("nat-")],
        "route.origin": lambda table: [_origin(route) for route in table.routes],
    },
    lambda table: table.tags,
)


class RouteTables(Base):
    """The operations on route tables."""

    def create_route_table(self, call: Call) -> dict[str, Any]:
        """CreateRouteTable. InvalidVpcID.NotFound, RouteTableLimitExceeded."""
        tags = new_tags(call, KIND)
        vpc_id = str(call.parameters.get("VpcId") or "")
        permit(call, [(KIND, "*"), ("vpc", vpc_id)], tags)
        text(call, "VpcId")
        vpc = find(call, Vpc, vpc_id)
        tables = call.transaction.table(RouteTable)
        if sum(table.vpc_id == vpc_id for table in tables.all()) >= self.limits.route_tables:
            raise errors.limit("route-table", self.limits.route_tables)
        table = RouteTable(
            identifier=new_id("rtb"),
            vpc_id=vpc_id,
            routes=(Route(destination=vpc.cidr, target="local"),),
            tags=tags,
        )
        tables.put(table)
        return {"RouteTable": _shape(call, table)}

    def delete_route_table(self, call: Call) -> dict[str, Any]:
        """DeleteRouteTable. InvalidRouteTableID.NotFound, DependencyViolation while a subnet or the VPC uses it."""
        table = allowed(call, RouteTable, "RouteTableId")
        if table.associations:
            raise errors.in_use(f"The routeTable '{table.identifier}' has dependencies")
        call.transaction.table(RouteTable).delete(table.key)
        return {}

    def describe_route_tables(self, call: Call) -> dict[str, Any]:
        """DescribeRouteTables. InvalidRouteTableID.NotFound."""
        permit(call)
        tables, token = listed(call, RouteTable, "RouteTableIds", FILTERS, most=100)
        return {"RouteTables": [_shape(call, table) for table in tables], **token}

    def create_route(self, call: Call) -> dict[str, Any]:
        """CreateRoute. InvalidRouteTableID.NotFound, RouteAlreadyExists, RouteLimitExceeded, the target's not-found."""
        table = allowed(call, RouteTable, "RouteTableId")
        route = Route(destination=_destination(call), target=_target(call, table))
        if any(other.destination == route.destination for other in table.routes):
            raise errors.route_exists(route.destination)
        if len(table.routes) > self.limits.routes:
            raise errors.limit("route", self.limits.routes)
        _keep(call, table, routes=(*table.routes, route))
        return {"Return": True}

    def replace_route(self, call: Call) -> dict[str, Any]:
        """ReplaceRoute. InvalidRouteTableID.NotFound, InvalidRoute.NotFound, the target's not-found."""
        table = allowed(call, RouteTable, "RouteTableId")
        route = Route(destination=_destination(call), target=_target(call, table))
        _keep(call, table, routes=(*_without(table, route.destination), route))
        return {}

    def delete_route(self, call: Call) -> dict[str, Any]:
        """DeleteRoute. InvalidRouteTableID.NotFound, InvalidRoute.NotFound."""
        table = allowed(call, RouteTable, "RouteTableId")
        _keep(call, table, routes=_without(table, _destination(call)))
        return {}

    def associate_route_table(self, call: Call) -> dict[str, Any]:
        """AssociateRouteTable with a subnet. InvalidRouteTableID.NotFound, InvalidSubnetID.NotFound, Resource..."""
        wanted = call.parameters
        subnet_id = str(wanted.get("SubnetId") or "")
        permit(call, [(KIND, str(wanted.get("RouteTableId") or "")), ("subnet", subnet_id)])
        table = find(call, RouteTable, text(call, "RouteTableId"))
        if not subnet_id:
            raise errors.unsupported("A route table can be associated with a subnet only.")
        subnet = find(call, Subnet, subnet_id)
        if subnet.vpc_id != table.vpc_id:
            raise errors.invalid_value(
                f"route table {table.identifier} and subnet {subnet_id} belong to different networks"
            )
        for other in call.transaction.table(RouteTable).all():
            for one in other.associations:
                if one.subnet_id == subnet_id and other.key == table.key:
                    return _associated(one.identifier)
                if one.subnet_id == subnet_id:
                    raise errors.already_associated(
                        f"the specified association for route table {table.identifier} conflicts with an existing "
                        "association"
                    )
        association = Association(identifier=new_id("rtbassoc"), subnet_id=subnet_id)
        _keep(call, table, associations=(*table.associations, association))
        return _associated(association.identifier)

    def disassociate_route_table(self, call: Call) -> dict[str, Any]:
        """DisassociateRouteTable. InvalidAssociationID.NotFound; the main one stays."""
        table, association = self._association(call)
        if association.subnet_id is None:
            raise errors.invalid_value(f"cannot disassociate the main route table association {association.identifier}")
        _keep(call, table, associations=tuple(one for one in table.associations if one != association))
        return {}

    def replace_route_table_association(self, call: Call) -> dict[str, Any]:
        """ReplaceRouteTableAssociation, the main one's too. ...NotFound of either."""
        old, association = self._association(call)
        new = find(call, RouteTable, text(call, "RouteTableId"))
        if new.vpc_id != old.vpc_id:
            raise errors.invalid_value(f"route table {new.identifier} belongs to another network")
        moved = Association(identifier=new_id("rtbassoc"), subnet_id=association.subnet_id)
        _keep(call, old, associations=tuple(one for one in old.associations if one != association))
        new = find(call, RouteTable, new.identifier)
        _keep(call, new, associations=(*new.associations, moved))
        return {"NewAssociationId": moved.identifier, "AssociationState": {"State": "associated"}}

    def _association(self, call: Call) -> tuple[RouteTable, Association]:
        identifier = str(call.parameters.get("AssociationId") or "")
        tables = call.transaction.table(RouteTable).all()
        found = next(((t, one) for t in tables for one in t.associations if one.identifier == identifier), None)
        permit(call, [(KIND, found[0].identifier if found else "*")])
        if found is None:
            raise errors.not_found("association", text(call, "AssociationId")[:200])
        return found


def _associated(identifier: str) -> dict[str, Any]:
    return {"AssociationId": identifier, "AssociationState": {"State": "associated"}}


def _destination(call: Call) -> str:
    cidr = call.parameters.get("DestinationCidrBlock")
    if cidr is None:
        if call.parameters.get("DestinationIpv6CidrBlock") or call.parameters.get("DestinationPrefixListId"):
            raise errors.unsupported("Routes of Tidegate have IPv4 CIDR blocks as their destination.")
        raise errors.missing("destinationCidrBlock")
    try:
        return str(IPv4Network(str(cidr), strict=False))
    except ValueError:
        raise errors.invalid_value(
            f"Value ({cidr!s:.80}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block."
        ) from None


def _target(call: Call, table: RouteTable) -> str:
    gateway, nat = call.parameters.get("GatewayId"), call.parameters.get("NatGatewayId")
    if (gateway is None) == (nat is None):
        raise errors.invalid_combination("Exactly one of gatewayId and natGatewayId must be specified.")
    if nat is not None:
        found = call.transaction.table(NatGateway).get(str(nat))
        if found is None or found.deleted is not None:
            raise errors.not_found("natgateway", str(nat)[:200])
        return found.identifier
    internet = find(call, InternetGateway, str(gateway))
    if internet.vpc_id != table.vpc_id:
        raise errors.invalid_value(
            f"route table {table.identifier} and network gateway {internet.identifier} belong to different networks"
        )
    return internet.identifier


def _without(table: RouteTable, destination: str) -> tuple[Route, ...]:
    found = next((route for route in table.routes if route.destination == destination), None)
    if found is None:
        raise errors.route_not_found(table.identifier, destination)
    if found.target == "local":
        raise errors.invalid_value(f"cannot remove local route {destination} in route table {table.identifier}")
    return tuple(route for route in table.routes if route != found)


def _keep(call: Call, table: RouteTable, **update: Any) -> None:
    call.transaction.table(RouteTable).put(table.model_copy(update=update))


def _origin(route: Route) -> str:
    return "CreateRouteTable" if route.target == "local" else "CreateRoute"


def _leads(call: Call, route: Route) -> bool:
    """Whether its target is there still."""
    if route.target.startswith("nat-"):
        found = call.transaction.table(NatGateway).get(route.target)
        return found is not None and found.deleted is None
    return route.target == "local" or call.transaction.table(InternetGateway).get(route.target) is not None


def _shape(call: Call, table: RouteTable) -> dict[str, Any]:
    return {
        "RouteTableId": table.identifier,
        "VpcId": table.vpc_id,
        "OwnerId": call.account,
        "PropagatingVgws": [],
        "Routes": [
            {
                "DestinationCidrBlock": route.destination,
                "NatGatewayId" if route.target.startswith("nat-") else "GatewayId": route.target,
                "Origin": _origin(route),
                "State": "active" if _leads(call, route) else "blackhole",
            }
            for route in table.routes
        ],
        "Associations": [
            {
                "Main": one.subnet_id is None,
                "RouteTableAssociationId": one.identifier,
                "RouteTableId": table.identifier,
                **({} if one.subnet_id is None else {"SubnetId": one.subnet_id}),
                "AssociationState": {"State": "associated"},
            }
            for one in table.associations
        ],
        "Tags": tag_set(table.tags),
    }
