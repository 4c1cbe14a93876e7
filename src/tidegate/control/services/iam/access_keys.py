"""Long-term access keys of users.

Owns CreateAccessKey and its kin; a secret is told once, when it is made. Refuses temporary keys (`sts`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.account import new_access_key_id, new_secret_key
from tidegate.control.call import Call
from tidegate.control.services.iam.entities import require_on
from tidegate.control.services.iam.errors import access_key_not_found, quota
from tidegate.control.services.iam.keys import account, root_arn
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import AccessKey, LastUse, User, entity_arn
from tidegate.control.services.iam.shapes import when
from tidegate.control.services.iam.users import caller_user_name

MAX_KEYS = 2
STATUS = {True: "Active", False: "Inactive"}


class AccessKeyOperations:
    """What is done to access keys; without a UserName, to those of who calls."""

    def create_access_key(self, call: Call) -> dict[str, Any]:
        """CreateAccessKey."""
        user = _user(call)
        if len(user.access_keys) >= MAX_KEYS:
            raise quota("AccessKeysPerUser", MAX_KEYS)
        key = AccessKey(id=new_access_key_id(), secret=new_secret_key(), user=user.name, created=call.at)
        call.transaction.table(AccessKey).put(key)
        call.transaction.table(User).put(user.model_copy(update={"access_keys": (*user.access_keys, key.id)}))
        return {"AccessKey": _metadata(key) | {"SecretAccessKey": key.secret}}

    def update_access_key(self, call: Call) -> dict[str, Any]:
        """UpdateAccessKey: switch it on or off."""
        key = _key(call, _user(call))
        active = call.parameters["Status"] == STATUS[True]
        call.transaction.table(AccessKey).put(key.model_copy(update={"active": active}))
        return {}

    def delete_access_key(self, call: Call) -> dict[str, Any]:
        """DeleteAccessKey."""
        user = _user(call)
        key = _key(call, user)
        rest = tuple(access_key for access_key in user.access_keys if access_key != key.id)
        call.transaction.table(User).put(user.model_copy(update={"access_keys": rest}))
        call.transaction.table(AccessKey).delete(key.id)
        call.transaction.table(LastUse).delete(key.id)
        return {}

    def list_access_keys(self, call: Call) -> dict[str, Any]:
        """ListAccessKeys; root, who has no name, may see its own."""
        if "UserName" not in call.parameters and call.caller.is_root:
            return _root_keys(call)
        user = _user(call)
        table = call.transaction.table(AccessKey)
        keys = (key for access_key in user.access_keys if (key := table.get(access_key)))
        found, paging = page(call, keys, lambda key: key.id)
        return {"AccessKeyMetadata": [_metadata(key) for key in found], **paging}

    def get_access_key_last_used(self, call: Call) -> dict[str, Any]:
        """GetAccessKeyLastUsed."""
        wanted = call.parameters["AccessKeyId"]
        key = call.transaction.table(AccessKey).get(wanted)
        arn = entity_arn(call.account, User, key.user) if key else f"{entity_arn(call.account, User, '*')}"
        call.require("iam:GetAccessKeyLastUsed", arn)
        if key is None:
            raise access_key_not_found(wanted)
        last = call.transaction.table(LastUse).get(wanted)
        used: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
        if last is not None:
            used = {"LastUsedDate": when(last.at), "ServiceName": last.service, "Region": last.region}
        return {"UserName": key.user, "AccessKeyLastUsed": used}


def _user(call: Call) -> User:
    return require_on(call, call.operation, User, call.parameters.get("UserName") or caller_user_name(call))


def _key(call: Call, user: User) -> AccessKey:
    wanted = call.parameters["AccessKeyId"]
    found = call.transaction.table(AccessKey).get(wanted)
    if found is None or wanted not in user.access_keys:
        raise access_key_not_found(wanted)
    return found


def _metadata(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user,
        "AccessKeyId": key.id,
        "Status": STATUS[key.active],
        "CreateDate": when(key.created),
    }


def _root_keys(call: Call) -> dict[str, Any]:
    call.require("iam:ListAccessKeys", root_arn(call.account))
    owner = account(call.transaction)
    key = {"AccessKeyId": owner.root_access_key, "Status": STATUS[True], "CreateDate": when(owner.created)}
    return {"AccessKeyMetadata": [key], "IsTruncated": False}
