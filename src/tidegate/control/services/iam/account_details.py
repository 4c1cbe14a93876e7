"""The account as a whole: alias, summary, all that there is.

Owns account-wide operations. Refuses its number and root key (`tidegate.control.account`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import access_keys, attachments, groups, managed_policies, role_operations, shapes
from tidegate.control.services.iam import users as user_operations
from tidegate.control.services.iam.entities import usage
from tidegate.control.services.iam.errors import entity_exists, no_such_entity
from tidegate.control.services.iam.managed import aws_policies
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.principals import role_as_shown
from tidegate.control.services.iam.records import (
    Alias,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Policied,
    Role,
    User,
)
from tidegate.control.services.iam.texts import INLINE_SIZES, MANAGED_SIZE, TRUST_SIZE

LISTS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}
"""Kinds of GetAccountAuthorizationDetails, in the order of its answer, and where each goes."""


class AccountOperations:
    """What is asked of the account."""

    def create_account_alias(self, call: Call) -> dict[str, Any]:
        """CreateAccountAlias: replaces the one that there is."""
        call.require("iam:CreateAccountAlias", "*")
        alias = Alias(name=call.parameters["AccountAlias"])
        table = call.transaction.table(Alias)
        if table.get(alias.key) == alias:
            raise entity_exists(f"The account alias {alias.name} already exists.")
        table.put(alias)
        return {}

    def delete_account_alias(self, call: Call) -> dict[str, Any]:
        """DeleteAccountAlias."""
        call.require("iam:DeleteAccountAlias", "*")
        alias = Alias(name=call.parameters["AccountAlias"])
        table = call.transaction.table(Alias)
        if table.get(alias.key) != alias:
            raise no_such_entity(f"The account alias {alias.name} does not exist.")
        table.delete(alias.key)
        return {}

    def list_account_aliases(self, call: Call) -> dict[str, Any]:
        """ListAccountAliases."""
        call.require("iam:ListAccountAliases", "*")
        names = [alias.name for alias in call.transaction.table(Alias).all()]
        found, paging = page(call, names, str)
        return {"AccountAliases": found, **paging}

    def get_account_summary(self, call: Call) -> dict[str, Any]:
        """GetAccountSummary: how many there are, and how many there may be."""
        call.require("iam:GetAccountSummary", "*")
        transaction = call.transaction
        policies = transaction.table(ManagedPolicy).all()
        return {
            "SummaryMap": {
                "Users": len(transaction.table(User).all()),
                "UsersQuota": user_operations.MAX_USERS,
                "Groups": len(transaction.table(Group).all()),
                "GroupsQuota": groups.MAX_GROUPS,
                "Roles": len(transaction.table(Role).all()),
                "RolesQuota": role_operations.MAX_ROLES,
                "Policies": len(policies),
                "PoliciesQuota": managed_policies.MAX_POLICIES,
                "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
                "VersionsPerPolicyQuota": managed_policies.MAX_VERSIONS,
                "InstanceProfiles": len(transaction.table(InstanceProfile).all()),
                "AccessKeysPerUserQuota": access_keys.MAX_KEYS,
                "GroupsPerUserQuota": groups.MAX_GROUPS_OF_USER,
                "AttachedPoliciesPerUserQuota": attachments.MAX_ATTACHED,
                "AttachedPoliciesPerGroupQuota": attachments.MAX_ATTACHED,
                "AttachedPoliciesPerRoleQuota": attachments.MAX_ATTACHED,
                "PolicySizeQuota": MANAGED_SIZE,
                "UserPolicySizeQuota": INLINE_SIZES[User],
                "GroupPolicySizeQuota": INLINE_SIZES[Group],
                "AssumeRolePolicySizeQuota": TRUST_SIZE,
                "AccountAccessKeysPresent": 1,
                "AccountMFAEnabled": 0,
                "MFADevices": 0,
                "MFADevicesInUse": 0,
                "Providers": 0,
                "ServerCertificates": 0,
            }
        }

    def get_account_authorization_details(self, call: Call) -> dict[str, Any]:
        """GetAccountAuthorizationDetails: everybody with all their policies. Of AWS's policies, those in use."""
        call.require("iam:GetAccountAuthorizationDetails", "*")
        wanted = call.parameters.get("Filter") or list(LISTS)
        details = {
            f"{order}/{kind}/{key}": (LISTS[kind], detail)
            for order, kind in enumerate(LISTS)
            if kind in wanted
            for key, detail in _details(call, kind)
        }
        found, paging = page(call, details, str)
        answer: dict[str, Any] = {member: [] for member in LISTS.values()}
        for key in found:
            member, detail = details[key]
            answer[member].append(detail)
        return answer | paging


def _details(call: Call, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind == "User":
        yield from ((user.key, _user(call, user)) for user in call.transaction.table(User).all())
    elif kind == "Group":
        yield from ((group.key, _group(call, group)) for group in call.transaction.table(Group).all())
    elif kind == "Role":
        yield from ((role.key, _role(call, role)) for role in call.transaction.table(Role).all())
    else:
        yield from _policies(call, aws=kind == "AWSManagedPolicy")


def _user(call: Call, user: User) -> dict[str, Any]:
    return shapes.user(user, call.account) | {
        "UserPolicyList": _inline(user),
        "GroupList": list(user.groups),
        "AttachedManagedPolicies": attachments.attached_list(user.attached),
    }


def _group(call: Call, group: Group) -> dict[str, Any]:
    return shapes.group(group, call.account) | {
        "GroupPolicyList": _inline(group),
        "AttachedManagedPolicies": attachments.attached_list(group.attached),
    }


def _role(call: Call, role: Role) -> dict[str, Any]:
    role = role_as_shown(call.transaction, call.account, role)
    found = shapes.role(role, call.account, role_operations.last_use(call, role))
    for member in ("MaxSessionDuration", "Description"):
        found.pop(member, None)
    profiles = (profile for profile in call.transaction.table(InstanceProfile).all() if profile.role == role.name)
    return found | {
        "InstanceProfileList": [shapes.instance_profile(profile, call.account, role) for profile in profiles],
        "RolePolicyList": _inline(role),
        "AttachedManagedPolicies": attachments.attached_list(role.attached),
    }


def _policies(call: Call, *, aws: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    attached, boundaries = usage(call.transaction)
    policies = (
        [policy for arn, policy in aws_policies().items() if attached[arn] or boundaries[arn]]
        if aws
        else call.transaction.table(ManagedPolicy).all()
    )
    for policy in policies:
        arn = shapes.arn(policy, call.account)
        shape = shapes.policy(policy, call.account, attached[arn], boundaries[arn])
        shape.pop("Tags", None)
        yield arn, shape | {"PolicyVersionList": shapes.versions(policy)}


def _inline(entity: Policied) -> list[dict[str, Any]]:
    return [
        {"PolicyName": name, "PolicyDocument": shapes.encoded(document)} for name, document in entity.inline.items()
    ]
