"""Users: CreateUser, GetUser, UpdateUser, DeleteUser, ListUsers.

Owns what a user is and what keeps one from being deleted. Refuses keys (`access_keys`), policies and groups.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import shapes, tagging
from tidegate.control.services.iam.attachments import valid_boundary
from tidegate.control.services.iam.entities import named, require_free, require_on
from tidegate.control.services.iam.errors import delete_conflict, invalid, quota
from tidegate.control.services.iam.identifiers import new_id
from tidegate.control.services.iam.keys import account, root_arn
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import PARTITION, AccessKey, Policied, Session, User, entity_arn

MAX_USERS = 5000


def caller_user_name(call: Call) -> str:
    """The name of the user who calls, for operations that are about oneself. AwsError for roles and root."""
    kind, _, path = call.caller.arn.split(":", 5)[5].partition("/")
    if kind != "user":
        raise invalid("Must specify userName when calling with non-User credentials")
    return path.rpartition("/")[2]


def require_no_policies(entity: Policied) -> None:
    """AwsError (DeleteConflict) while policies hang on it."""
    if entity.attached:
        raise delete_conflict("Cannot delete entity, must detach all policies first.")
    if entity.inline:
        raise delete_conflict("Cannot delete entity, must delete policies first.")


class UserOperations:
    """What is done to users."""

    def create_user(self, call: Call) -> dict[str, Any]:
        """CreateUser."""
        given = call.parameters
        name, path, boundary = given["UserName"], given.get("Path", "/"), given.get("PermissionsBoundary")
        context = tagging.context_of(call) | {"iam:PermissionsBoundary": boundary}
        call.require("iam:CreateUser", entity_arn(call.account, User, name, path), context)
        if given.get("Tags"):
            call.require("iam:TagUser", entity_arn(call.account, User, name, path), context)
        require_free(call.transaction, User, name)
        table = call.transaction.table(User)
        if len(table.all()) >= MAX_USERS:
            raise quota("UsersPerAccount", MAX_USERS)
        user = User(
            name=name,
            path=path,
            id=new_id(User),
            created=call.at,
            boundary=valid_boundary(call.transaction, boundary),
            tags=tagging.from_call(call),
        )
        table.put(user)
        return {"User": shapes.user(user, call.account)}

    def get_user(self, call: Call) -> dict[str, Any]:
        """GetUser; without a name, of who calls."""
        name = call.parameters.get("UserName")
        if name is None and call.caller.is_root:
            return _root(call)
        user = require_on(call, "GetUser", User, name or caller_user_name(call))
        return {"User": shapes.user(user, call.account)}

    def update_user(self, call: Call) -> dict[str, Any]:
        """UpdateUser: a new name, a new path; the id stays."""
        user = named(call, "UpdateUser", User)
        name = call.parameters.get("NewUserName", user.name)
        path = call.parameters.get("NewPath", user.path)
        if name != user.name or path != user.path:
            # AWS wants the right to both, the old and the new.
            call.require("iam:UpdateUser", entity_arn(call.account, User, name, path))
        if name.lower() != user.key:
            require_free(call.transaction, User, name)
        changed = user.model_copy(update={"name": name, "path": path})
        table = call.transaction.table(User)
        table.delete(user.key)
        table.put(changed)
        _rename_keys(call, user, changed)
        return {}

    def delete_user(self, call: Call) -> dict[str, Any]:
        """DeleteUser: of one that nothing hangs on any more."""
        user = named(call, "DeleteUser", User)
        if user.access_keys:
            raise delete_conflict("Cannot delete entity, must delete access keys first.")
        require_no_policies(user)
        if user.groups:
            raise delete_conflict("Cannot delete entity, must remove users from group first.")
        call.transaction.table(User).delete(user.key)
        return {}

    def list_users(self, call: Call) -> dict[str, Any]:
        """ListUsers."""
        prefix = call.parameters.get("PathPrefix", "/")
        call.require("iam:ListUsers", f"arn:{PARTITION}:iam::{call.account}:user{prefix}")
        users = (user for user in call.transaction.table(User).all() if user.path.startswith(prefix))
        found, paging = page(call, users, lambda user: user.key)
        return {"Users": [shapes.user(user, call.account, full=False) for user in found], **paging}


def _root(call: Call) -> dict[str, Any]:
    arn = root_arn(call.account)
    call.require("iam:GetUser", arn)
    created = account(call.transaction).created
    return {"User": {"UserId": call.account, "Arn": arn, "CreateDate": shapes.when(created)}}


def _rename_keys(call: Call, old: User, new: User) -> None:
    """Keys and sessions stay valid under the new name."""
    keys = call.transaction.table(AccessKey)
    for access_key in new.access_keys:
        record = keys.get(access_key)
        if record is not None:
            keys.put(record.model_copy(update={"user": new.name}))
    sessions = call.transaction.table(Session)
    for session in sessions.all():
        if session.holder_id == old.id:
            arn = new.arn(call.account) if session.arn == old.arn(call.account) else session.arn
            sessions.put(session.model_copy(update={"name": new.name, "arn": arn}))
