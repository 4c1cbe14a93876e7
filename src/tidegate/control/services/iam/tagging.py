"""Tags of users, roles, policies and instance profiles.

Owns IAM's rules of tags ("Tags for IAM resources") and their operations. Refuses session tags (`sts`) but for
the rules.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam.entities import named, require_own_policy, require_policy
from tidegate.control.services.iam.errors import invalid, invalid_input, limit_exceeded
from tidegate.control.services.iam.identities import request_tags
from tidegate.control.services.iam.managed import AwsPolicy
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import InstanceProfile, ManagedPolicy, Role, User
from tidegate.control.services.iam.shapes import tag_list

MAX_TAGS = 50
PATTERN = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
"""For messages."""
MARKS = set("_.:/=+-@")

Tagged = User | Role | ManagedPolicy | InstanceProfile


def checked(given: list[dict[str, str]]) -> dict[str, str]:
    """Tags of a request as a record has them. Raises AwsError for what IAM does not take."""
    tags: dict[str, str] = {}
    for tag in given:
        key, value = tag["Key"], tag["Value"]
        for text, member, sign in ((key, "key", "+"), (value, "value", "*")):
            if not all(_is_letter(letter) for letter in text):
                raise invalid(
                    f"1 validation error detected: Value '{text}' at 'tags.X.member.{member}' failed to satisfy "
                    f"constraint: Member must satisfy regular expression pattern: {PATTERN}{sign}"
                )
        if key.lower().startswith("aws:"):
            raise invalid_input("User tag keys cannot start with 'aws:', which is reserved for system tags.")
        tags[key] = value
    if len({key.lower() for key in tags}) < len(given):
        raise invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if len(tags) > MAX_TAGS:
        raise limit_exceeded("The number of tags has reached the maximum limit.")
    return tags


def from_call(call: Call) -> dict[str, str]:
    """The tags that a Create operation gives."""
    return checked(call.parameters.get("Tags", []))


def context_of(call: Call) -> dict[str, Any]:
    """Condition keys about the tags in a request."""
    keys = call.parameters.get("TagKeys")
    return {"aws:TagKeys": keys} if keys else request_tags(call.parameters.get("Tags", []))


def _is_letter(letter: str) -> bool:
    return letter in MARKS or unicodedata.category(letter)[0] in "LZN"


def _merged(tags: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    merged = _without(tags, list(new)) | new
    if len(merged) > MAX_TAGS:
        raise limit_exceeded("The number of tags has reached the maximum limit.")
    return merged


def _without(tags: dict[str, str], keys: list[str]) -> dict[str, str]:
    folded = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in folded}


def _tag(call: Call, entity: Tagged) -> dict[str, Any]:
    changed = entity.model_copy(update={"tags": _merged(entity.tags, from_call(call))})
    call.transaction.table(type(entity)).put(changed)
    return {}


def _untag(call: Call, entity: Tagged) -> dict[str, Any]:
    changed = entity.model_copy(update={"tags": _without(entity.tags, call.parameters["TagKeys"])})
    call.transaction.table(type(entity)).put(changed)
    return {}


def _list(call: Call, entity: Tagged | AwsPolicy) -> dict[str, Any]:
    tags = {} if isinstance(entity, AwsPolicy) else entity.tags
    found, paging = page(call, tag_list(tags), lambda tag: str(tag["Key"]))
    return {"Tags": found, **paging}


class TagOperations:
    """TagUser and its kin."""

    def tag_user(self, call: Call) -> dict[str, Any]:
        """TagUser."""
        return _tag(call, named(call, "TagUser", User, context_of(call)))

    def untag_user(self, call: Call) -> dict[str, Any]:
        """UntagUser."""
        return _untag(call, named(call, "UntagUser", User, context_of(call)))

    def list_user_tags(self, call: Call) -> dict[str, Any]:
        """ListUserTags."""
        return _list(call, named(call, "ListUserTags", User))

    def tag_role(self, call: Call) -> dict[str, Any]:
        """TagRole."""
        return _tag(call, named(call, "TagRole", Role, context_of(call)))

    def untag_role(self, call: Call) -> dict[str, Any]:
        """UntagRole."""
        return _untag(call, named(call, "UntagRole", Role, context_of(call)))

    def list_role_tags(self, call: Call) -> dict[str, Any]:
        """ListRoleTags."""
        return _list(call, named(call, "ListRoleTags", Role))

    def tag_policy(self, call: Call) -> dict[str, Any]:
        """TagPolicy."""
        return _tag(call, require_own_policy(call, "TagPolicy", context_of(call)))

    def untag_policy(self, call: Call) -> dict[str, Any]:
        """UntagPolicy."""
        return _untag(call, require_own_policy(call, "UntagPolicy", context_of(call)))

    def list_policy_tags(self, call: Call) -> dict[str, Any]:
        """ListPolicyTags."""
        return _list(call, require_policy(call, "ListPolicyTags"))

    def tag_instance_profile(self, call: Call) -> dict[str, Any]:
        """TagInstanceProfile."""
        return _tag(call, named(call, "TagInstanceProfile", InstanceProfile, context_of(call)))

    def untag_instance_profile(self, call: Call) -> dict[str, Any]:
        """UntagInstanceProfile."""
        return _untag(call, named(call, "UntagInstanceProfile", InstanceProfile, context_of(call)))

    def list_instance_profile_tags(self, call: Call) -> dict[str, Any]:
        """ListInstanceProfileTags."""
        return _list(call, named(call, "ListInstanceProfileTags", InstanceProfile))
