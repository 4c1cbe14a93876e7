"""Judges every API call by the policies in force.

Owns what a request tells conditions (the global condition keys), and the refusal. Refuses to evaluate (`policies`) and
to know what an operation requires (each service does).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidegate.control.call import Call
from tidegate.control.policies.arns import account_of
from tidegate.control.policies.context import Context
from tidegate.control.policies.decision import Decision, decide
from tidegate.control.policies.documents import Request, load
from tidegate.control.services.iam.errors import invalid_token, refused
from tidegate.control.services.iam.identities import Identity, identity_of
from tidegate.control.services.iam.records import TEMPORARY, Holder, LastUse

GLOBAL = {"iam": "us-east-1"}
"""Services that are the same in all regions, and the region in which AWS says that they are."""
USE_RESOLUTION = 900
"""Seconds. A key's last use is not written down more often; AWS promises four hours."""


class PolicyGuard:
    """call.Guard over the policies in the store."""

    def require(
        self,
        call: Call,
        action: str,
        resource: str,
        context: Mapping[str, Any],
        resource_policy: str | None,
    ) -> None:
        """See Call.require. Root may everything that no resource's policy denies."""
        identity = caller_identity(call)
        other = account_of(resource)
        decision = decide(
            _request(call, identity, action, resource, context),
            identity.policies,
            resource=load(resource_policy) if resource_policy is not None else None,
            other_account=other.isdigit() and other != call.caller.account,
        )
        _settle(call, identity, decision, action, resource)


def require_trust(call: Call, action: str, role_arn: str, trust: str, context: Mapping[str, Any]) -> None:
    """Like Call.require, for what a role's trust policy must allow, too. Raises AwsError (AccessDenied)."""
    call.required.append((action, role_arn))
    identity = caller_identity(call)
    decision = decide(
        _request(call, identity, action, role_arn, context), identity.policies, resource=load(trust), trust=True
    )
    _settle(call, identity, decision, action, role_arn)


def caller_identity(call: Call) -> Identity:
    """Who calls, with their policies. AwsError (InvalidClientTokenId) if their keys are not for this API."""
    identity = identity_of(call.transaction, call.caller)
    if identity is None:
        raise invalid_token()
    session = identity.session
    if session is not None and session.holder is not Holder.ROLE and call.service == "iam":
        # STS API reference, GetSessionToken and GetFederationToken: without MFA, these can't call IAM.
        raise invalid_token()
    return identity


def request_context(*, at: float, region: str, source_ip: str | None, secure: bool) -> dict[str, Any]:
    """The global condition keys about a request (IAM User Guide, "AWS global condition context keys")."""
    return {
        "aws:CurrentTime": datetime.fromtimestamp(at, UTC),
        "aws:EpochTime": int(at),
        "aws:RequestedRegion": region,
        "aws:SourceIp": source_ip,
        "aws:SecureTransport": secure,
        "aws:ViaAWSService": False,
    }


def note_key_use(call: Call) -> None:
    """Remember when the caller's access key was last used; nobody asks about temporary ones."""
    if not call.caller.access_key.startswith(TEMPORARY):
        note_use(call, call.caller.access_key)


def note_use(call: Call, subject: str) -> None:
    """Remember when an access key or role was last used; see LastUse."""
    table = call.transaction.table(LastUse)
    last = table.get(subject)
    if last is None or call.at - last.at >= USE_RESOLUTION:
        table.put(LastUse(subject=subject, at=call.at, service=call.service, region=_region(call)))


def _region(call: Call) -> str:
    return GLOBAL.get(call.service, call.region)


def _request(call: Call, identity: Identity, action: str, resource: str, context: Mapping[str, Any]) -> Request:
    about_call = request_context(at=call.at, region=_region(call), source_ip=call.source_ip, secure=call.secure)
    about_call["aws:UserAgent"] = call.user_agent or None
    about_call["aws:ResourceAccount"] = account_of(resource) or call.account
    return Request(
        principal=identity.principal,
        action=action,
        resource=resource,
        # What identifies the caller comes last: no operation's parameters can stand in for it.
        context=Context(context, about_call, identity.context),
    )


def _settle(call: Call, identity: Identity, decision: Decision, action: str, resource: str) -> None:
    if not decision.allowed:
        raise refused(call.service, call.caller.arn, action, resource, decision.reason)
    if len(call.required) > 1:
        return
    session = identity.session
    if session is None:
        note_use(call, call.caller.access_key)
    elif session.holder is Holder.ROLE:
        note_use(call, session.holder_id)
