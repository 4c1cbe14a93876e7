"""Managed policies on users, groups and roles; permissions boundaries.

Owns Attach, Detach and ListAttached, and Put and Delete of boundaries. Refuses the policies themselves
(`managed_policies`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.iam.entities import (
    PARAMETERS,
    boundary_context,
    check_policy_arn,
    is_aws,
    modifiable,
    named,
)
from tidegate.control.services.iam.errors import no_such_entity, not_attachable, policy_not_found, quota
from tidegate.control.services.iam.managed import AWS_PREFIX, find_policy
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import Bounded, Group, Policied, Role, User
from tidegate.control.store.store import Transaction

MAX_ATTACHED = 10
SERVICE_POLICIES = f"{AWS_PREFIX}aws-service-role/"


def _attach(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity, arn = _target(call, record)
    modifiable(entity)
    if find_policy(call.transaction, arn) is None:
        raise not_attachable(arn)
    if arn.startswith(SERVICE_POLICIES):
        raise AwsError("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.", 400)
    if arn in entity.attached:
        return {}
    if len(entity.attached) >= MAX_ATTACHED:
        raise quota(f"PoliciesPer{record.noun.capitalize()}", MAX_ATTACHED)
    call.transaction.table(record).put(entity.model_copy(update={"attached": (*entity.attached, arn)}))
    return {}


def _detach(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity, arn = _target(call, record)
    modifiable(entity)
    if arn not in entity.attached:
        raise policy_not_found(arn)
    rest = tuple(other for other in entity.attached if other != arn)
    call.transaction.table(record).put(entity.model_copy(update={"attached": rest}))
    return {}


def _target(call: Call, record: type[Policied]) -> tuple[Policied, str]:
    arn = call.parameters["PolicyArn"]
    context = boundary_context(call.transaction, record, call.parameters[PARAMETERS[record]])
    entity = named(call, call.operation, record, context | {"iam:PolicyARN": arn})
    check_policy_arn(arn)
    return entity, arn


def _list(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity = named(call, call.operation, record)
    prefix = call.parameters.get("PathPrefix", "/")
    arns = [arn for arn in entity.attached if path_of(arn).startswith(prefix)]
    found, paging = page(call, arns, str)
    return {"AttachedPolicies": attached_list(found), **paging}


def attached_list(arns: list[str] | tuple[str, ...]) -> list[dict[str, Any]]:
    """Attached policies as answers have them."""
    return [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]


def path_of(arn: str) -> str:
    """The path in a policy's ARN."""
    inner = arn.partition(":policy/")[2].rpartition("/")[0]
    return f"/{inner}/" if inner else "/"


def valid_boundary(transaction: Transaction, arn: str | None) -> str | None:
    """The ARN, if it can be a boundary. Raises AwsError."""
    if arn is not None:
        check_policy_arn(arn)
        if find_policy(transaction, arn) is None:
            scope = "AWS managed policy" if is_aws(arn) else "Scope ARN:"
            raise no_such_entity(f"{scope} {arn} does not exist or is not attachable.")
    return arn


def _put_boundary(call: Call, record: type[Bounded]) -> dict[str, Any]:
    arn = call.parameters["PermissionsBoundary"]
    entity = modifiable(named(call, call.operation, record, {"iam:PermissionsBoundary": arn}))
    boundary = valid_boundary(call.transaction, arn)
    call.transaction.table(record).put(entity.model_copy(update={"boundary": boundary}))
    return {}


def _delete_boundary(call: Call, record: type[Bounded]) -> dict[str, Any]:
    context = boundary_context(call.transaction, record, call.parameters[PARAMETERS[record]])
    entity = modifiable(named(call, call.operation, record, context))
    if entity.boundary is None:
        raise no_such_entity(f"{record.noun.capitalize()} {entity.name} does not have a permissions boundary.")
    call.transaction.table(record).put(entity.model_copy(update={"boundary": None}))
    return {}


class AttachmentOperations:
    """AttachUserPolicy and its kin."""

    def attach_user_policy(self, call: Call) -> dict[str, Any]:
        """AttachUserPolicy."""
        return _attach(call, User)

    def detach_user_policy(self, call: Call) -> dict[str, Any]:
        """DetachUserPolicy."""
        return _detach(call, User)

    def list_attached_user_policies(self, call: Call) -> dict[str, Any]:
        """ListAttachedUserPolicies."""
        return _list(call, User)

    def attach_group_policy(self, call: Call) -> dict[str, Any]:
        """AttachGroupPolicy."""
        return _attach(call, Group)

    def detach_group_policy(self, call: Call) -> dict[str, Any]:
        """DetachGroupPolicy."""
        return _detach(call, Group)

    def list_attached_group_policies(self, call: Call) -> dict[str, Any]:
        """ListAttachedGroupPolicies."""
        return _list(call, Group)

    def attach_role_policy(self, call: Call) -> dict[str, Any]:
        """AttachRolePolicy."""
        return _attach(call, Role)

    def detach_role_policy(self, call: Call) -> dict[str, Any]:
        """DetachRolePolicy."""
        return _detach(call, Role)

    def list_attached_role_policies(self, call: Call) -> dict[str, Any]:
        """ListAttachedRolePolicies."""
        return _list(call, Role)

    def put_user_permissions_boundary(self, call: Call) -> dict[str, Any]:
        """PutUserPermissionsBoundary."""
        return _put_boundary(call, User)

    def delete_user_permissions_boundary(self, call: Call) -> dict[str, Any]:
        """DeleteUserPermissionsBoundary."""
        return _delete_boundary(call, User)

    def put_role_permissions_boundary(self, call: Call) -> dict[str, Any]:
        """PutRolePermissionsBoundary."""
        return _put_boundary(call, Role)

    def delete_role_permissions_boundary(self, call: Call) -> dict[str, Any]:
        """DeleteRolePermissionsBoundary."""
        return _delete_boundary(call, Role)
