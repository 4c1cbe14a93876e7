"""Allow or deny: what all policies that matter to a request come to.

Owns AWS's evaluation logic within one account and across two (IAM User Guide, "Policy evaluation logic"), and its words
for a refusal ("Troubleshoot access denied error messages"). Refuses to know who has which policy (`services/iam`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.control.policies.documents import Policy, Request
from tidegate.control.policies.principals import Named

IDENTITY, RESOURCE, BOUNDARY, SESSION = (
    "identity-based policy",
    "resource-based policy",
    "permissions boundary",
    "session policy",
)
TRUST = "role trust policy"


@dataclass(frozen=True, slots=True)
class Source:
    """A policy with where it comes from, for those who ask what has decided (SimulatePrincipalPolicy)."""

    policy: Policy
    name: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The policies that a request is judged by.

    boundary: None if the caller has none; session: None if the caller's session was made without policies, and then
    limits nothing.
    """

    identity: tuple[Source, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """reason: the end of AWS's sentence that begins "User: ... is not authorized to perform: ..."."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    """Whether a statement says Deny; if not, nothing says Allow."""
    matched: tuple[Source, ...] = ()
    """The policies that decided."""
    within_boundary: bool = True
    """Whether the permissions boundary, if there is one, would allow it."""


def decide(
    request: Request,
    policies: InForce,
    *,
    resource: Policy | None = None,
    other_account: bool = False,
    trust: bool = False,
) -> Decision:
    """Judge a request.

    resource: the policy that hangs on the resource; other_account: whether the resource belongs to another account than
    the caller, and so both must allow it; trust: whether `resource` is a role's trust policy, which must allow it too.
    """
    hanging = Source(resource, kind="resource") if resource else None
    denied = _denied(request, policies, hanging, trust)
    if denied:
        return denied
    named = _allows(request, resource) if resource else Named.NOT
    by_resource = (hanging,) if hanging and named is not Named.NOT else ()
    if named is Named.NOT and (trust or other_account):
        return _nothing(request, TRUST if trust else RESOURCE)
    if request.principal.root or (named is Named.DIRECTLY and not other_account):
        return Decision(True, matched=by_resource)
    granted = named is Named.LIMITED and not other_account
    identity = tuple(source for source in policies.identity if _allows(request, source.policy))
    if not identity and not granted:
        return _nothing(request, IDENTITY, within_boundary=_within(request, policies.boundary))
    if not _within(request, policies.boundary):
        return _nothing(request, BOUNDARY, within_boundary=False)
    if policies.session is not None and not any(_allows(request, policy) for policy in policies.session):
        return _nothing(request, SESSION)
    return Decision(True, matched=(*identity, *by_resource))


def _denied(request: Request, policies: InForce, hanging: Source | None, trust: bool) -> Decision | None:
    groups: tuple[tuple[str, Iterable[Source]], ...] = (
        (IDENTITY, policies.identity),
        (TRUST if trust else RESOURCE, (hanging,) if hanging else ()),
        (BOUNDARY, (Source(policies.boundary),) if policies.boundary else ()),
        (SESSION, (Source(policy) for policy in policies.session or ())),
    )
    for kind, sources in groups:
        found = tuple(source for source in sources if _says(request, source.policy, allows=False))
        if found:
            article = {IDENTITY: "an", TRUST: "the"}.get(kind, "a")
            return Decision(
                False,
                f"with an explicit deny in {article} {kind}",
                denied=True,
                matched=found,
                within_boundary=kind != BOUNDARY,
            )
    return None


def _nothing(request: Request, kind: str, *, within_boundary: bool = True) -> Decision:
    return Decision(False, f"because no {kind} allows the {request.action} action", within_boundary=within_boundary)


def _within(request: Request, boundary: Policy | None) -> bool:
    return boundary is None or _allows(request, boundary) is not Named.NOT


def _allows(request: Request, policy: Policy) -> Named:
    return _says(request, policy, allows=True)


def _says(request: Request, policy: Policy, *, allows: bool) -> Named:
    return max(
        (statement.names(request) for statement in policy.statements if statement.allows is allows), default=Named.NOT
    )
