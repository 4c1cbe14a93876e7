"""Principals that stored policies name: users and roles by their unique ids, as AWS keeps them.

Owns whether a principal is there, its id, and what is shown of a policy later on: the ARN that its principal has then,
or the bare id once it is gone (IAM User Guide, "AWS JSON policy elements: Principal"). So a user or role that is made
anew with a name that a policy knows is somebody else to that policy. Refuses the errors that operations answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.control.policies.arns import account_of
from tidegate.control.policies.rules import principals_of, with_principals
from tidegate.control.policies.syntax import Raw
from tidegate.control.services.iam.records import Role, User
from tidegate.control.store.store import Transaction

Entities = Mapping[str, type[User] | type[Role]]
IN_ARNS: Entities = {"user": User, "role": Role}


def invalid_principal(transaction: Transaction, account: str, document: Raw) -> tuple[str, str] | None:
    """Form and name of the first principal that can't be one; those of this account must be there."""
    return next(
        ((form, name) for form, name in principals_of(document) if not _is_principal(transaction, account, form, name)),
        None,
    )


def unique_ids(transaction: Transaction, account: str, document: Raw) -> dict[str, str]:
    """ARN -> unique id of the users and roles of this account that a document names."""
    found = {name: _entity(transaction, account, name) for form, name in principals_of(document) if form == "AWS"}
    return {name: entity.id for name, entity in found.items() if entity is not None}


def as_shown(transaction: Transaction, account: str, text: str, ids: Mapping[str, str]) -> str:
    """A policy's text as it is told now. ids: of when it was saved; as long as nobody has changed, the text as it was.

    A user that was renamed or moved has the policy still, by its new ARN.
    """
    changed: dict[str, str] = {}
    for arn, unique_id in ids.items():
        entity = _entity(transaction, account, arn)
        if entity is None or entity.id != unique_id:
            changed[arn] = _arn_of(transaction, account, unique_id) or unique_id
    return with_principals(text, changed)


def role_as_shown(transaction: Transaction, account: str, role: Role) -> Role:
    """The role with its trust policy as it is told now."""
    return role.model_copy(update={"trust": as_shown(transaction, account, role.trust, role.trust_ids)})


def _arn_of(transaction: Transaction, account: str, unique_id: str) -> str | None:
    # Roles can be neither renamed nor moved.
    return next((user.arn(account) for user in transaction.table(User).all() if user.id == unique_id), None)


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
    return _entity(transaction, account, name) is not None


def _entity(transaction: Transaction, account: str, arn: str) -> User | Role | None:
    """The user or role of that ARN, path included."""
    kind, _, path = arn.rpartition(":")[2].partition("/")
    record = IN_ARNS.get(kind)
    found = transaction.table(record).get(path.rpartition("/")[2].lower()) if record else None
    return found if found is not None and found.arn(account) == arn else None
