"""Tags of secrets: TagResource, UntagResource, and what a tag may be.

Owns tags' rules (AWS General Reference, "Tagging your AWS resources": 50, keys to 128 and values to 256 characters, no
key that begins with "aws:"). Refuses to let a caller lose a secret by a tag, as AWS does: permission is asked again
with the tags as they would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.access import Operations, require
from tidegate.control.services.secretsmanager.records import MAX_TAGS, Secret
from tidegate.control.services.tag_keys import request_tags

MAX_KEY = 128
MAX_VALUE = 256


def read_tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a call gives them. AwsError (InvalidParameterException) for those that can't be."""
    tags: dict[str, str] = {}
    for tag in given:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 1 <= len(key) <= MAX_KEY or len(value) > MAX_VALUE:
            raise errors.invalid_parameter(
                f"A tag key must have 1 to {MAX_KEY} characters and a tag value at most {MAX_VALUE}."
            )
        if key.lower().startswith("aws:"):
            raise errors.invalid_parameter("Tag keys can't begin with aws:, which is reserved for AWS use.")
        if key in tags:
            raise errors.invalid_parameter(f"Duplicate tag keys found: {key}")
        tags[key] = value
    return checked_number(tags)


def checked_number(tags: dict[str, str]) -> dict[str, str]:
    """AwsError (InvalidParameterException) for more than 50."""
    if len(tags) > MAX_TAGS:
        raise errors.invalid_parameter(f"A secret can have at most {MAX_TAGS} tags.")
    return tags


class Tagging(Operations):
    """TagResource and UntagResource."""

    def tag_resource(self, call: Call) -> dict[str, Any]:
        """Add tags, or give them other values."""
        given = read_tags(call.parameters["Tags"])
        _, secret = self._live(call, request_tags(given))
        return self._retag(call, secret, checked_number({**secret.tags, **given}), request_tags(given))

    def untag_resource(self, call: Call) -> dict[str, Any]:
        """Remove tags; those that are not there are no error."""
        keys = set(call.parameters["TagKeys"])
        context = {"aws:TagKeys": sorted(keys)}
        _, secret = self._live(call, context)
        kept = {key: value for key, value in secret.tags.items() if key not in keys}
        return self._retag(call, secret, kept, context)

    def _retag(self, call: Call, secret: Secret, tags: dict[str, str], context: Mapping[str, Any]) -> dict[str, Any]:
        if tags != secret.tags:
            changed = secret.model_copy(update={"tags": tags, "changed": call.at})
            action = f"secretsmanager:{call.operation}"
            told = call.parameters["SecretId"]
            require(call, action, told, secret.arn, {"secretsmanager:SecretId": told, **context}, changed)
            self._vault(call).save(changed)
        return {}
