"""The operations on tags: AddTagsToResource, RemoveTagsFromResource, ListTagsForResource.

Owns the way from an ARN to the record with the tags: by the table at its head. Refuses tags' form (`tags`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.base import Base
from tidegate.control.services.rds.parameters import no_filters, text, texts
from tidegate.control.services.rds.permission import permit, permit_found
from tidegate.control.services.rds.records import Instance, Proxy, ProxyEndpoint, SubnetGroup
from tidegate.control.services.rds.tags import merged, tag_list, tags_of
from tidegate.control.store.store import Record, Transaction

ARN_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Tagged:
    """A resource with tags: which they are, and how to keep others."""

    tags: dict[str, str]
    keep: Callable[[dict[str, str]], None]


def _record(transaction: Transaction, record: Record, tags: dict[str, str]) -> Tagged:
    def keep(changed: dict[str, str]) -> None:
        transaction.table(type(record)).put(record.model_copy(update={"tags": changed}))

    return Tagged(tags, keep)


def _proxy(transaction: Transaction, identifier: str) -> Tagged | None:
    found = next((one for one in transaction.table(Proxy).all() if one.resource_id == identifier), None)
    return None if found is None else _record(transaction, found, found.tags)


def _endpoint(transaction: Transaction, identifier: str) -> Tagged | None:
    found = next((one for one in transaction.table(ProxyEndpoint).all() if one.endpoint_id == identifier), None)
    return None if found is None else _record(transaction, found, found.tags)


def _group(transaction: Transaction, identifier: str) -> Tagged | None:
    found = next((one for one in transaction.table(Proxy).all() if one.group.group_id == identifier), None)
    if found is None:
        return None
    proxy = found

    def keep(changed: dict[str, str]) -> None:
        group = proxy.group.model_copy(update={"tags": changed})
        transaction.table(Proxy).put(proxy.model_copy(update={"group": group}))

    return Tagged(proxy.group.tags, keep)


def _instance(transaction: Transaction, identifier: str) -> Tagged | None:
    found = transaction.table(Instance).get(identifier.lower())
    return None if found is None else _record(transaction, found, found.tags)


def _subnet_group(transaction: Transaction, identifier: str) -> Tagged | None:
    found = transaction.table(SubnetGroup).get(identifier.lower())
    return None if found is None else _record(transaction, found, found.tags)


KINDS: dict[str, tuple[Callable[[Transaction, str], Tagged | None], Callable[[str], AwsError], bool]] = {
    "db-proxy": (_proxy, errors.not_found, True),
    "db-proxy-endpoint": (_endpoint, errors.endpoint_not_found, True),
    "target-group": (_group, errors.group_not_found, True),
    "db": (_instance, errors.instance_not_found, False),
    "subgrp": (_subnet_group, errors.subnet_group_not_found, False),
}
"""By the ARN's type: the look-up, what is said of none, and whether the ARN tells more than the resource's own name."""


class Tagging(Base):
    """The operations on tags."""

    def add_tags_to_resource(self, call: Call) -> dict[str, Any]:
        """AddTagsToResource. The resource's own not-found error."""
        added = tags_of(call.parameters, self.settings.tags)
        tagged = _allowed(call, requested=added)
        tagged.keep(merged(tagged.tags, added, self.settings.tags))
        return {}

    def remove_tags_from_resource(self, call: Call) -> dict[str, Any]:
        """RemoveTagsFromResource; keys that are not there are passed over."""
        keys = texts(call.parameters, "TagKeys")
        tagged = _allowed(call, keys=keys)
        tagged.keep({key: value for key, value in tagged.tags.items() if key not in keys})
        return {}

    def list_tags_for_resource(self, call: Call) -> dict[str, Any]:
        """ListTagsForResource."""
        tagged = _allowed(call)
        no_filters(call.parameters)
        return {"TagList": tag_list(tagged.tags)}


def _allowed(call: Call, requested: dict[str, str] | None = None, keys: list[str] | None = None) -> Tagged:
    arn = str(call.parameters.get("ResourceName") or "")
    parts = arn.split(":", 6) if len(arn) <= ARN_LIMIT else []
    ours = parts[:5] == ["arn", call.partition, "rds", call.region, call.account] and len(parts) == 7
    if not ours or parts[5] not in KINDS:
        permit(call, call.operation, "*")
        text(call.parameters, "ResourceName")
        raise errors.invalid_value(f"Invalid resource name: {arn:.200}")
    kind, identifier = parts[5], parts[6]
    find, absent, hidden = KINDS[kind]
    found = find(call.transaction, identifier)
    shown = None if found is None and hidden else identifier
    permit_found(call, call.operation, kind, shown, found.tags if found else None, requested, keys)
    if found is None:
        raise absent(identifier)
    return found
