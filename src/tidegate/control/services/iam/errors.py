"""IAM's error codes, and its words for them.

Owns codes, statuses and messages of iam, and of a refusal in every service. Refuses to decide when they are due.
"""

from __future__ import annotations

from tidegate.control.errors import AwsError


def no_such_entity(message: str) -> AwsError:
    """404."""
    return AwsError("NoSuchEntity", message, 404)


def not_found(noun: str, name: str) -> AwsError:
    """404; noun: user, group, role, ... or "role policy"."""
    return no_such_entity(f"The {noun} with name {name} cannot be found.")


def policy_not_found(arn: str) -> AwsError:
    """404."""
    return no_such_entity(f"Policy {arn} was not found.")


def not_attachable(arn: str) -> AwsError:
    """404."""
    return no_such_entity(f"Policy {arn} does not exist or is not attachable.")


def access_key_not_found(access_key: str) -> AwsError:
    """404."""
    return no_such_entity(f"The Access Key with id {access_key} cannot be found.")


def already_exists(noun: str, name: str) -> AwsError:
    """409."""
    return AwsError("EntityAlreadyExists", f"{noun.capitalize()} with name {name} already exists.", 409)


def entity_exists(message: str) -> AwsError:
    """409, where the words are the thing's own."""
    return AwsError("EntityAlreadyExists", message, 409)


def delete_conflict(message: str) -> AwsError:
    """409: something still hangs on it."""
    return AwsError("DeleteConflict", message, 409)


def quota(name: str, limit: int) -> AwsError:
    """409; name as AWS spells quotas in messages: AccessKeysPerUser."""
    return limit_exceeded(f"Cannot exceed quota for {name}: {limit}")


def limit_exceeded(message: str) -> AwsError:
    """409, where the words are the limit's own."""
    return AwsError("LimitExceeded", message, 409)


def malformed_policy(message: str) -> AwsError:
    """400."""
    return AwsError("MalformedPolicyDocument", message, 400)


def invalid_input(message: str) -> AwsError:
    """400."""
    return AwsError("InvalidInput", message, 400)


def invalid(message: str) -> AwsError:
    """400: a parameter that its model lets pass, and IAM does not."""
    return AwsError("ValidationError", message, 400)


def unmodifiable(message: str) -> AwsError:
    """400: a role that only a service may change."""
    return AwsError("UnmodifiableEntity", message, 400)


def invalid_token() -> AwsError:
    """403: keys of somebody who is gone, or that this API does not take."""
    return AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


_REFUSALS = {
    "ec2": ("UnauthorizedOperation", 403, "You are not authorized to perform this operation. "),
    "secretsmanager": ("AccessDeniedException", 400, ""),
}
"""Services that refuse in another way than most: code, status, what the message begins with."""


def refused(service: str, arn: str, action: str, resource: str, reason: str) -> AwsError:
    """A refusal in the words of a service; reason: Decision.reason, or nothing."""
    code, status, prefix = _REFUSALS.get(service, ("AccessDenied", 403, ""))
    where = "" if resource == "*" else f" on resource: {resource}"
    why = f" {reason}" if reason else ""
    return AwsError(code, f"{prefix}User: {arn} is not authorized to perform: {action}{where}{why}", status)
