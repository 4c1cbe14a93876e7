"""From records to the shapes of IAM's answers.

Owns names of members, and how documents are written (URL-encoded, RFC 3986). Refuses to look anything up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tidegate.control.services.iam.managed import AwsPolicy
from tidegate.control.services.iam.records import (
    Bounded,
    Entity,
    Group,
    InstanceProfile,
    LastUse,
    ManagedPolicy,
    Role,
    User,
)

Shape = dict[str, Any]


def when(seconds: float) -> datetime:
    """A time as answers have it, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def encoded(document: str) -> str:
    """A policy as answers have it."""
    return quote(document, safe="")


def tag_list(tags: dict[str, str]) -> list[Shape]:
    """Tags in the order in which they were made."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _entity(entity: Entity, account: str, name: str) -> Shape:
    return {
        "Path": entity.path,
        f"{name}Name": entity.name,
        f"{name}Id": entity.id,
        "Arn": entity.arn(account),
        "CreateDate": when(entity.created),
    }


def _bounded(entity: Bounded, *, full: bool) -> Shape:
    found: Shape = {}
    if not full:
        return found
    if entity.boundary:
        found["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": entity.boundary,
        }
    if entity.tags:
        found["Tags"] = tag_list(entity.tags)
    return found


def user(record: User, account: str, *, full: bool = True) -> Shape:
    """full: with what lists leave out: boundary and tags."""
    return _entity(record, account, "User") | _bounded(record, full=full)


def group(record: Group, account: str) -> Shape:
    """A group."""
    return _entity(record, account, "Group")


def role(record: Role, account: str, last: LastUse | None = None, *, full: bool = True) -> Shape:
    """full: with what lists leave out: boundary, tags, last use."""
    found = _entity(record, account, "Role") | {
        "AssumeRolePolicyDocument": encoded(record.trust),
        "MaxSessionDuration": record.max_session,
    }
    if record.description is not None:
        found["Description"] = record.description
    if full:
        found["RoleLastUsed"] = {"LastUsedDate": when(last.at), "Region": last.region} if last else {}
    return found | _bounded(record, full=full)


def instance_profile(record: InstanceProfile, account: str, of_role: Role | None) -> Shape:
    """An instance profile with its role."""
    found = _entity(record, account, "InstanceProfile") | {
        "Roles": [role(of_role, account, full=False)] if of_role else []
    }
    if record.tags:
        found["Tags"] = tag_list(record.tags)
    return found


def policy(
    record: ManagedPolicy | AwsPolicy, account: str, attachments: int, boundaries: int, *, full: bool = True
) -> Shape:
    """full: with what lists leave out: description and tags."""
    found: Shape = {
        "PolicyName": record.name,
        "PolicyId": record.id,
        "Arn": arn(record, account),
        "Path": record.path,
        "DefaultVersionId": f"v{record.default}",
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": when(record.created),
        "UpdateDate": when(record.updated),
    }
    if full and isinstance(record, ManagedPolicy):
        if record.description is not None:
            found["Description"] = record.description
        found["Tags"] = tag_list(record.tags)
    return found


def arn(record: ManagedPolicy | AwsPolicy, account: str) -> str:
    """A policy's ARN, whoever has written it."""
    return record.arn if isinstance(record, AwsPolicy) else record.arn(account)


def versions(record: ManagedPolicy | AwsPolicy) -> list[Shape]:
    """The versions of a policy, newest first; of AWS's, only the one in force is known here."""
    if isinstance(record, AwsPolicy):
        return [_version(record.default, record.document, record.updated, default=True)]
    return [
        _version(version.number, version.document, version.created, default=version.number == record.default)
        for version in reversed(record.versions)
    ]


def _version(number: int, document: str, created: float, *, default: bool) -> Shape:
    return {
        "VersionId": f"v{number}",
        "IsDefaultVersion": default,
        "CreateDate": when(created),
        "Document": encoded(document),
    }
