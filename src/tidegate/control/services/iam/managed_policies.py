"""Managed policies, their versions, and who has them.

Owns CreatePolicy and its kin. Refuses documents' rules (`texts`), AWS's own policies (`managed`) and attaching
(`attachments`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import shapes, tagging
from tidegate.control.services.iam.entities import (
    holders,
    require_free,
    require_own_policy,
    require_policy,
    usage,
)
from tidegate.control.services.iam.errors import delete_conflict, limit_exceeded, no_such_entity, quota
from tidegate.control.services.iam.identifiers import new_id
from tidegate.control.services.iam.managed import AwsPolicy, aws_policies
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import (
    PARTITION,
    Bounded,
    Group,
    ManagedPolicy,
    Policied,
    Role,
    User,
    Version,
    entity_arn,
)
from tidegate.control.services.iam.texts import managed_document

MAX_POLICIES = 1500
MAX_VERSIONS = 5
ENTITY_LISTS: dict[type[Policied], tuple[str, str]] = {
    Group: ("PolicyGroups", "Group"),
    User: ("PolicyUsers", "User"),
    Role: ("PolicyRoles", "Role"),
}


def all_policies(call: Call, scope: str) -> Iterator[ManagedPolicy | AwsPolicy]:
    """The customer's policies ("Local"), AWS's ("AWS"), or both."""
    if scope != "AWS":
        yield from call.transaction.table(ManagedPolicy).all()
    if scope != "Local":
        yield from aws_policies().values()


class PolicyOperations:
    """What is done to managed policies."""

    def create_policy(self, call: Call) -> dict[str, Any]:
        """CreatePolicy, with its version 1."""
        given = call.parameters
        name, path = given["PolicyName"], given.get("Path", "/")
        arn = entity_arn(call.account, ManagedPolicy, name, path)
        call.require("iam:CreatePolicy", arn, tagging.context_of(call))
        if given.get("Tags"):
            call.require("iam:TagPolicy", arn, tagging.context_of(call))
        document = managed_document(given["PolicyDocument"])
        require_free(call.transaction, ManagedPolicy, name)
        table = call.transaction.table(ManagedPolicy)
        if len(table.all()) >= MAX_POLICIES:
            raise quota("PoliciesPerAccount", MAX_POLICIES)
        policy = ManagedPolicy(
            name=name,
            path=path,
            id=new_id(ManagedPolicy),
            created=call.at,
            updated=call.at,
            description=given.get("Description"),
            versions=(Version(number=1, document=document, created=call.at),),
            default=1,
            next=2,
            tags=tagging.from_call(call),
        )
        table.put(policy)
        return {"Policy": shapes.policy(policy, call.account, 0, 0)}

    def get_policy(self, call: Call) -> dict[str, Any]:
        """GetPolicy, of the customer or of AWS."""
        policy = require_policy(call, "GetPolicy")
        attached, boundaries = usage(call.transaction)
        arn = call.parameters["PolicyArn"]
        return {"Policy": shapes.policy(policy, call.account, attached[arn], boundaries[arn])}

    def delete_policy(self, call: Call) -> dict[str, Any]:
        """DeletePolicy: of one that nobody has, and that has but one version."""
        policy = require_own_policy(call, "DeletePolicy")
        attached, boundaries = usage(call.transaction)
        if attached[call.parameters["PolicyArn"]] or boundaries[call.parameters["PolicyArn"]]:
            raise delete_conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        call.transaction.table(ManagedPolicy).delete(policy.key)
        return {}

    def list_policies(self, call: Call) -> dict[str, Any]:
        """ListPolicies."""
        given = call.parameters
        prefix = given.get("PathPrefix", "/")
        call.require("iam:ListPolicies", f"arn:{PARTITION}:iam::{call.account}:policy{prefix}")
        attached, boundaries = usage(call.transaction)
        counts = {"PermissionsPolicy": attached, "PermissionsBoundary": boundaries}
        wanted = counts.get(given.get("PolicyUsageFilter", ""))
        listed = {
            shapes.arn(policy, call.account): policy
            for policy in all_policies(call, given.get("Scope", "All"))
            if policy.path.startswith(prefix)
        }
        arns = [
            arn
            for arn in listed
            if (wanted is None or wanted[arn]) and (not given.get("OnlyAttached") or attached[arn] or boundaries[arn])
        ]
        found, paging = page(call, arns, str)
        policies = [
            shapes.policy(listed[arn], call.account, attached[arn], boundaries[arn], full=False) for arn in found
        ]
        return {"Policies": policies, **paging}

    def create_policy_version(self, call: Call) -> dict[str, Any]:
        """CreatePolicyVersion."""
        policy = require_own_policy(call, "CreatePolicyVersion")
        document = managed_document(call.parameters["PolicyDocument"])
        if len(policy.versions) >= MAX_VERSIONS:
            raise limit_exceeded(
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                "existing version."
            )
        version = Version(number=policy.next, document=document, created=call.at)
        default = version.number if call.parameters.get("SetAsDefault") else policy.default
        changed = policy.model_copy(
            update={
                "versions": (*policy.versions, version),
                "next": policy.next + 1,
                "default": default,
                "updated": call.at,
            }
        )
        call.transaction.table(ManagedPolicy).put(changed)
        return {"PolicyVersion": _without_document(shapes.versions(changed)[0])}

    def get_policy_version(self, call: Call) -> dict[str, Any]:
        """GetPolicyVersion."""
        policy = require_policy(call, "GetPolicyVersion")
        return {"PolicyVersion": self._version(call, policy)}

    def list_policy_versions(self, call: Call) -> dict[str, Any]:
        """ListPolicyVersions, newest first, without documents."""
        policy = require_policy(call, "ListPolicyVersions")
        versions = {shape["VersionId"]: shape for shape in shapes.versions(policy)}
        # Keys that sort as the versions do: the newest has the smallest.
        found, paging = page(call, versions, lambda name: f"{10**9 - int(name[1:]):010d}")
        return {"Versions": [_without_document(versions[name]) for name in found], **paging}

    def delete_policy_version(self, call: Call) -> dict[str, Any]:
        """DeletePolicyVersion, of any but the default one."""
        policy = require_own_policy(call, "DeletePolicyVersion")
        number = self._number(call, policy)
        if number == policy.default:
            raise delete_conflict("Cannot delete the default version of a policy.")
        rest = tuple(version for version in policy.versions if version.number != number)
        changed = policy.model_copy(update={"versions": rest, "updated": call.at})
        call.transaction.table(ManagedPolicy).put(changed)
        return {}

    def set_default_policy_version(self, call: Call) -> dict[str, Any]:
        """SetDefaultPolicyVersion."""
        policy = require_own_policy(call, "SetDefaultPolicyVersion")
        changed = policy.model_copy(update={"default": self._number(call, policy), "updated": call.at})
        call.transaction.table(ManagedPolicy).put(changed)
        return {}

    def list_entities_for_policy(self, call: Call) -> dict[str, Any]:
        """ListEntitiesForPolicy."""
        given = call.parameters
        arn = given["PolicyArn"]
        require_policy(call, "ListEntitiesForPolicy")
        wanted = given.get("EntityFilter")
        usage_filter = given.get("PolicyUsageFilter")
        entities = [
            entity
            for entity in holders(call.transaction)
            if _has(entity, arn, usage_filter)
            and entity.path.startswith(given.get("PathPrefix", "/"))
            and wanted in (None, type(entity).__name__)
        ]
        found, paging = page(call, entities, lambda entity: f"{entity.noun}/{entity.key}")
        answer: dict[str, Any] = {
            member: [{f"{word}Name": entity.name, f"{word}Id": entity.id} for entity in found if type(entity) is record]
            for record, (member, word) in ENTITY_LISTS.items()
        }
        return answer | paging

    @staticmethod
    def _version(call: Call, policy: ManagedPolicy | AwsPolicy) -> shapes.Shape:
        wanted = call.parameters["VersionId"]
        for shape in shapes.versions(policy):
            if shape["VersionId"] == wanted:
                return shape
        raise _no_version(call)

    def _number(self, call: Call, policy: ManagedPolicy) -> int:
        return int(self._version(call, policy)["VersionId"].removeprefix("v"))


def _without_document(version: shapes.Shape) -> shapes.Shape:
    return {key: value for key, value in version.items() if key != "Document"}


def _has(entity: Policied, arn: str, usage_filter: str | None) -> bool:
    as_policy = arn in entity.attached and usage_filter != "PermissionsBoundary"
    as_boundary = isinstance(entity, Bounded) and entity.boundary == arn and usage_filter != "PermissionsPolicy"
    return as_policy or as_boundary


def _no_version(call: Call) -> Exception:
    arn, version = call.parameters["PolicyArn"], call.parameters["VersionId"]
    return no_such_entity(f"Policy {arn} version {version} does not exist or is not attachable.")
