"""Whose access key is this?

Owns the way from an access key to who calls with it. Refuses to check signatures (`tidegate.auth`) and to say what the
caller may do (`guard`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.control.account import Account
from tidegate.control.call import Caller
from tidegate.control.services.iam.records import PARTITION, AccessKey, Holder, Role, Session, User
from tidegate.control.store.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key with all that is needed to check what was signed with it."""

    access_key: str
    secret: str = field(repr=False)
    caller: Caller
    session_token: str | None = field(default=None, repr=False)
    """What must come along with a temporary key; None for a long-term one, with which none must come."""
    expires: float | None = None
    """Seconds since 1970; None for a long-term key."""
    active: bool = True
    """False for one that its owner has switched off."""


def account(transaction: Transaction) -> Account:
    """The account that everything belongs to. LookupError before the first start has made it."""
    found = transaction.table(Account).get("account")
    if found is None:
        raise LookupError("the store has no account yet")
    return found


def root_arn(number: str) -> str:
    """The account itself, as a caller."""
    return f"arn:{PARTITION}:iam::{number}:root"


def find_key(transaction: Transaction, access_key_id: str) -> Key | None:
    """The key of that id, be it expired or inactive; None if there is none, or whom it belonged to is gone."""
    owner = account(transaction)
    if access_key_id == owner.root_access_key:
        caller = Caller(
            account=owner.number, arn=root_arn(owner.number), user_id=owner.number, access_key=access_key_id
        )
        return Key(access_key=access_key_id, secret=owner.root_secret, caller=caller)
    long_term = transaction.table(AccessKey).get(access_key_id)
    if long_term is not None:
        return _of_user(transaction, owner.number, long_term)
    session = transaction.table(Session).get(access_key_id)
    return None if session is None else _of_session(transaction, owner.number, session)


def _of_user(transaction: Transaction, number: str, key: AccessKey) -> Key | None:
    user = transaction.table(User).get(key.user.lower())
    if user is None or key.id not in user.access_keys:
        return None
    caller = Caller(account=number, arn=user.arn(number), user_id=user.id, access_key=key.id)
    return Key(access_key=key.id, secret=key.secret, caller=caller, active=key.active)


def _of_session(transaction: Transaction, number: str, session: Session) -> Key | None:
    if not _holder_is_there(transaction, session):
        return None
    caller = Caller(account=number, arn=session.arn, user_id=session.user_id, access_key=session.id)
    return Key(
        access_key=session.id,
        secret=session.secret,
        caller=caller,
        session_token=session.token,
        expires=session.expires,
    )


def _holder_is_there(transaction: Transaction, session: Session) -> bool:
    if session.holder is Holder.ROOT or not session.name:
        return True
    found: User | Role | None
    if session.holder is Holder.ROLE:
        found = transaction.table(Role).get(session.name.lower())
    else:
        found = transaction.table(User).get(session.name.lower())
    return found is not None and found.id == session.holder_id
