"""The sts service: GetCallerIdentity, AssumeRole, GetSessionToken, GetFederationToken, GetAccessKeyInfo.

Owns these operations but for AssumeRole (`assume_role`). Refuses federation with other identity providers.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tidegate.control.call import Call
from tidegate.control.services.iam.errors import invalid_token
from tidegate.control.services.iam.guard import caller_identity, note_key_use
from tidegate.control.services.iam.identities import Identity, request_tags
from tidegate.control.services.iam.keys import find_key
from tidegate.control.services.iam.records import PARTITION, AccessKey, Holder, User
from tidegate.control.services.iam.tagging import checked
from tidegate.control.services.service import Service
from tidegate.control.services.sts.assume_role import assume_role
from tidegate.control.services.sts.errors import denied, invalid
from tidegate.control.services.sts.sessions import credentials, limits, make_session, maker, packed

DEFAULT_DURATION = 43_200
ROOT_DURATION = 3600
"""Seconds. Root's sessions last no longer, whatever is asked for."""
MFA_FAILED = "MultiFactorAuthentication failed with invalid MFA one time pass code."


class StsService(Service):
    """AWS Security Token Service."""

    name: ClassVar[str] = "sts"
    unguarded: ClassVar[frozenset[str]] = frozenset({"GetCallerIdentity", "GetSessionToken"})
    """Operations that need no permission, and that none can be taken from (STS API Reference)."""

    def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """GetCallerIdentity: even of one whom policies deny everything."""
        note_key_use(call)
        return {"UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn}

    def assume_role(self, call: Call) -> dict[str, Any]:
        """AssumeRole."""
        return assume_role(call)

    def get_session_token(self, call: Call) -> dict[str, Any]:
        """GetSessionToken: the caller's own permissions for a while."""
        identity = _long_term(call, "GetSessionToken")
        if "TokenCode" in call.parameters or "SerialNumber" in call.parameters:
            raise denied(MFA_FAILED)
        user = _user(call, identity)
        session = make_session(
            call.transaction,
            at=call.at,
            holder=Holder.USER if user else Holder.ROOT,
            name=user.name if user else "",
            holder_id=user.id if user else call.account,
            arn=call.caller.arn,
            user_id=call.caller.user_id,
            duration=_duration(call),
            made_by=maker(call),
        )
        note_key_use(call)
        return {"Credentials": credentials(session)}

    def get_federation_token(self, call: Call) -> dict[str, Any]:
        """GetFederationToken: what both the caller and the session policies allow."""
        name = call.parameters["Name"]
        arn = f"arn:{PARTITION}:sts::{call.account}:federated-user/{name}"
        call.require("sts:GetFederationToken", arn, request_tags(call.parameters.get("Tags", [])))
        identity = _long_term(call, "GetFederationToken")
        if call.parameters.get("Tags"):
            call.require("sts:TagSession", arn, request_tags(call.parameters["Tags"]))
        tags = checked(call.parameters.get("Tags", []))
        documents, arns = limits(call)
        percent = packed(documents, arns, tags)
        user = _user(call, identity)
        session = make_session(
            call.transaction,
            at=call.at,
            holder=Holder.FEDERATED,
            name=user.name if user else "",
            holder_id=user.id if user else call.account,
            arn=arn,
            user_id=f"{call.account}:{name}",
            duration=_duration(call),
            made_by=maker(call),
            policies=documents,
            policy_arns=arns,
            tags=tags,
        )
        answer = {
            "Credentials": credentials(session),
            "FederatedUser": {"FederatedUserId": session.user_id, "Arn": arn},
        }
        return answer | ({"PackedPolicySize": percent} if documents or arns or tags else {})

    def get_access_key_info(self, call: Call) -> dict[str, Any]:
        """GetAccessKeyInfo: the account that a key belongs to."""
        call.require("sts:GetAccessKeyInfo", "*")
        key = find_key(call.transaction, call.parameters["AccessKeyId"])
        if key is None:
            raise invalid("Invalid access key ID")
        return {"Account": key.caller.account}


def _long_term(call: Call, operation: str) -> Identity:
    identity = caller_identity(call)
    if identity.session is not None:
        raise denied(f"Cannot call {operation} with session credentials")
    return identity


def _user(call: Call, identity: Identity) -> User | None:
    if identity.principal.root:
        return None
    key = call.transaction.table(AccessKey).get(call.caller.access_key)
    user = call.transaction.table(User).get(key.user.lower()) if key else None
    if user is None:
        raise invalid_token()
    return user


def _duration(call: Call) -> int:
    given: int = call.parameters.get("DurationSeconds", DEFAULT_DURATION)
    return min(given, ROOT_DURATION) if call.caller.is_root else given
