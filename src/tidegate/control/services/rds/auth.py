"""Who logs in through a proxy: DefaultAuthScheme and Auth of CreateDBProxy and ModifyDBProxy.

Owns their rules for EngineFamily POSTGRESQL (API reference, "UserAuthConfig"). Refuses secrets' values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.control.services.rds import errors
from tidegate.control.services.rds.parameters import choice
from tidegate.control.services.rds.records import AuthEntry

IAM_AUTH = "IAM_AUTH"
NONE = "NONE"

PASSWORD_TYPES = {"POSTGRES_SCRAM_SHA_256": "scram-sha-256", "POSTGRES_MD5": "md5"}
"""ClientPasswordAuthType, and what the data plane calls it."""

_OTHER_TYPES = ("MYSQL_NATIVE_PASSWORD", "MYSQL_CACHING_SHA2_PASSWORD", "SQL_SERVER_AUTHENTICATION")
_SECRET = re.compile(r"arn:[a-z-]{1,20}:secretsmanager:[a-z0-9-]{1,40}:[0-9]{12}:secret:[\w/+=.@!-]{1,519}", re.ASCII)


def entries_of(given: Sequence[Mapping[str, Any]], most: int) -> tuple[AuthEntry, ...]:
    """Auth of a request. InvalidParameterValue, InvalidParameterCombination."""
    if len(given) > most:
        raise errors.invalid_value(f"A proxy can have at most {most} Auth entries, not {len(given)}.")
    entries = tuple(_entry(entry) for entry in given)
    arns = [entry.secret_arn for entry in entries]
    doubled = next((arn for number, arn in enumerate(arns) if arn in arns[:number]), None)
    if doubled:
        raise errors.invalid_value(f"The secret {doubled} is in more than one Auth entry.")
    return entries


def check_scheme(scheme: str, entries: Sequence[AuthEntry]) -> None:
    """There must be somebody who can log in. InvalidParameterCombination.

    With IAM_AUTH that is every user whom policies allow rds-db:connect; Auth then names those who have a secret.
    """
    if scheme == NONE and not entries:
        raise errors.invalid_combination(
            "If DefaultAuthScheme is NONE or not specified, you must specify the Auth parameter."
        )


def _entry(given: Mapping[str, Any]) -> AuthEntry:
    choice(given, "AuthScheme", ("SECRETS",), "SECRETS")
    return AuthEntry(
        description=_bounded(given, "Description", 1000),
        user_name=_bounded(given, "UserName", 128),
        secret_arn=_secret_arn(given),
        iam_auth=_iam_auth(given),
        client_password_auth_type=_password_type(given),
    )


def _bounded(given: Mapping[str, Any], name: str, most: int) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not 1 <= len(value) <= most or "\0" in value:
        raise errors.invalid_value(f"{name} of an Auth entry has 1 to {most} characters.")
    return str(value)


def _secret_arn(given: Mapping[str, Any]) -> str:
    value = given.get("SecretArn")
    if not value:
        raise errors.invalid_combination("SecretArn must be specified if AuthScheme is SECRETS.")
    if not 20 <= len(value) <= 2048 or not _SECRET.fullmatch(value):
        raise errors.invalid_value(
            f"Invalid value {value!s:.200} for SecretArn: it must be the ARN of a secret in AWS Secrets Manager."
        )
    return str(value)


def _iam_auth(given: Mapping[str, Any]) -> str:
    if given.get("IAMAuth") == "ENABLED":
        raise errors.invalid_value(
            "The IAMAuth value ENABLED is valid only for proxies with RDS for Microsoft SQL Server. "
            "Valid values: DISABLED, REQUIRED."
        )
    return choice(given, "IAMAuth", ("DISABLED", "REQUIRED"), "DISABLED")


def _password_type(given: Mapping[str, Any]) -> str:
    if given.get("ClientPasswordAuthType") in _OTHER_TYPES:
        raise errors.invalid_combination(
            f"ClientPasswordAuthType {given['ClientPasswordAuthType']} is not valid for the engine family POSTGRESQL. "
            f"Valid values: {', '.join(PASSWORD_TYPES)}."
        )
    return choice(given, "ClientPasswordAuthType", tuple(PASSWORD_TYPES), "POSTGRES_SCRAM_SHA_256")
