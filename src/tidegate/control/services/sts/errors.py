"""STS's error codes, and its words for them.

Owns codes, statuses and messages. Refuses to decide when they are due.
"""

from __future__ import annotations

from tidegate.control.errors import AwsError


def denied(message: str) -> AwsError:
    """403, where no policy would help."""
    return AwsError("AccessDenied", message, 403)


def invalid(message: str) -> AwsError:
    """400: a parameter that its model lets pass, and STS does not."""
    return AwsError("ValidationError", message, 400)


def invalid_tags(message: str) -> AwsError:
    """400."""
    return AwsError("InvalidParameterValue", message, 400)


def packed_policy_too_large(percent: int) -> AwsError:
    """400: session policies and tags are more than fits into a token."""
    return AwsError(
        "PackedPolicyTooLarge",
        f"Packed policy consumes {percent}% of allotted space, please use smaller policy.",
        400,
    )


def too_many_sessions() -> AwsError:
    """400: as when calls come too fast."""
    return AwsError("Throttling", "Rate exceeded", 400)


def too_many_sessions_of_one(count: int) -> AwsError:
    """400: the same, of a caller who has as many as one may have."""
    return AwsError(
        "Throttling",
        f"Rate exceeded. {count} of your sessions have not expired yet: use these, or wait until one has.",
        400,
    )
