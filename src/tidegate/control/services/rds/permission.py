"""Whom an operation asks for leave, and by which resource.

Owns the condition keys of RDS and the rule that who may not, does not learn what exists: a resource that has an id of
its own is named by "*" in a refusal, as one that is not there. Refuses the judgement (`Call.require`).

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon RDS".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.rds.addresses import Address
from tidegate.control.services.tag_keys import request_tags, resource_tags
from tidegate.control.services.use_address import require_address

TAG_KEYS = {"db": ("rds:db-tag",), "subgrp": ("rds:subgrp-tag",)}
"""RDS's own condition keys for tags, by type of resource; proxies have aws:ResourceTag only."""


def arn_of(call: Call, kind: str, identifier: str) -> str:
    """ARN of a resource: arn:aws:rds:REGION:ACCOUNT:KIND:ID."""
    return call.arn("rds", f"{kind}:{identifier}")


def permit(
    call: Call,
    operation: str,
    kind: str,
    identifier: str = "*",
    *,
    tags: Mapping[str, str] | None = None,
    requested: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Go on only if the caller may. tags: the resource's; requested: those in the request; more: other keys."""
    call.require(f"rds:{operation}", arn_of(call, kind, identifier), _context(kind, tags or {}, requested, more or {}))


def permit_found(
    call: Call,
    operation: str,
    kind: str,
    identifier: str | None,
    tags: Mapping[str, str] | None = None,
    requested: Mapping[str, str] | None = None,
    keys: list[str] | None = None,
) -> None:
    """As permit, of a resource that was looked for by its name; identifier: None if there is none.

    keys: of tags that are to be removed.
    """
    more = {} if keys is None else {"aws:TagKeys": keys}
    if identifier is None:
        permit(call, operation, kind, requested=requested, more=more)
        return
    try:
        permit(call, operation, kind, identifier, tags=tags, requested=requested, more=more)
    except AwsError as error:
        shown = error.message.replace(arn_of(call, kind, identifier), arn_of(call, kind, "*"))
        raise AwsError(error.code, shown, error.status, **error.members) from None


def permit_tagging(call: Call, kind: str, tags: Mapping[str, str]) -> None:
    """Who tags what it creates needs leave to tag (IAM User Guide, "Controlling access during AWS requests")."""
    if tags:
        permit(call, "AddTagsToResource", kind, requested=tags)


def _context(
    kind: str, tags: Mapping[str, str], requested: Mapping[str, str] | None, more: Mapping[str, Any]
) -> dict[str, Any]:
    about = resource_tags(tags, *TAG_KEYS.get(kind, ()))
    return {**about, **request_tags(requested or {}, "rds:req-tag"), **more}


def permit_address(call: Call, address: Address | None) -> None:
    """Leave to name an address by the tag `tidegate:address`: see services.use_address."""
    if address is not None:
        require_address(call, address)
