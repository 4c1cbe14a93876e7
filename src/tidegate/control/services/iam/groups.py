"""Groups and who is in them.

Owns CreateGroup and its kin, and membership, which each user's record keeps. Refuses groups' policies (`inline`,
`attachments`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import shapes
from tidegate.control.services.iam.entities import find, missing, named, require_free
from tidegate.control.services.iam.errors import delete_conflict, no_such_entity, quota
from tidegate.control.services.iam.identifiers import new_id
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import PARTITION, Group, User, entity_arn
from tidegate.control.services.iam.users import require_no_policies

MAX_GROUPS = 300
MAX_GROUPS_OF_USER = 10


def members(call: Call, group: Group) -> list[User]:
    """The users in a group."""
    return [user for user in call.transaction.table(User).all() if group.name in user.groups]


class GroupOperations:
    """What is done to groups."""

    def create_group(self, call: Call) -> dict[str, Any]:
        """CreateGroup."""
        name, path = call.parameters["GroupName"], call.parameters.get("Path", "/")
        call.require("iam:CreateGroup", entity_arn(call.account, Group, name, path))
        require_free(call.transaction, Group, name)
        table = call.transaction.table(Group)
        if len(table.all()) >= MAX_GROUPS:
            raise quota("GroupsPerAccount", MAX_GROUPS)
        group = Group(name=name, path=path, id=new_id(Group), created=call.at)
        table.put(group)
        return {"Group": shapes.group(group, call.account)}

    def get_group(self, call: Call) -> dict[str, Any]:
        """GetGroup, with its users."""
        group = named(call, "GetGroup", Group)
        found, paging = page(call, members(call, group), lambda user: user.key)
        users = [shapes.user(user, call.account, full=False) for user in found]
        return {"Group": shapes.group(group, call.account), "Users": users, **paging}

    def update_group(self, call: Call) -> dict[str, Any]:
        """UpdateGroup: a new name, a new path."""
        group = named(call, "UpdateGroup", Group)
        name = call.parameters.get("NewGroupName", group.name)
        path = call.parameters.get("NewPath", group.path)
        if name.lower() != group.key:
            require_free(call.transaction, Group, name)
        users = call.transaction.table(User)
        for user in members(call, group):
            groups = tuple(name if other == group.name else other for other in user.groups)
            users.put(user.model_copy(update={"groups": groups}))
        table = call.transaction.table(Group)
        table.delete(group.key)
        table.put(group.model_copy(update={"name": name, "path": path}))
        return {}

    def delete_group(self, call: Call) -> dict[str, Any]:
        """DeleteGroup: of one that is empty and has no policies."""
        group = named(call, "DeleteGroup", Group)
        if members(call, group):
            raise delete_conflict("Cannot delete entity, must remove users from group first.")
        require_no_policies(group)
        call.transaction.table(Group).delete(group.key)
        return {}

    def list_groups(self, call: Call) -> dict[str, Any]:
        """ListGroups."""
        prefix = call.parameters.get("PathPrefix", "/")
        call.require("iam:ListGroups", f"arn:{PARTITION}:iam::{call.account}:group{prefix}")
        groups = (group for group in call.transaction.table(Group).all() if group.path.startswith(prefix))
        found, paging = page(call, groups, lambda group: group.key)
        return {"Groups": [shapes.group(group, call.account) for group in found], **paging}

    def add_user_to_group(self, call: Call) -> dict[str, Any]:
        """AddUserToGroup; nothing changes for one who is in it."""
        group, user = self._both(call)
        if group.name in user.groups:
            return {}
        if len(user.groups) >= MAX_GROUPS_OF_USER:
            raise quota("GroupsPerUser", MAX_GROUPS_OF_USER)
        call.transaction.table(User).put(user.model_copy(update={"groups": (*user.groups, group.name)}))
        return {}

    def remove_user_from_group(self, call: Call) -> dict[str, Any]:
        """RemoveUserFromGroup."""
        group, user = self._both(call)
        if group.name not in user.groups:
            raise no_such_entity(f"User {user.name} is not in group {group.name}.")
        rest = tuple(name for name in user.groups if name != group.name)
        call.transaction.table(User).put(user.model_copy(update={"groups": rest}))
        return {}

    def list_groups_for_user(self, call: Call) -> dict[str, Any]:
        """ListGroupsForUser."""
        user = named(call, "ListGroupsForUser", User)
        groups = (find(call.transaction, Group, name) for name in user.groups)
        found, paging = page(call, (group for group in groups if group), lambda group: group.key)
        return {"Groups": [shapes.group(group, call.account) for group in found], **paging}

    @staticmethod
    def _both(call: Call) -> tuple[Group, User]:
        group = named(call, call.operation, Group)
        name = call.parameters["UserName"]
        user = find(call.transaction, User, name)
        if user is None:
            raise missing(User, name)
        return group, user
