"""The error that an AWS operation answers.

Owns its shape: code, message, HTTP status, further members. Each service names its own codes in its folder's
`errors.py`, once; those that every service has are here (AWS documentation, "Common errors").
Refuses to write it to the wire (`api`).
"""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """What the caller is told.

    code: as on the wire, which is where SDKs look ("DBProxyNotFoundFault"); members: further ones of the error's
    shape; sender: whether the caller is to blame, which is everything below 500.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members

    @property
    def sender(self) -> bool:
        """Whether the caller, not we, can do something about it."""
        return self.status < 500

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def access_denied(arn: str, action: str, resource: str, why: str) -> AwsError:
    """403 in IAM's own words; why: "no identity-based policy allows the ... action", say."""
    return AwsError(
        "AccessDenied", f"User: {arn} is not authorized to perform: {action} on resource: {resource} because {why}", 403
    )


def validation_error(message: str) -> AwsError:
    """400 where a parameter breaks its model's bounds, in services of the JSON protocols and iam."""
    return AwsError("ValidationException", message, 400)
