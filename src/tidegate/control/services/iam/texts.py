"""Policy documents as they come in: rules, sizes, and whether their principals are there.

Owns IAM's quotas of documents ("IAM and STS quotas"). Refuses the language (`policies`).
"""

from __future__ import annotations

from tidegate.control.policies.arns import account_of
from tidegate.control.policies.rules import PolicyKind, check, principals_of, size
from tidegate.control.policies.syntax import PolicyProblem, Raw
from tidegate.control.services.iam.errors import limit_exceeded, malformed_policy, quota
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


def trust_document(transaction: Transaction, account: str, text: str) -> str:
    """A role's trust policy, checked: principals of this account must be there, as in AWS."""
    if size(text) > TRUST_SIZE:
        raise quota("ACLSizePerRole", TRUST_SIZE)
    document = _check(text, PolicyKind.TRUST)
    for form, name in principals_of(document):
        if not _is_principal(transaction, account, form, name):
            raise malformed_policy(f'Invalid principal in policy: "{form}":"{name}"')
    return text


def _check(text: str, kind: PolicyKind) -> Raw:
    try:
        return check(text, kind)
    except PolicyProblem as problem:
        raise malformed_policy(problem.message) from None


def _is_principal(transaction: Transaction, account: str, form: str, name: str) -> bool:
    if form == "Service":
        return "." in name and "*" not in name
    if form != "AWS":
        return bool(name) and name != "*"
    if name == "*" or (name.isascii() and name.isdigit() and len(name) == 12):
        return True
    owner = account_of(name)
    if not (owner.isdigit() and len(owner) == 12):
        return False
    resource = name.split(":", 5)[5]
    kind, _, path = resource.partition("/")
    if resource == "root" or owner != account:
        return resource == "root" or (bool(path) and "*" not in path)
    if kind in ("assumed-role", "federated-user"):
        return bool(path) and "*" not in path
    return _is_entity(transaction, account, name, kind, path)


def _is_entity(transaction: Transaction, account: str, arn: str, kind: str, path: str) -> bool:
    key = path.rpartition("/")[2].lower()
    records: dict[str, type[Policied]] = {"user": User, "role": Role}
    if kind not in records:
        return False
    found = transaction.table(records[kind]).get(key)
    return found is not None and found.arn(account) == arn
