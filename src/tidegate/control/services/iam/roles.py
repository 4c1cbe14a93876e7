"""What a service may do in a role's name, and whether the role lets it.

Owns these two questions, which the proxy asks before it reads a secret. Refuses the calls of principals (`guard`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.policies.arns import account_of
from tidegate.control.policies.context import Context
from tidegate.control.policies.decision import Decision, InForce, decide
from tidegate.control.policies.documents import Request, load
from tidegate.control.policies.principals import Principal
from tidegate.control.services.iam.guard import request_context
from tidegate.control.services.iam.identities import of_role
from tidegate.control.services.iam.records import Role
from tidegate.control.store.store import Transaction

SESSION_NAME = "tidegate"
"""What a service's session of a role is called here."""


def find_role(transaction: Transaction, account: str, role_arn: str) -> Role | None:
    """The role of an ARN, path included; of this account, there being no other's roles here."""
    role = transaction.table(Role).get(role_arn.rpartition("/")[2].lower())
    return role if role is not None and role.arn(account) == role_arn else None


def role_may(
    transaction: Transaction,
    role_arn: str,
    action: str,
    resource: str,
    *,
    at: float,
    account: str,
    region: str,
    context: Mapping[str, Any] | None = None,
    resource_policy: str | None = None,
) -> Decision:
    """Whether a session of the role may do this; a role that isn't there may nothing.

    Whether the service gets such a session at all is `trusts_service`. Times are seconds since 1970.
    """
    role = find_role(transaction, account, role_arn)
    if role is None:
        return Decision(False, f"because the role {role_arn} does not exist")
    identity = of_role(transaction, account, role, SESSION_NAME)
    owner = account_of(resource)
    about = request_context(at=at, region=region, source_ip=None, secure=True)
    about["aws:ResourceAccount"] = owner or account
    request = Request(
        principal=identity.principal,
        action=action,
        resource=resource,
        context=Context(context or {}, about, identity.context),
    )
    return decide(
        request,
        identity.policies,
        resource=load(resource_policy) if resource_policy is not None else None,
        other_account=owner.isdigit() and owner != account,
    )


def trusts_service(
    transaction: Transaction,
    role_arn: str,
    service: str,
    *,
    at: float,
    account: str,
    region: str,
    source_arn: str | None = None,
) -> bool:
    """Whether the role's trust policy lets a service assume it: "rds.amazonaws.com".

    source_arn: the resource for which the service asks (aws:SourceArn; aws:SourceAccount is the account).
    """
    role = find_role(transaction, account, role_arn)
    if role is None:
        return False
    about = request_context(at=at, region=region, source_ip=None, secure=True) | {
        "aws:SourceAccount": account,
        "aws:SourceArn": source_arn,
        "aws:PrincipalIsAWSService": True,
        "aws:PrincipalServiceName": service,
        "aws:ResourceAccount": account,
    }
    request = Request(
        principal=Principal.service(service),
        action="sts:AssumeRole",
        resource=role_arn,
        context=Context(about),
    )
    return decide(request, InForce(), resource=load(role.trust_in_force), trust=True).allowed
