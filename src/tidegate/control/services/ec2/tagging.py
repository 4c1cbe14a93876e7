"""The operations on tags: CreateTags, DeleteTags, DescribeTags.

Owns these operations: an id's prefix says what has the tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import KINDS, MAX_TAGS, Base, checked_tags, permit
from tidegate.control.services.ec2.filters import Filters, page
from tidegate.control.services.ec2.records import (
    Address,
    InternetGateway,
    NatGateway,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Tagged,
    Vpc,
)
from tidegate.control.services.tag_keys import request_tags

PREFIXES: dict[str, type[Tagged]] = {
    "vpc": Vpc,
    "subnet": Subnet,
    "sg": SecurityGroup,
    "rtb": RouteTable,
    "igw": InternetGateway,
    "eipalloc": Address,
    "nat": NatGateway,
}
MAX_RESOURCES = 1000
FILTERS: Filters[dict[str, str]] = Filters(
    {
        "key": lambda tag: [tag["Key"]],
        "value": lambda tag: [tag["Value"]],
        "resource-id": lambda tag: [tag["ResourceId"]],
        "resource-type": lambda tag: [tag["ResourceType"]],
        "tag": lambda tag: [f"{tag['Key']}={tag['Value']}"],
    },
    lambda tag: {tag["Key"]: tag["Value"]},
)
RULE = "security-group-rule"


class Tagging(Base):
    """The operations on tags."""

    def create_tags(self, call: Call) -> dict[str, Any]:
        """CreateTags, on all of the resources or on none. The resource's not-found error, TagLimitExceeded."""
        added = checked_tags(call.parameters.get("Tags") or [])
        ids = _ids(call)
        permit(call, [(_kind(each), each) for each in ids], context=request_tags(added))
        if not added:
            raise errors.missing("tag")
        for identifier in ids:
            tags = {**_tags(call, identifier), **added}
            if len(tags) > MAX_TAGS:
                raise errors.limit("tag", MAX_TAGS)
            _keep(call, identifier, tags)
        return {}

    def delete_tags(self, call: Call) -> dict[str, Any]:
        """DeleteTags: those named, with that value where one is given; all if none is named."""
        ids = _ids(call)
        named = call.parameters.get("Tags") or []
        permit(call, [(_kind(each), each) for each in ids], context={"aws:TagKeys": [tag.get("Key") for tag in named]})
        for identifier in ids:
            tags = _tags(call, identifier)
            for tag in named:
                value = tags.get(tag.get("Key"))
                if value is not None and tag.get("Value") in (None, value):
                    del tags[tag["Key"]]
            _keep(call, identifier, tags if named else {})
        return {}

    def describe_tags(self, call: Call) -> dict[str, Any]:
        """DescribeTags."""
        permit(call)
        found = FILTERS.apply(call.parameters.get("Filters"), list(_all(call)), call.account)
        tags, token = page(call.parameters, found, lambda tag: f"{tag['ResourceId']}\n{tag['Key']}")
        return {"Tags": list(tags), **token}


def _ids(call: Call) -> list[str]:
    ids = [str(each) for each in call.parameters.get("Resources") or []]
    if not ids:
        permit(call)
        raise errors.missing("resourceIdSet")
    if len(ids) > MAX_RESOURCES:
        raise errors.invalid_value(f"There can be at most {MAX_RESOURCES} resources.")
    return list(dict.fromkeys(ids))


def _kind(identifier: str) -> str:
    prefix = identifier.partition("-")[0]
    if prefix == "sgr":
        return RULE
    if prefix not in PREFIXES:
        raise errors.invalid_value(f"The ID '{identifier:.80}' is not valid")
    return KINDS[PREFIXES[prefix]]


def _ruled(call: Call, identifier: str) -> tuple[SecurityGroup, Rule]:
    for group in call.transaction.table(SecurityGroup).all():
        for rule in group.rules:
            if rule.identifier == identifier:
                return group, rule
    raise errors.not_found(RULE, identifier[:200])


def _tags(call: Call, identifier: str) -> dict[str, str]:
    """The resource's tags, to be changed at will. Its not-found error."""
    if _kind(identifier) == RULE:
        return dict(_ruled(call, identifier)[1].tags)
    found = call.transaction.table(PREFIXES[identifier.partition("-")[0]]).get(identifier)
    if found is None:
        raise errors.not_found(_kind(identifier), identifier[:200])
    return dict(found.tags)


def _keep(call: Call, identifier: str, tags: dict[str, str]) -> None:
    if _kind(identifier) == RULE:
        group, rule = _ruled(call, identifier)
        changed = rule.model_copy(update={"tags": tags})
        rules = tuple(changed if one.identifier == identifier else one for one in group.rules)
        call.transaction.table(SecurityGroup).put(group.model_copy(update={"rules": rules}))
        return
    table = call.transaction.table(PREFIXES[identifier.partition("-")[0]])
    found = table.get(identifier)
    assert found is not None
    table.put(found.model_copy(update={"tags": tags}))


def _all(call: Call) -> Iterator[dict[str, str]]:
    for record, kind in KINDS.items():
        for found in call.transaction.table(record).all():
            yield from _told(found.identifier, kind, found.tags)
            for rule in getattr(found, "rules", ()):
                yield from _told(rule.identifier, RULE, rule.tags)


def _told(identifier: str, kind: str, tags: dict[str, str]) -> Iterator[dict[str, str]]:
    for key, value in tags.items():
        yield {"ResourceId": identifier, "ResourceType": kind, "Key": key, "Value": value}
