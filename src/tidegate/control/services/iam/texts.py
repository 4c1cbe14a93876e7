"""Policy documents as they come in: rules and sizes, and IAM's words for a principal that is not there.

Owns IAM's quotas of documents ("IAM and STS quotas"). Refuses the language (`policies`), and to know who is there
(`principals`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.policies.rules import PolicyKind, check, size
from tidegate.control.policies.syntax import PolicyProblem, Raw
from tidegate.control.services.iam.errors import limit_exceeded, malformed_policy, quota
from tidegate.control.services.iam.principals import invalid_principal, unique_ids
from tidegate.control.services.iam.records import Group, Policied, Role, User
from tidegate.control.store.store import Transaction

MANAGED_SIZE = 6144
TRUST_SIZE = 2048
SESSION_SIZE = 2048
INLINE_SIZES: dict[type[Policied], int] = {User: 2048, Group: 5120, Role: 10240}
"""Characters without white space; of all inline policies of one user, group or role together."""


def managed_document(text: str) -> str:
    """A managed policy's text, checked."""
    if size(text) > MANAGED_SIZE:
        raise quota("PolicySize", MANAGED_SIZE)
    _check(text, PolicyKind.IDENTITY)
    return text


def with_inline(entity: Policied, name: str, text: str) -> dict[str, str]:
    """The inline policies of an entity, with this one put among them."""
    documents = entity.inline | {name: text}
    limit = INLINE_SIZES[type(entity)]
    if sum(size(document) for document in documents.values()) > limit:
        raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for {entity.noun} {entity.name}")
    _check(text, PolicyKind.IDENTITY)
    return documents


def session_document(text: str) -> str:
    """A session policy's text, checked but for its size, which counts with everything else of the session."""
    _check(text, PolicyKind.IDENTITY)
    return text


def trust_document(transaction: Transaction, account: str, text: str) -> dict[str, Any]:
    """What a Role keeps of its trust policy, checked: principals of this account must be there, as in AWS."""
    if size(text) > TRUST_SIZE:
        raise quota("ACLSizePerRole", TRUST_SIZE)
    document = _check(text, PolicyKind.TRUST)
    invalid = invalid_principal(transaction, account, document)
    if invalid is not None:
        raise malformed_policy('Invalid principal in policy: "{}":"{}"'.format(*invalid))
    return {"trust": text, "trust_ids": unique_ids(transaction, account, document)}


def _check(text: str, kind: PolicyKind) -> Raw:
    try:
        return check(text, kind)
    except PolicyProblem as problem:
        raise malformed_policy(problem.message) from None
