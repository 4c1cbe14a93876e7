"""What EC2 operations share: leave, dry runs, look-ups by id, tags given at creation.

Owns the condition keys of EC2 (Service Authorization Reference, "Actions, resources, and condition keys for Amazon
EC2"). Refuses what operations do. Ids are random and tell nothing, so a missing one is told to whoever
may ask for its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.filters import Filters, by_ids, page
from tidegate.control.services.ec2.records import (
    Address,
    InternetGateway,
    NatGateway,
    RouteTable,
    SecurityGroup,
    Subnet,
    Tagged,
    Vpc,
)
from tidegate.control.services.service import Service
from tidegate.control.services.tag_keys import request_tags, resource_tags
from tidegate.control.store.store import Transaction

R = TypeVar("R", Vpc, Subnet, SecurityGroup, RouteTable, InternetGateway, Address, NatGateway)

KINDS: dict[type[Tagged], str] = {
    Vpc: "vpc",
    Subnet: "subnet",
    SecurityGroup: "security-group",
    RouteTable: "route-table",
    InternetGateway: "internet-gateway",
    Address: "elastic-ip",
    NatGateway: "natgateway",
}
"""Types of resources as ARNs and TagSpecifications name them."""

MAX_TAGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many there may be (VPC User Guide, "Amazon VPC quotas"; VPCs, gateways and addresses: raised)."""

    vpcs: int = 50
    subnets: int = 200
    """Of one VPC."""
    groups: int = 2500
    rules: int = 60
    """Of one security group, in each direction."""
    route_tables: int = 200
    """Of one VPC."""
    routes: int = 50
    """Of one route table, the local one not among them."""
    gateways: int = 50
    addresses: int = 50
    nat_gateways: int = 50


Used = Callable[[Transaction, str], str | None]
"""What has the subnet or security group of that id: "DB proxy main"."""


class Base(Service):
    """See the module."""

    name: ClassVar[str] = "ec2"

    def __init__(self, limits: Limits | None = None, used: Used = lambda _, __: None) -> None:
        """used: what of another service has a subnet or security group; nothing of that may be deleted."""
        self.limits = limits or Limits()
        self.used = used


def permit(
    call: Call,
    resources: Sequence[tuple[str, str]] = (),
    tags: Mapping[str, str] | None = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Go on only if the caller may do the call's operation on all (kind, id); none: on "*". Ends a dry run.

    tags: those that are given to what is created: these need ec2:CreateTags, too.
    """
    keys = {"ec2:Region": call.region, **(context or {}), **request_tags(tags or {})}
    action = f"ec2:{call.operation}"
    for kind, identifier in resources:
        call.require(action, arn_of(call, kind, identifier), {**keys, **tag_keys(call, kind, identifier)})
    if not resources:
        call.require(action, "*", keys)
    if tags:
        kind = resources[0][0]
        call.require("ec2:CreateTags", arn_of(call, kind, "*"), {**keys, "ec2:CreateAction": call.operation})
    if call.parameters.get("DryRun"):
        raise errors.dry_run()


def arn_of(call: Call, kind: str, identifier: str) -> str:
    """ARN of a resource: arn:aws:ec2:REGION:ACCOUNT:vpc/vpc-1."""
    return call.arn("ec2", f"{kind}/{identifier}")


def tag_keys(call: Call, kind: str, identifier: str) -> dict[str, str]:
    """aws:ResourceTag/KEY and ec2:ResourceTag/KEY of a resource, if there is one."""
    record = next((record for record, name in KINDS.items() if name == kind), None)
    found = None if record is None else call.transaction.table(record).get(identifier)
    return resource_tags(found.tags, "ec2:ResourceTag") if found else {}


def find(call: Call, record: type[R], identifier: str) -> R:
    """The resource of an id. Its own not-found error."""
    found = call.transaction.table(record).get(identifier)
    if found is None:
        raise errors.not_found(KINDS[record], identifier[:200])
    return found


def allowed(call: Call, record: type[R], parameter: str) -> R:
    """The resource that a parameter names, with leave for the call's operation on it. MissingParameter, not found."""
    permit(call, [(KINDS[record], str(call.parameters.get(parameter) or ""))])
    return find(call, record, text(call, parameter))


def named(call: Call, record: type[R], ids: str) -> list[R]:
    """Those that a parameter lists, all if it lists none. The resource's not-found error."""
    there = call.transaction.table(record).all()
    return by_ids(KINDS[record], call.parameters.get(ids) or [], there, lambda one: one.identifier)


def listed(
    call: Call, record: type[R], ids: str, filters: Filters[R], *, most: int = 1000
) -> tuple[Sequence[R], dict[str, str]]:
    """A page of those that a parameter lists and the call's filters let through; see filters.page."""
    found = filters.apply(call.parameters.get("Filters"), named(call, record, ids), call.account)
    return page(call.parameters, found, lambda one: one.key, most=most)


def text(call: Call, name: str) -> str:
    """A parameter that must be there. MissingParameter."""
    value = call.parameters.get(name)
    if value is None or value == "":
        raise errors.missing(name[0].lower() + name[1:])
    return str(value)


def new_tags(call: Call, kind: str) -> dict[str, str]:
    """Tags that a creation gives to what it creates. InvalidParameterValue for those of another type."""
    tags: dict[str, str] = {}
    for specification in call.parameters.get("TagSpecifications") or []:
        named = specification.get("ResourceType")
        if named != kind:
            raise errors.invalid_value(f"'{named!s:.80}' is not a valid taggable resource type for this operation.")
        tags |= checked_tags(specification.get("Tags") or [])
    if len(tags) > MAX_TAGS:
        raise errors.limit("tag", MAX_TAGS)
    return tags


def checked_tags(given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags by key (EC2 User Guide, "Tag restrictions"). InvalidParameterValue."""
    tags: dict[str, str] = {}
    for tag in given:
        key, value = str(tag.get("Key") or ""), str(tag.get("Value") or "")
        if not 1 <= len(key) <= 127 or len(value) > 255:
            raise errors.invalid_value("A tag key has 1 to 127 characters, a value at most 255.")
        if key.lower().startswith("aws:"):
            raise AwsError(
                "InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
            )
        tags[key] = value
    return tags


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags of an answer."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
