"""Everybody who may call, with the policies that are in force for them and what conditions ask about them.

Owns who has which policy: through groups, attachments, boundaries, sessions. Refuses the decision (`policies`) and what
the request itself adds to the context (`guard`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tidegate.control.call import Caller
from tidegate.control.policies.decision import InForce, Source
from tidegate.control.policies.documents import Policy, load
from tidegate.control.policies.principals import Principal
from tidegate.control.services import tag_keys
from tidegate.control.services.iam.keys import root_arn
from tidegate.control.services.iam.managed import AWS_PREFIX, policy_in_force
from tidegate.control.services.iam.records import (
    PARTITION,
    AccessKey,
    Bounded,
    Group,
    Holder,
    Policied,
    Role,
    Session,
    User,
)
from tidegate.control.store.store import Transaction


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as policies see them. context: condition keys about them."""

    principal: Principal
    policies: InForce = field(default_factory=InForce)
    context: dict[str, Any] = field(default_factory=dict)
    session: Session | None = None


def identity_of(transaction: Transaction, caller: Caller) -> Identity | None:
    """Of who has signed a call; None if they have ceased to be."""
    session = transaction.table(Session).get(caller.access_key)
    if session is not None:
        return _of_session(transaction, caller.account, session)
    if caller.is_root:
        return of_root(caller.account)
    key = transaction.table(AccessKey).get(caller.access_key)
    user = transaction.table(User).get(key.user.lower()) if key else None
    return None if user is None else of_user(transaction, caller.account, user)


def of_root(account: str, session: Session | None = None) -> Identity:
    """The account itself."""
    arn = root_arn(account)
    principal = Principal(account=account, arn=arn, direct=frozenset({arn}), root=True)
    context = _about(principal, "Account", account, {}, session)
    return Identity(principal, context=context, session=session)


def of_user(transaction: Transaction, account: str, user: User, session: Session | None = None) -> Identity:
    """A user, with long-term keys or a session from GetSessionToken."""
    arn = user.arn(account)
    principal = Principal(account=account, arn=arn, direct=frozenset({arn, user.id}))
    context = _about(principal, "User", user.id, user.tags, session) | {"aws:username": user.name}
    return Identity(principal, _in_force(transaction, user, user_sources(transaction, user)), context, session)


def of_role(
    transaction: Transaction, account: str, role: Role, session_name: str, session: Session | None = None
) -> Identity:
    """A session of a role; `session` if it has keys of its own."""
    arn, session_arn = role.arn(account), assumed_role_arn(account, role.name, session_name)
    user_id = f"{role.id}:{session_name}"
    principal = Principal(
        account=account, arn=arn, direct=frozenset({session_arn, user_id}), limited=frozenset({arn, role.id})
    )
    tags = _merged(role.tags, session.tags if session else {})
    context = _about(principal, "AssumedRole", user_id, tags, session)
    policies = _in_force(transaction, role, tuple(sources(transaction, role)), session)
    return Identity(principal, policies, context, session)


def assumed_role_arn(account: str, role: str, session_name: str) -> str:
    """arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION: without the role's path."""
    return f"arn:{PARTITION}:sts::{account}:assumed-role/{role}/{session_name}"


def user_sources(transaction: Transaction, user: User) -> tuple[Source, ...]:
    """A user's own policies, and those of their groups."""
    groups = (transaction.table(Group).get(name.lower()) for name in user.groups)
    found = list(sources(transaction, user))
    for group in groups:
        if group is not None:
            found.extend(sources(transaction, group))
    return tuple(found)


def sources(transaction: Transaction, entity: Policied) -> Iterator[Source]:
    """The policies that hang on one user, group or role, as SimulatePrincipalPolicy names them."""
    for name, document in entity.inline.items():
        yield Source(load(document), f"{entity.noun}_{entity.name}_{name}", entity.noun)
    for arn in entity.attached:
        kind = "aws-managed" if arn.startswith(AWS_PREFIX) else "user-managed"
        yield Source(policy_in_force(transaction, arn), arn.rpartition("/")[2], kind)


def _of_session(transaction: Transaction, account: str, session: Session) -> Identity | None:
    if session.holder is Holder.ROLE:
        role = transaction.table(Role).get(session.name.lower())
        if role is None or role.id != session.holder_id:
            return None
        return of_role(transaction, account, role, session.arn.rpartition("/")[2], session)
    if session.holder is Holder.ROOT:
        return of_root(account, session)
    user = transaction.table(User).get(session.name.lower()) if session.name else None
    if user is None and session.name:
        return None
    if session.holder is Holder.USER:
        return None if user is None else of_user(transaction, account, user, session)
    return _of_federated(transaction, account, user, session)


def _of_federated(transaction: Transaction, account: str, user: User | None, session: Session) -> Identity:
    """A federated user has what both the user who made the session and the session's policies allow."""
    origin = frozenset({user.arn(account), user.id}) if user else frozenset()
    principal = Principal(account=account, arn=session.arn, direct=frozenset({session.arn}), limited=origin)
    tags = _merged(user.tags if user else {}, session.tags)
    context = _about(principal, "FederatedUser", session.user_id, tags, session)
    limits = tuple(_session_policies(transaction, session))
    if user is None:
        # Root may everything, so that the session's policies are all there is to say.
        identity = tuple(Source(policy) for policy in limits)
        return Identity(principal, InForce(identity=identity, session=limits), context, session)
    return Identity(principal, _in_force(transaction, user, user_sources(transaction, user), session), context, session)


def _in_force(
    transaction: Transaction, entity: Bounded, identity: tuple[Source, ...], session: Session | None = None
) -> InForce:
    limited = session is not None and session.is_limited
    return InForce(
        identity=identity,
        boundary=policy_in_force(transaction, entity.boundary) if entity.boundary else None,
        session=tuple(_session_policies(transaction, session)) if session and limited else None,
    )


def _session_policies(transaction: Transaction, session: Session) -> Iterator[Policy]:
    for document in session.policies:
        yield load(document)
    for arn in session.policy_arns:
        yield policy_in_force(transaction, arn)


def _merged(tags: dict[str, str], over: dict[str, str]) -> dict[str, str]:
    """A session's tags win; keys of tags have no case."""
    folded = {key.lower() for key in over}
    return {key: value for key, value in tags.items() if key.lower() not in folded} | over


def _about(
    principal: Principal, kind: str, user_id: str, tags: dict[str, str], session: Session | None
) -> dict[str, Any]:
    """IAM User Guide, "AWS global condition context keys", "Properties of the principal" and "of a role session"."""
    context: dict[str, Any] = {
        "aws:PrincipalArn": principal.arn,
        "aws:PrincipalAccount": principal.account,
        "aws:PrincipalType": kind,
        "aws:PrincipalIsAWSService": False,
        "aws:userid": user_id,
    }
    context |= {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}
    if session is not None:
        context |= {
            "aws:TokenIssueTime": datetime.fromtimestamp(session.created, UTC),
            "aws:MultiFactorAuthPresent": False,
            "aws:SourceIdentity": session.source_identity,
        }
    return context


def request_tags(tags: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Tags in a request, a list as calls have it, as condition keys."""
    return tag_keys.request_tags({tag["Key"]: tag["Value"] for tag in tags})
