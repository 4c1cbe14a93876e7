"""Makes temporary keys, and forgets them when they have expired.

Owns their form: ASIA..., a secret, and a session token, which is random and says nothing. Refuses to decide who gets
any (`service`) and what they may do (`iam`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Any

from tidegate.control.account import new_access_key_id, new_secret_key
from tidegate.control.call import Call
from tidegate.control.policies.rules import size
from tidegate.control.services.iam.errors import malformed_policy
from tidegate.control.services.iam.identities import assumed_role_arn
from tidegate.control.services.iam.managed import find_policy
from tidegate.control.services.iam.records import TEMPORARY, Holder, Role, Session
from tidegate.control.services.iam.shapes import when
from tidegate.control.services.iam.texts import SESSION_SIZE, session_document
from tidegate.control.services.sts.errors import (
    invalid,
    packed_policy_too_large,
    too_many_sessions,
    too_many_sessions_of_one,
)
from tidegate.control.services.sts.records import Sweep
from tidegate.control.store.store import Transaction

TOKEN_BYTES = 192
"""Of the session token; 256 characters when encoded."""
SWEEP_INTERVAL = 600
"""Seconds between two looks for expired sessions."""
KEPT_EXPIRED = 3600
"""Seconds for which an expired session is kept, so that its bearer is told ExpiredToken."""
MAX_SESSIONS = 20_000
"""At a time, in all. AWS bounds only how fast they are made."""
MAX_SESSIONS_OF_ONE = 2_000
"""At a time, that one user has asked for: so that nobody takes the room of all others."""
MAX_POLICY_ARNS = 10


def limits(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The session policies of a request: documents, and ARNs of managed policies. Raises AwsError."""
    text = call.parameters.get("Policy")
    documents = (session_document(text),) if text is not None else ()
    arns = tuple(descriptor.get("arn", "") for descriptor in call.parameters.get("PolicyArns", []))
    if len(arns) > MAX_POLICY_ARNS:
        raise invalid(
            f"1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length "
            f"less than or equal to {MAX_POLICY_ARNS}"
        )
    for arn in arns:
        if find_policy(call.transaction, arn) is None:
            raise malformed_policy(f"Policy {arn} does not exist or is not attachable.")
    return documents, arns


def packed(documents: Sequence[str], arns: Sequence[str], tags: dict[str, str]) -> int:
    """What policies and tags take of a session's space, in percent. AwsError (PackedPolicyTooLarge) beyond it.

    AWS packs them in a way of its own; here policies and ARNs are counted as its documents say they are limited: 2,048
    characters. Tags have their own limits.
    """
    used = sum(size(document) for document in documents) + sum(len(arn) for arn in arns)
    percent = -(-used * 100 // SESSION_SIZE)
    if percent > 100:
        raise packed_policy_too_large(percent)
    in_tags = sum(len(key) + len(value) for key, value in tags.items())
    return min(100, max(percent, -(-in_tags * 100 // (50 * (128 + 256)))))


def make_session(
    transaction: Transaction,
    *,
    at: float,
    holder: Holder,
    name: str,
    holder_id: str,
    arn: str,
    user_id: str,
    duration: int,
    made_by: str,
    **more: Any,
) -> Session:
    """Make keys that last `duration` seconds from `at` on, and put them down.

    made_by: whom they count for; more: other members of Session.

    AwsError (Throttling) while there are too many.
    """
    sweep(transaction, at)
    _require_room(transaction, at, made_by)
    session = Session(
        id=new_access_key_id(TEMPORARY),
        secret=new_secret_key(),
        token=base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode(),
        created=at,
        expires=float(int(at) + duration),
        holder=holder,
        name=name,
        holder_id=holder_id,
        made_by=made_by,
        arn=arn,
        user_id=user_id,
        **more,
    )
    transaction.table(Session).put(session)
    return session


def make_role_session(transaction: Transaction, role: Role, name: str, *, account: str, **more: Any) -> Session:
    """A session of a role, with that RoleSessionName, as make_session. more: what that asks for beside."""
    return make_session(
        transaction,
        holder=Holder.ROLE,
        name=role.name,
        holder_id=role.id,
        arn=assumed_role_arn(account, role.name, name),
        user_id=f"{role.id}:{name}",
        **more,
    )


def credentials(session: Session) -> dict[str, Any]:
    """The keys as answers have them: the only time that anybody is told."""
    return {
        "AccessKeyId": session.id,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": when(session.expires),
    }


def sweep(transaction: Transaction, at: float) -> None:
    """Drop sessions that have expired a while ago, if nobody has done so lately."""
    marks = transaction.table(Sweep)
    last = marks.get("sweep")
    if last is not None and 0 <= at - last.at < SWEEP_INTERVAL:
        return
    marks.put(Sweep(at=at))
    # Thousands of them, of which most are left alone: SQLite finds those few without making any a Session.
    transaction.write(
        Session.kind,
        "DELETE FROM records WHERE kind = ? AND json_extract(body, '$.expires') <= ?",
        Session.kind,
        at - KEPT_EXPIRED,
    )


def maker(call: Call) -> str:
    """Whom a session that the call makes counts for: who stands at the beginning of the caller's chain of sessions."""
    session = call.transaction.table(Session).get(call.caller.access_key)
    return call.caller.user_id if session is None else session.made_by


def _require_room(transaction: Transaction, at: float, made_by: str) -> None:
    (count,) = transaction.execute("SELECT count(*) FROM records WHERE kind = ?", Session.kind).fetchone()
    if count >= MAX_SESSIONS:
        raise too_many_sessions()
    if count < MAX_SESSIONS_OF_ONE:  # which spares the look into each
        return
    (own,) = transaction.execute(
        "SELECT count(*) FROM records WHERE kind = ?"
        " AND json_extract(body, '$.made_by') = ? AND json_extract(body, '$.expires') > ?",
        Session.kind,
        made_by,
        at,
    ).fetchone()
    if own >= MAX_SESSIONS_OF_ONE:
        raise too_many_sessions_of_one(own)
