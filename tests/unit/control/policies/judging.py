"""Short ways to ask the policy engine in tests."""

from __future__ import annotations

import json
from typing import Any

from tidegate.control.policies.context import Context
from tidegate.control.policies.decision import Decision, InForce, Source, decide
from tidegate.control.policies.documents import Policy, Request, parse
from tidegate.control.policies.principals import Principal

ACCOUNT = "123456789012"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one"

USER = Principal(account=ACCOUNT, arn=ALICE, direct=frozenset({ALICE}))
ROLE_SESSION = Principal(account=ACCOUNT, arn=ROLE, direct=frozenset({SESSION}), limited=frozenset({ROLE}))
ROOT = Principal(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root", root=True)

Raw = dict[str, Any]


def document(*statements: Raw, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def policy(*statements: Raw, version: str = "2012-10-17") -> Policy:
    return parse(document(*statements, version=version))


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> Raw:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> Raw:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def request(action: str, resource: str = "*", context: Raw | None = None, principal: Principal = USER) -> Request:
    return Request(principal=principal, action=action, resource=resource, context=Context(context or {}))


def judged(
    asked: Request,
    *identity: Policy,
    boundary: Policy | None = None,
    session: tuple[Policy, ...] | None = None,
    **more: Any,
) -> Decision:
    policies = InForce(identity=tuple(Source(one) for one in identity), boundary=boundary, session=session)
    return decide(asked, policies, **more)
