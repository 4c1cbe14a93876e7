"""Which credentials a proxy has: its role's policies decide, each time the desired state is made.

Owns the order of the questions: does the role trust RDS, may it read the secret, what does the secret say. Refuses to
keep answers: a policy that is revoked shuts the next login out; and to make sessions of the role (`role_sessions`).

RDS User Guide, "Configuring IAM policies for RDS Proxy": the role trusts rds.amazonaws.com and is allowed
secretsmanager:GetSecretValue. With end-to-end IAM it signs tokens for the database, and rds-db:connect is asked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.auth.rds_token import SigningKeys
from tidegate.control.desired.role_sessions import RoleSessions
from tidegate.control.errors import AwsError
from tidegate.control.services.iam.roles import find_role, role_may, trusts_service
from tidegate.control.services.secretsmanager.access import keys_of
from tidegate.control.services.secretsmanager.credentials import CredentialsError, credentials_of, secret_at
from tidegate.control.services.secretsmanager.records import CURRENT, Secret
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.sealed import Sealer, UnsealError
from tidegate.control.store.store import Transaction

SERVICE = "rds.amazonaws.com"
ACTION = "secretsmanager:GetSecretValue"


@dataclass(frozen=True, slots=True)
class Login:
    """A database user and all passwords that may be valid for it, the likeliest first."""

    name: str
    passwords: tuple[str, ...] = field(repr=False)


class NoCredentialsError(Exception):
    """A proxy can't have a secret's or its role's credentials; the text says why, and nothing of a secret's value."""


class Credentials(Protocol):
    """Where a proxy's credentials come from."""

    def of_secret(
        self, transaction: Transaction, *, role_arn: str, secret_arn: str, proxy_arn: str, at: float
    ) -> Sequence[Login]:
        """The users of a secret, for a proxy with that role. NoCredentialsError if it has none."""

    def of_role(self, transaction: Transaction, *, role_arn: str, proxy_arn: str, at: float) -> SigningKeys:
        """Keys of a session of the role: the same until they are to expire. NoCredentialsError if it has none."""


class RoleCredentials:
    """By our own IAM and Secrets Manager."""

    def __init__(self, sealer: Sealer, *, account: str, region: str) -> None:
        """sealer: of secrets' values."""
        self._sealer = sealer
        self._account = account
        self._region = region
        self._sessions = RoleSessions(account=account, region=region)

    def of_secret(
        self, transaction: Transaction, *, role_arn: str, secret_arn: str, proxy_arn: str, at: float
    ) -> Sequence[Login]:
        """See Credentials. Two users where the secret's rotation alternates between them."""
        self._check_trust(transaction, role_arn, proxy_arn, at)
        secret = secret_at(Vault(transaction, self._sealer), secret_arn)
        self._check_leave(transaction, role_arn, secret_arn, secret, at)
        try:
            found = credentials_of(transaction, self._sealer, secret_arn)
        except CredentialsError as error:
            raise NoCredentialsError(f"{secret_arn}: {error}") from None
        except (AwsError, UnsealError):
            raise NoCredentialsError(f"{secret_arn}: its value can't be decrypted") from None
        logins = [Login(found.username, found.passwords)]
        if found.alternate is not None:
            logins.append(Login(found.alternate.username, found.alternate.passwords))
        return logins

    def of_role(self, transaction: Transaction, *, role_arn: str, proxy_arn: str, at: float) -> SigningKeys:
        """See Credentials."""
        self._check_trust(transaction, role_arn, proxy_arn, at)
        role = find_role(transaction, self._account, role_arn)
        assert role is not None, "a role that trusts a service, and is not there"
        try:
            return self._sessions.keys(transaction, role, proxy_arn=proxy_arn, at=at)
        except AwsError as error:
            raise NoCredentialsError(f"no session of the role {role_arn} can be made: {error.message}") from None

    def _check_trust(self, transaction: Transaction, role_arn: str, proxy_arn: str, at: float) -> None:
        trusted = trusts_service(
            transaction, role_arn, SERVICE, at=at, account=self._account, region=self._region, source_arn=proxy_arn
        )
        if not trusted:
            raise NoCredentialsError(f"the role {role_arn} does not exist or does not trust {SERVICE}")

    def _check_leave(
        self, transaction: Transaction, role_arn: str, secret_arn: str, secret: Secret | None, at: float
    ) -> None:
        """Asked before anything is told of the secret, its absence included."""
        decision = role_may(
            transaction,
            role_arn,
            ACTION,
            secret.arn if secret else secret_arn,
            at=at,
            account=self._account,
            region=self._region,
            context={
                "secretsmanager:SecretId": secret_arn,
                "secretsmanager:VersionStage": CURRENT,
                **(keys_of(secret) if secret else {}),
            },
            resource_policy=secret.policy_in_force if secret else None,
        )
        if not decision.allowed:
            raise NoCredentialsError(f"the role {role_arn} is not allowed {ACTION} on {secret_arn} {decision.reason}")
