"""One API call on its way: who calls, what for, with which parameters, in which transaction.

Owns what a service's function is handed, and the rule that every call is authorized: a function says what it requires,
and the dispatcher refuses to answer for one that has required nothing. Refuses HTTP (`api`) and the judgement itself
(`policies`, through `Guard`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.control.store.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A principal with the access key that it has signed with (IAM User Guide, "IAM identifiers")."""

    account: str
    arn: str
    """arn:aws:iam::ACCOUNT:user/NAME, arn:aws:iam::ACCOUNT:root, or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION"""
    user_id: str
    """AIDA..., the account's number for root, or AROA...:SESSION; what aws:userid is."""
    access_key: str

    @property
    def is_root(self) -> bool:
        """Whether this is the account itself, which no identity policy limits."""
        return self.arn.endswith(":root")


class Guard(Protocol):
    """Judges by the policies in force; implemented by `services.iam`."""

    def require(
        self,
        call: Call,
        action: str,
        resource: str,
        context: Mapping[str, Any],
        resource_policy: str | None,
    ) -> None:
        """AwsError (AccessDenied) unless the caller may."""


@dataclass(slots=True, kw_only=True)
class Call:
    """What a service's function gets. `parameters` are as the service's model names them, checked against it."""

    service: str
    operation: str
    parameters: dict[str, Any]
    caller: Caller
    account: str
    region: str
    partition: str = "aws"
    request_id: str
    at: float
    """When it arrived, in seconds since 1970."""
    source_ip: str
    secure: bool
    """Whether it came over TLS (aws:SecureTransport)."""
    user_agent: str = ""
    transaction: Transaction
    guard: Guard
    required: list[tuple[str, str]] = field(default_factory=list)
    """The (action, resource) pairs that were required so far."""

    def require(
        self,
        action: str,
        resource: str,
        context: Mapping[str, Any] | None = None,
        resource_policy: str | None = None,
    ) -> None:
        """Go on only if the caller's policies allow `action` ("rds:CreateDBProxy") on `resource` (an ARN or "*").

        context: condition keys beyond the global ones, with their values ({"aws:ResourceTag/stage": "prod"});
        resource_policy: the JSON text of the policy that hangs on the resource. Raises AwsError (AccessDenied, 403).
        """
        self.required.append((action, resource))
        self.guard.require(self, action, resource, context or {}, resource_policy)

    def arn(self, service: str, resource: str) -> str:
        """arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE, of this call's region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"
