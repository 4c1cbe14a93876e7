"""Rotation functions: the ones that are built in, and which of them a secret calls for.

Owns their ARNs. AWS wants a Lambda function of one's own, made from its templates; what the two templates for
PostgreSQL do is built in here, under ARNs that no function of a user can have (an extension of ours, docs/aws.md).
Refuses functions that are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import errors

PREFIX = "function:tidegate-rotation-postgresql-"
ENGINES = ("postgres", "aurora-postgresql")
"""What the key "engine" of a PostgreSQL secret says."""


class Strategy(StrEnum):
    """How a password is replaced (User Guide, "Lambda function rotation strategies")."""

    SINGLE_USER = "single-user"
    """The user's own password changes."""
    MULTI_USER = "multi-user"
    """Two users take turns; a master user's secret changes their passwords."""


def strategy_of(function: str) -> Strategy | None:
    """What the function of that ARN does; None if it is not built in."""
    return next((one for one in Strategy if function.endswith(PREFIX + one.value)), None)


def chosen(call: Call, given: str | None, kept: str | None, fields: Mapping[str, Any] | None) -> str:
    """The function to rotate with: the one given, else the one that the secret has, else what its value calls for.

    fields: the secret's JSON; None if it is none. AwsError: ResourceNotFoundException for a function that is not
    there, InvalidRequestException if there is none to be used.
    """
    if given:
        if given not in {_arn(call, one) for one in Strategy}:
            raise errors.no_function()
        return given
    if kept:
        return kept
    strategy = None if fields is None else _called_for(fields)
    if strategy is None:
        raise errors.invalid_request("No Lambda rotation function ARN is associated with this secret.")
    return _arn(call, strategy)


def _arn(call: Call, strategy: Strategy) -> str:
    return call.arn("lambda", PREFIX + strategy.value)


def _called_for(fields: Mapping[str, Any]) -> Strategy | None:
    if fields.get("engine") not in ENGINES or not all(fields.get(key) for key in ("host", "username", "password")):
        return None
    return Strategy.MULTI_USER if fields.get("masterarn") else Strategy.SINGLE_USER
