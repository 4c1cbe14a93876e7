"""Roles: CreateRole, GetRole, UpdateRole, UpdateAssumeRolePolicy, DeleteRole, ListRoles, and service-linked ones.

Owns what a role is and what keeps one from being deleted. Refuses to assume one (`sts`).
"""

from __future__ import annotations

import uuid
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import shapes, tagging
from tidegate.control.services.iam.attachments import valid_boundary
from tidegate.control.services.iam.entities import modifiable, named, require_free
from tidegate.control.services.iam.errors import delete_conflict, invalid_input, no_such_entity, quota
from tidegate.control.services.iam.identifiers import new_id
from tidegate.control.services.iam.managed import AWS_PREFIX
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.principals import role_as_shown
from tidegate.control.services.iam.records import (
    PARTITION,
    SERVICE_LINKED_PATH,
    Deletion,
    InstanceProfile,
    LastUse,
    Role,
    entity_arn,
)
from tidegate.control.services.iam.texts import trust_document
from tidegate.control.services.iam.users import require_no_policies

MAX_ROLES = 1000
DELETION_KEPT = 86_400
"""Seconds for which a deleted service-linked role's task is remembered."""
SERVICE_LINKED = {
    "rds.amazonaws.com": ("RDS", "AmazonRDSServiceRolePolicy"),
    "ecs.amazonaws.com": ("ECS", "AmazonECSServiceRolePolicy"),
    "autoscaling.amazonaws.com": ("AutoScaling", "AutoScalingServiceRolePolicy"),
    "elasticloadbalancing.amazonaws.com": ("ElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"),
    "elasticache.amazonaws.com": ("ElastiCache", "ElastiCacheServiceRolePolicy"),
    "ops.apigateway.amazonaws.com": ("APIGateway", "APIGatewayServiceRolePolicy"),
}
"""Services with a role of their own: the role's name behind AWSServiceRoleFor, and its policy."""


class RoleOperations:
    """What is done to roles."""

    def create_role(self, call: Call) -> dict[str, Any]:
        """CreateRole."""
        given = call.parameters
        name, path, boundary = given["RoleName"], given.get("Path", "/"), given.get("PermissionsBoundary")
        arn = entity_arn(call.account, Role, name, path)
        context = tagging.context_of(call) | {"iam:PermissionsBoundary": boundary}
        call.require("iam:CreateRole", arn, context)
        if given.get("Tags"):
            call.require("iam:TagRole", arn, context)
        if path.startswith(SERVICE_LINKED_PATH):
            raise invalid_input(f"Path {path} is reserved for service-linked roles.")
        require_free(call.transaction, Role, name)
        role = Role(
            name=name,
            path=path,
            id=new_id(Role),
            created=call.at,
            **trust_document(call.transaction, call.account, given["AssumeRolePolicyDocument"]),
            description=given.get("Description"),
            max_session=given.get("MaxSessionDuration", 3600),
            boundary=valid_boundary(call.transaction, boundary),
            tags=tagging.from_call(call),
        )
        _add(call, role)
        return {"Role": shapes.role(role, call.account)}

    def get_role(self, call: Call) -> dict[str, Any]:
        """GetRole."""
        role = named(call, "GetRole", Role)
        return {"Role": _told(call, role)}

    def update_role(self, call: Call) -> dict[str, Any]:
        """UpdateRole: description and longest session."""
        role = named(call, "UpdateRole", Role)
        changes: dict[str, Any] = {}
        if "Description" in call.parameters:
            changes["description"] = call.parameters["Description"]
        if "MaxSessionDuration" in call.parameters:
            changes["max_session"] = call.parameters["MaxSessionDuration"]
            modifiable(role)
        call.transaction.table(Role).put(role.model_copy(update=changes))
        return {}

    def update_role_description(self, call: Call) -> dict[str, Any]:
        """UpdateRoleDescription."""
        role = named(call, "UpdateRoleDescription", Role)
        changed = role.model_copy(update={"description": call.parameters["Description"]})
        call.transaction.table(Role).put(changed)
        return {"Role": _told(call, changed)}

    def update_assume_role_policy(self, call: Call) -> dict[str, Any]:
        """UpdateAssumeRolePolicy."""
        role = modifiable(named(call, "UpdateAssumeRolePolicy", Role))
        trust = trust_document(call.transaction, call.account, call.parameters["PolicyDocument"])
        call.transaction.table(Role).put(role.model_copy(update=trust))
        return {}

    def delete_role(self, call: Call) -> dict[str, Any]:
        """DeleteRole: of one that nothing hangs on any more."""
        role = modifiable(named(call, "DeleteRole", Role))
        _require_unused(call, role)
        require_no_policies(role)
        call.transaction.table(Role).delete(role.key)
        call.transaction.table(LastUse).delete(role.id)
        return {}

    def list_roles(self, call: Call) -> dict[str, Any]:
        """ListRoles."""
        prefix = call.parameters.get("PathPrefix", "/")
        call.require("iam:ListRoles", f"arn:{PARTITION}:iam::{call.account}:role{prefix}")
        roles = (role for role in call.transaction.table(Role).all() if role.path.startswith(prefix))
        found, paging = page(call, roles, lambda role: role.key)
        shown = (role_as_shown(call.transaction, call.account, role) for role in found)
        return {"Roles": [shapes.role(role, call.account, full=False) for role in shown], **paging}

    def create_service_linked_role(self, call: Call) -> dict[str, Any]:
        """CreateServiceLinkedRole, for services that are known to have one."""
        service = call.parameters["AWSServiceName"]
        known = SERVICE_LINKED.get(service)
        suffix = call.parameters.get("CustomSuffix")
        name = f"AWSServiceRoleFor{known[0] if known else ''}" + (f"_{suffix}" if suffix else "")
        path = f"{SERVICE_LINKED_PATH}{service}/"
        call.require(
            "iam:CreateServiceLinkedRole", entity_arn(call.account, Role, name, path), {"iam:AWSServiceName": service}
        )
        if known is None:
            raise invalid_input(f"Service {service} does not have a service-linked role.")
        if suffix and service != "autoscaling.amazonaws.com":
            raise invalid_input(f"Custom suffix is not allowed for {service}")
        if call.transaction.table(Role).get(name.lower()) is not None:
            raise invalid_input(
                f"Service role name {name} has been taken in this account, please try a different suffix."
            )
        role = Role(
            name=name,
            path=path,
            id=new_id(Role),
            created=call.at,
            trust=_service_trust(service),
            description=call.parameters.get("Description"),
            attached=(f"{AWS_PREFIX}aws-service-role/{known[1]}",),
        )
        _add(call, role)
        return {"Role": shapes.role(role, call.account)}

    def delete_service_linked_role(self, call: Call) -> dict[str, Any]:
        """DeleteServiceLinkedRole: done at once, though AWS says it takes a while."""
        role = named(call, "DeleteServiceLinkedRole", Role)
        if not role.is_service_linked:
            raise invalid_input(f"Role {role.name} is not a service-linked role.")
        deletions = call.transaction.table(Deletion)
        for old in deletions.all():
            if old.at < call.at - DELETION_KEPT:
                deletions.delete(old.key)
        task = f"task{role.path}{role.name}/{uuid.uuid4()}"
        deletions.put(Deletion(id=task, at=call.at))
        call.transaction.table(Role).delete(role.key)
        return {"DeletionTaskId": task}

    def get_service_linked_role_deletion_status(self, call: Call) -> dict[str, Any]:
        """GetServiceLinkedRoleDeletionStatus."""
        task = call.parameters["DeletionTaskId"]
        role = task.removeprefix("task").rpartition("/")[0]
        call.require(
            "iam:GetServiceLinkedRoleDeletionStatus", f"arn:{PARTITION}:iam::{call.account}:role{role or '/*'}"
        )
        if call.transaction.table(Deletion).get(task) is None:
            raise no_such_entity(f"Deletion task {task} cannot be found.")
        return {"Status": "SUCCEEDED"}


def _told(call: Call, role: Role) -> dict[str, Any]:
    return shapes.role(role_as_shown(call.transaction, call.account, role), call.account, last_use(call, role))


def last_use(call: Call, role: Role) -> LastUse | None:
    """When the role was last assumed."""
    return call.transaction.table(LastUse).get(role.id)


def _add(call: Call, role: Role) -> None:
    table = call.transaction.table(Role)
    if len(table.all()) >= MAX_ROLES:
        raise quota("RolesPerAccount", MAX_ROLES)
    table.put(role)


def _require_unused(call: Call, role: Role) -> None:
    profiles = call.transaction.table(InstanceProfile).all()
    if any(profile.role == role.name for profile in profiles):
        raise delete_conflict("Cannot delete entity, must remove roles from instance profile first.")


def _service_trust(service: str) -> str:
    return (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"'
        + service
        + '"},"Action":"sts:AssumeRole"}]}'
    )
