"""Who calls, and whether a policy's Principal element means them.

Owns the forms of Principal (IAM User Guide, "AWS JSON policy elements: Principal"), and how directly one names a
caller, which decides what else limits them. Refuses the decision itself (`decision`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tidegate.control.policies.arns import account_of

FORMS = ("AWS", "Service", "Federated", "CanonicalUser")
EVERYONE = "*"


class Named(IntEnum):
    """How a statement names a caller; higher is more direct."""

    NOT = 0
    ACCOUNT = 1
    """The caller's account: the account's own policies must allow it too."""
    LIMITED = 2
    """Everyone, or the role of a session: permissions boundary and session policies still limit."""
    DIRECTLY = 3
    """The user, the role session, the service: nothing limits but a deny."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls.

    arn: what aws:PrincipalArn is: of a role's session, the role's; direct: ARNs or service names that name just this
    caller; limited: ARNs that name the caller by what it comes from; root: whether it is the account itself.
    """

    account: str
    arn: str
    direct: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()
    root: bool = False

    @classmethod
    def service(cls, name: str) -> Principal:
        """An AWS service: "rds.amazonaws.com"."""
        return cls(account="", arn="", direct=frozenset({name}))


@dataclass(frozen=True, slots=True)
class Principals:
    """The value of Principal or NotPrincipal."""

    aws: frozenset[str]
    """ARNs, account numbers, unique ids, or `*`."""
    services: frozenset[str]
    others: frozenset[str]
    """Federated identity providers and canonical users: nobody here is one."""

    def names(self, principal: Principal) -> Named:
        """How it names a caller."""
        if principal.direct & (self.aws if principal.account else self.services):
            return Named.DIRECTLY
        if EVERYONE in self.aws or principal.limited & self.aws:
            return Named.LIMITED
        if principal.account and any(_is_account(name, principal.account) for name in self.aws):
            return Named.DIRECTLY if principal.root else Named.ACCOUNT
        return Named.NOT


def _is_account(name: str, account: str) -> bool:
    return name == account or (name.endswith(":root") and account_of(name) == account)
