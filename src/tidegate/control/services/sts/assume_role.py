"""AssumeRole: keys for a session of a role.

Owns what the request must keep to: trust, duration, chaining, session tags, source identity. Refuses the judgement of
trust policies (`policies`, through `iam.guard`).
Source: STS API Reference, "AssumeRole"; IAM User Guide, "Pass session tags in AWS STS".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam.errors import refused
from tidegate.control.services.iam.guard import note_use, require_trust
from tidegate.control.services.iam.identities import request_tags
from tidegate.control.services.iam.records import Holder, Role, Session
from tidegate.control.services.iam.roles import find_role
from tidegate.control.services.iam.tagging import checked
from tidegate.control.services.sts.errors import denied, invalid, invalid_tags
from tidegate.control.services.sts.sessions import credentials, limits, make_role_session, maker, packed
from tidegate.control.services.tag_keys import resource_tags

DEFAULT_DURATION = 3600
CHAINED_DURATION = 3600
"""Seconds; the longest that a session lasts which another role's session has asked for."""
UNTRUSTED = "because no role trust policy allows the sts:AssumeRole action"


@dataclass(frozen=True, slots=True)
class _Tags:
    """A session's tags; keys of those that its own sessions inherit."""

    tags: dict[str, str]
    transitive: tuple[str, ...]


def assume_role(call: Call) -> dict[str, Any]:
    """AssumeRole. Raises AwsError."""
    given = call.parameters
    chained = _chained_from(call)
    role = _role(call)
    tags = _tags(call, chained)
    identity = _source_identity(call, chained)
    _require_trust(call, role, identity)
    duration = _duration(call, role, chained)
    documents, arns = limits(call)
    percent = packed(documents, arns, tags.tags)
    name = given["RoleSessionName"]
    session = make_role_session(
        call.transaction,
        role,
        name,
        account=call.account,
        at=call.at,
        duration=duration,
        made_by=maker(call),
        policies=documents,
        policy_arns=arns,
        tags=tags.tags,
        transitive=tags.transitive,
        source_identity=identity,
    )
    note_use(call, role.id)
    answer: dict[str, Any] = {
        "Credentials": credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    }
    if documents or arns or tags.tags:
        answer["PackedPolicySize"] = percent
    return answer | ({"SourceIdentity": identity} if identity else {})


def _chained_from(call: Call) -> Session | None:
    if call.caller.is_root:
        call.required.append(("sts:AssumeRole", call.parameters["RoleArn"]))
        raise denied("Roles may not be assumed by root accounts.")
    if "TokenCode" in call.parameters or "SerialNumber" in call.parameters:
        # There are no MFA devices here, so no code can be right.
        raise denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    session = call.transaction.table(Session).get(call.caller.access_key)
    if session is not None and session.holder is Holder.FEDERATED:
        raise denied("Cannot call AssumeRole with federation token credentials")
    return session if session is not None and session.holder is Holder.ROLE else None


def _role(call: Call) -> Role:
    arn = call.parameters["RoleArn"]
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise invalid(f"{arn} is invalid")
    role = find_role(call.transaction, call.account, arn)
    if role is None:
        # As for a role that does not trust the caller: nobody learns which roles there are.
        raise refused("sts", call.caller.arn, "sts:AssumeRole", arn, UNTRUSTED)
    return role


def _require_trust(call: Call, role: Role, identity: str | None) -> None:
    given = call.parameters
    arn = role.arn(call.account)
    context = (
        request_tags(given.get("Tags", []))
        | resource_tags(role.tags, "iam:ResourceTag")
        | {
            "sts:RoleSessionName": given["RoleSessionName"],
            "sts:ExternalId": given.get("ExternalId"),
            "sts:SourceIdentity": identity,
            "sts:TransitiveTagKeys": given.get("TransitiveTagKeys") or None,
        }
    )
    require_trust(call, "sts:AssumeRole", arn, role.trust_in_force, context)
    if given.get("Tags"):
        require_trust(call, "sts:TagSession", arn, role.trust_in_force, context)
    if identity is not None:
        require_trust(call, "sts:SetSourceIdentity", arn, role.trust_in_force, context)


def _duration(call: Call, role: Role, chained: Session | None) -> int:
    duration: int = call.parameters.get("DurationSeconds", DEFAULT_DURATION)
    if chained is not None and duration > CHAINED_DURATION:
        raise invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    if duration > role.max_session:
        raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return duration


def _tags(call: Call, chained: Session | None) -> _Tags:
    new = checked(call.parameters.get("Tags", []))
    inherited = (
        {key: value for key, value in chained.tags.items() if key in chained.transitive} if chained is not None else {}
    )
    if {key.lower() for key in new} & {key.lower() for key in inherited}:
        raise invalid_tags(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            "the calling session."
        )
    own = {key.lower(): key for key in new}
    transitive: list[str] = []
    for key in call.parameters.get("TransitiveTagKeys", []):
        if key.lower() not in own:
            raise invalid_tags("The specified transitive tag key must be included in the requested tags.")
        transitive.append(own[key.lower()])
    return _Tags(inherited | new, (*inherited, *transitive))


def _source_identity(call: Call, chained: Session | None) -> str | None:
    given: str | None = call.parameters.get("SourceIdentity")
    if given is not None and given.lower().startswith("aws:"):
        raise invalid("The specified source identity is invalid: it can't begin with aws:.")
    kept = chained.source_identity if chained is not None else None
    if kept is None:
        return given
    if given not in (None, kept):
        raise denied("The source identity of a session can't be changed.")
    return kept
