"""Inline policies of users, groups and roles.

Owns Put, Get, Delete and List of them, which differ in a name only. Refuses documents' rules (`texts`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam.entities import PARAMETERS, boundary_context, modifiable, named
from tidegate.control.services.iam.errors import not_found
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import Group, Policied, Role, User
from tidegate.control.services.iam.shapes import encoded
from tidegate.control.services.iam.texts import with_inline


def _put(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity = modifiable(named(call, call.operation, record, _boundary(call, record)))
    documents = with_inline(entity, call.parameters["PolicyName"], call.parameters["PolicyDocument"])
    call.transaction.table(record).put(entity.model_copy(update={"inline": documents}))
    return {}


def _get(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity = named(call, call.operation, record)
    name = call.parameters["PolicyName"]
    document = entity.inline.get(name)
    if document is None:
        raise not_found(f"{record.noun} policy", name)
    return {PARAMETERS[record]: entity.name, "PolicyName": name, "PolicyDocument": encoded(document)}


def _delete(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity = modifiable(named(call, call.operation, record, _boundary(call, record)))
    name = call.parameters["PolicyName"]
    if name not in entity.inline:
        raise not_found(f"{record.noun} policy", name)
    documents = {other: document for other, document in entity.inline.items() if other != name}
    call.transaction.table(record).put(entity.model_copy(update={"inline": documents}))
    return {}


def _list(call: Call, record: type[Policied]) -> dict[str, Any]:
    entity = named(call, call.operation, record)
    names, paging = page(call, entity.inline, str)
    return {"PolicyNames": names, **paging}


def _boundary(call: Call, record: type[Policied]) -> dict[str, Any]:
    return boundary_context(call.transaction, record, call.parameters[PARAMETERS[record]])


class InlineOperations:
    """PutUserPolicy and its kin."""

    def put_user_policy(self, call: Call) -> dict[str, Any]:
        """PutUserPolicy."""
        return _put(call, User)

    def get_user_policy(self, call: Call) -> dict[str, Any]:
        """GetUserPolicy."""
        return _get(call, User)

    def delete_user_policy(self, call: Call) -> dict[str, Any]:
        """DeleteUserPolicy."""
        return _delete(call, User)

    def list_user_policies(self, call: Call) -> dict[str, Any]:
        """ListUserPolicies."""
        return _list(call, User)

    def put_group_policy(self, call: Call) -> dict[str, Any]:
        """PutGroupPolicy."""
        return _put(call, Group)

    def get_group_policy(self, call: Call) -> dict[str, Any]:
        """GetGroupPolicy."""
        return _get(call, Group)

    def delete_group_policy(self, call: Call) -> dict[str, Any]:
        """DeleteGroupPolicy."""
        return _delete(call, Group)

    def list_group_policies(self, call: Call) -> dict[str, Any]:
        """ListGroupPolicies."""
        return _list(call, Group)

    def put_role_policy(self, call: Call) -> dict[str, Any]:
        """PutRolePolicy."""
        return _put(call, Role)

    def get_role_policy(self, call: Call) -> dict[str, Any]:
        """GetRolePolicy."""
        return _get(call, Role)

    def delete_role_policy(self, call: Call) -> dict[str, Any]:
        """DeleteRolePolicy."""
        return _delete(call, Role)

    def list_role_policies(self, call: Call) -> dict[str, Any]:
        """ListRolePolicies."""
        return _list(call, Role)
