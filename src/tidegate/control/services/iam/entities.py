"""Finds an entity that a call names, and requires the action on it.

Owns the order of the two (the right to ask comes before the answer whether it is there), and the errors for names.
Refuses what operations do with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.iam.errors import (
    already_exists,
    entity_exists,
    invalid_input,
    no_such_entity,
    not_found,
    policy_not_found,
    refused,
    unmodifiable,
)
from tidegate.control.services.iam.managed import AWS_PREFIX, AwsPolicy, find_policy
from tidegate.control.services.iam.records import (
    Bounded,
    Entity,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Policied,
    Role,
    User,
    entity_arn,
)
from tidegate.control.services.tag_keys import resource_tags
from tidegate.control.store.store import Transaction

PARAMETERS: dict[type[Entity], str] = {
    User: "UserName",
    Group: "GroupName",
    Role: "RoleName",
    InstanceProfile: "InstanceProfileName",
}
HOLDERS: tuple[type[Policied], ...] = (User, Group, Role)
"""What policies can be attached to."""

E = TypeVar("E", bound=Entity)


def missing(record: type[Entity], name: str) -> AwsError:
    """404 in the words for this kind of entity."""
    if record is InstanceProfile:
        return no_such_entity(f"Instance Profile {name} cannot be found.")
    return not_found(record.noun, name)


def taken(record: type[Entity], name: str) -> AwsError:
    """409 in the words for this kind of entity."""
    if record is InstanceProfile:
        return entity_exists(f"Instance Profile {name} already exists.")
    if record is ManagedPolicy:
        return entity_exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    return already_exists(record.noun, name)


def find(transaction: Transaction, record: type[E], name: str) -> E | None:
    """The entity of just that name."""
    found = transaction.table(record).get(name.lower())
    return found if found is not None and found.name == name else None


def require_free(transaction: Transaction, record: type[E], name: str) -> None:
    """AwsError if an entity has that name already, in whatever case."""
    if transaction.table(record).get(name.lower()) is not None:
        raise taken(record, name)


def require_on(call: Call, action: str, record: type[E], name: str, context: Mapping[str, Any] | None = None) -> E:
    """Require the action ("CreateUser") on the entity, and return it."""
    found = find(call.transaction, record, name)
    tags = getattr(found, "tags", {})
    about = resource_tags(tags, "iam:ResourceTag")
    call.require(
        f"iam:{action}",
        found.arn(call.account) if found else entity_arn(call.account, record, name),
        about | dict(context or {}),
    )
    if found is None:
        raise missing(record, name)
    return found


def named(call: Call, action: str, record: type[E], context: Mapping[str, Any] | None = None) -> E:
    """require_on for the entity that the call's own parameter names."""
    return require_on(call, action, record, call.parameters[PARAMETERS[record]], context)


def boundary_context(transaction: Transaction, record: type[Entity], name: str) -> dict[str, Any]:
    """iam:PermissionsBoundary as what changes an entity's policies has it: the boundary that is there."""
    found = find(transaction, record, name)
    return {"iam:PermissionsBoundary": found.boundary} if isinstance(found, Bounded) else {}


def modifiable(entity: E) -> E:
    """The entity, unless it is a role that only a service may change."""
    if isinstance(entity, Role) and entity.is_service_linked:
        raise unmodifiable(
            f"Cannot perform the operation on the protected role '{entity.name}' - this role is only modifiable by AWS"
        )
    return entity


def require_policy(call: Call, action: str, context: Mapping[str, Any] | None = None) -> ManagedPolicy | AwsPolicy:
    """Require the action on the managed policy that the call names, and return it."""
    arn = call.parameters["PolicyArn"]
    found = find_policy(call.transaction, arn)
    tags = found.tags if isinstance(found, ManagedPolicy) else {}
    about = resource_tags(tags, "iam:ResourceTag")
    call.require(f"iam:{action}", arn, about | dict(context or {}))
    check_policy_arn(arn)
    if found is None:
        raise policy_not_found(arn)
    return found


def require_own_policy(call: Call, action: str, context: Mapping[str, Any] | None = None) -> ManagedPolicy:
    """require_policy for what may be changed: the customer's own."""
    found = require_policy(call, action, context)
    if isinstance(found, AwsPolicy):
        raise refused(call.service, call.caller.arn, f"iam:{action}", f"policy {found.arn}", "")
    return found


def check_policy_arn(arn: str) -> None:
    """AwsError (InvalidInput) unless it can be a managed policy's ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != "iam" or not parts[5].startswith("policy/"):
        raise invalid_input(f"ARN {arn} is not valid.")


def holders(transaction: Transaction) -> Iterator[Policied]:
    """All users, groups and roles."""
    for record in HOLDERS:
        yield from transaction.table(record).all()


def usage(transaction: Transaction) -> tuple[Counter[str], Counter[str]]:
    """By a policy's ARN: how many have it attached, and how many have it for a boundary."""
    attached: Counter[str] = Counter()
    boundaries: Counter[str] = Counter()
    for entity in holders(transaction):
        attached.update(entity.attached)
        if isinstance(entity, Bounded) and entity.boundary:
            boundaries[entity.boundary] += 1
    return attached, boundaries


def is_aws(arn: str) -> bool:
    """Whether AWS has written the policy."""
    return arn.startswith(AWS_PREFIX)
