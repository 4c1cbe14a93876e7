"""The error that an AWS operation answers.

Owns its shape: code, message, HTTP status, further members. Refuses codes, each of which its service names once in its
`errors.py` (a refusal's in iam's), and to write it to the wire (`api`).
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
