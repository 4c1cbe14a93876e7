"""SimulatePrincipalPolicy, SimulateCustomPolicy, and which context keys policies ask for.

Owns how a simulation is asked for and answered. Refuses the decision itself: it is the one that guards real calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tidegate.control.call import Call
from tidegate.control.policies.arns import account_of
from tidegate.control.policies.context import Context
from tidegate.control.policies.decision import Decision, InForce, Source, decide
from tidegate.control.policies.documents import Policy, Request, parse
from tidegate.control.policies.principals import Principal
from tidegate.control.policies.rules import PolicyKind, check
from tidegate.control.policies.syntax import PolicyProblem
from tidegate.control.services.iam.entities import find, missing
from tidegate.control.services.iam.errors import invalid_input
from tidegate.control.services.iam.identities import Identity, of_role, of_user, sources
from tidegate.control.services.iam.keys import root_arn
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.records import Group, Role, User
from tidegate.control.services.iam.roles import SESSION_NAME

MAX_ACTIONS = 1000
"""Questions in one call: actions times resources. The model sets no bound."""
MAX_TEXT = 65_536
"""Characters of all documents that one call gives. Nor does it set a bound to these."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all questions of one call have in common."""

    principal: Principal
    policies: InForce
    context: Context
    resource_policy: Policy | None
    keys: list[str]
    """Context keys that any of the policies asks for."""


class SimulationOperations:
    """Questions about policies."""

    def simulate_custom_policy(self, call: Call) -> dict[str, Any]:
        """SimulateCustomPolicy: of documents that are given."""
        call.require("iam:SimulateCustomPolicy", "*")
        identity = tuple(_given(call, "PolicyInputList"))
        arn = call.parameters.get("CallerArn")
        principal = _caller(arn or root_arn(call.account), call.account)
        return self._simulate(call, Identity(principal, InForce(identity=identity)))

    def simulate_principal_policy(self, call: Call) -> dict[str, Any]:
        """SimulatePrincipalPolicy: of a user, group or role, and documents besides."""
        arn = call.parameters["PolicySourceArn"]
        call.require("iam:SimulatePrincipalPolicy", arn)
        identity = _source(call, arn)
        policies = InForce(
            identity=(*identity.policies.identity, *_given(call, "PolicyInputList")),
            boundary=identity.policies.boundary,
        )
        principal = identity.principal
        if "CallerArn" in call.parameters:
            principal = _caller(call.parameters["CallerArn"], call.account)
        return self._simulate(call, Identity(principal, policies, identity.context))

    def get_context_keys_for_custom_policy(self, call: Call) -> dict[str, Any]:
        """GetContextKeysForCustomPolicy."""
        call.require("iam:GetContextKeysForCustomPolicy", "*")
        return {"ContextKeyNames": _keys(source.policy for source in _given(call, "PolicyInputList"))}

    def get_context_keys_for_principal_policy(self, call: Call) -> dict[str, Any]:
        """GetContextKeysForPrincipalPolicy."""
        arn = call.parameters["PolicySourceArn"]
        call.require("iam:GetContextKeysForPrincipalPolicy", arn)
        attached = _source(call, arn).policies.identity
        return {"ContextKeyNames": _keys(source.policy for source in (*attached, *_given(call, "PolicyInputList")))}

    @staticmethod
    def _simulate(call: Call, identity: Identity) -> dict[str, Any]:
        actions = call.parameters["ActionNames"]
        resources = call.parameters.get("ResourceArns") or ["*"]
        if len(actions) * len(resources) > MAX_ACTIONS:
            raise invalid_input(f"More than {MAX_ACTIONS} combinations of actions and resources.")
        setting = _setting(call, identity)
        questions = {
            f"{number:06d}": question
            for number, question in enumerate((action, resource) for action in actions for resource in resources)
        }
        found, paging = page(call, questions, str)
        return {"EvaluationResults": [_evaluate(setting, *questions[key]) for key in found], **paging}


def _setting(call: Call, identity: Identity) -> _Setting:
    boundaries = [source.policy for source in _given(call, "PermissionsBoundaryPolicyInputList")]
    if len(boundaries) > 1:
        raise invalid_input("Only one permissions boundary policy can be given.")
    boundary = boundaries[0] if boundaries else identity.policies.boundary
    text = call.parameters.get("ResourcePolicy")
    resource_policy = _parsed(text, "ResourcePolicy", PolicyKind.RESOURCE) if text is not None else None
    asked = [source.policy for source in identity.policies.identity]
    asked += [policy for policy in (boundary, resource_policy) if policy is not None]
    return _Setting(
        identity.principal,
        InForce(identity=identity.policies.identity, boundary=boundary),
        Context(identity.context, _entries(call)),
        resource_policy,
        _keys(asked),
    )


def _entries(call: Call) -> dict[str, Any]:
    return {
        entry["ContextKeyName"]: entry.get("ContextKeyValues", [])
        for entry in call.parameters.get("ContextEntries", [])
        if "ContextKeyName" in entry
    }


def _evaluate(setting: _Setting, action: str, resource: str) -> dict[str, Any]:
    request = Request(principal=setting.principal, action=action, resource=resource, context=setting.context)
    decision = decide(request, setting.policies, resource=setting.resource_policy)
    answer: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": _word(decision),
        "MatchedStatements": [
            {"SourcePolicyId": source.name or "ResourcePolicy", "SourcePolicyType": source.kind or "none"}
            for source in decision.matched
        ],
        "MissingContextValues": [key for key in setting.keys if not setting.context.values(key.lower())],
    }
    if setting.policies.boundary is not None:
        answer["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": decision.within_boundary}
    return answer


def _word(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "explicitDeny" if decision.denied else "implicitDeny"


def _given(call: Call, member: str) -> Iterator[Source]:
    if sum(len(text) for text in call.parameters.get(member, [])) > MAX_TEXT:
        raise invalid_input(f"The policies in {member} have more than {MAX_TEXT} characters.")
    for number, text in enumerate(call.parameters.get(member, []), 1):
        yield Source(_parsed(text, f"{member}.{number}", PolicyKind.IDENTITY), f"{member}.{number}", "none")


def _parsed(text: str, member: str, kind: PolicyKind) -> Policy:
    try:
        check(text, kind)
        return parse(text)
    except PolicyProblem as problem:
        raise invalid_input(f"Invalid policy at {member}: {problem.message}") from None


def _source(call: Call, arn: str) -> Identity:
    parts = arn.split(":", 5)
    kind, _, path = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    name = path.rpartition("/")[2]
    transaction, account = call.transaction, call.account
    if kind == "user":
        user = find(transaction, User, name)
        if user is not None and user.arn(account) == arn:
            return of_user(transaction, account, user)
        raise missing(User, name)
    if kind == "role":
        role = find(transaction, Role, name)
        if role is not None and role.arn(account) == arn:
            return of_role(transaction, account, role, SESSION_NAME)
        raise missing(Role, name)
    if kind == "group":
        group = find(transaction, Group, name)
        if group is not None and group.arn(account) == arn:
            return Identity(_caller(arn, account), InForce(identity=tuple(sources(transaction, group))))
        raise missing(Group, name)
    raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")


def _caller(arn: str, account: str) -> Principal:
    owner = account_of(arn) or account
    return Principal(account=owner, arn=arn, direct=frozenset({arn}))


def _keys(policies: Iterable[Policy]) -> list[str]:
    by_meaning = {key.lower(): key for policy in policies for key in sorted(policy.keys)}
    return [by_meaning[key] for key in sorted(by_meaning)]
