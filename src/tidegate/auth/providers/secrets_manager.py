"""Passwords from AWS Secrets Manager: JSON with `username` and `password`, as RDS and its proxies have them.

Owns reading a secret and its stages. Refuses to keep it, and to say when to read it again (`proxy.credentials`).
Source: Secrets Manager User Guide, "JSON structure of database secrets", "Rotation".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable

GRACE = 900.0
"""Seconds that the password before the current one is good for, counted from when that was made."""

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"

_ABSENT = ("ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException")
"""What is answered for a stage that no version has, or that the role may not read."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """What a secret says: a user, and passwords that may be valid, the likeliest first."""

    username: str
    passwords: tuple[str, ...] = field(repr=False)


class SecretsManager:
    """Reads secrets; blocking."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def fetch(self, arn: str, now: float) -> SecretValue:
        """The secret's passwords: current, pending while it rotates, previous within its grace.

        Asked for in the order in which a password moves through the stages, so that one whose rotation ends between
        two calls is met at least once. `now`: seconds since 1970. AwsUnavailable says why there are none; it never
        repeats a value.
        """
        pending = self._version(arn, PENDING)
        current = self._version(arn, CURRENT)
        if current is None:
            raise AwsUnavailable(f"secret {arn} has no version {CURRENT}")
        username, password = _read(arn, current)
        passwords = [password]
        previous = self._version(arn, PREVIOUS)
        if now - current["CreatedDate"].timestamp() > GRACE:
            previous = None
        for other in (pending, previous):
            if other is None or other["VersionId"] == current["VersionId"]:
                continue
            try:
                other_name, other_password = _read(arn, other)
            except AwsUnavailable:
                continue  # whoever mends a secret has what was wrong for its previous version
            if other_name == username:  # alternating users: the other version is another user's
                passwords.append(other_password)
        return SecretValue(username, tuple(dict.fromkeys(passwords)))

    def _version(self, arn: str, stage: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._session.client("secretsmanager").get_secret_value(
                SecretId=arn, VersionStage=stage
            )
        except ClientError as error:
            said = error.response["Error"]
            if stage != CURRENT and said["Code"] in _ABSENT:
                return None
            raise AwsUnavailable(f"secret {arn}: {said['Code']}: {said.get('Message', '')}") from None
        except BotoCoreError as error:
            raise AwsUnavailable(f"secret {arn}: {error}") from None
        return found


def _read(arn: str, version: dict[str, Any]) -> tuple[str, str]:
    """User name and password of one version."""
    try:
        value = json.loads(version.get("SecretString") or "")
        username, password = value["username"], value["password"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise AwsUnavailable(f'secret {arn} must be JSON with "username" and "password"') from None
    if not isinstance(username, str) or not isinstance(password, str) or not password or "\0" in username + password:
        raise AwsUnavailable(f'secret {arn}: "username" and "password" must be texts')
    return username, password
