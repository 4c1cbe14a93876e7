"""Who may do what with a secret, and what a caller is told of one that is not there.

Owns the way from a SecretId to a secret that the caller may use, and the condition keys of the service (Service
Authorization Reference, "AWS Secrets Manager"). Refuses to judge (`Call.require`).

Permission is asked first, and a refusal names the SecretId as it was given: whoever may not read a secret does not
learn whether it exists, nor the random end of its ARN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.names import Reference, parse
from tidegate.control.services.secretsmanager.records import Secret
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.services.service import Service
from tidegate.control.services.tag_keys import resource_tags
from tidegate.control.store.sealed import Sealer

SERVICE = "secretsmanager"
UNKNOWN_END = "-??????"
"""Stands for the random end of an ARN where there is none: policies for "NAME-??????" and "NAME-*" match it."""


class Operations(Service):
    """What the groups of operations have in common."""

    name = SERVICE

    def __init__(self, sealer: Sealer) -> None:
        """`sealer`: opens the values of this store."""
        self._sealer = sealer

    def _vault(self, call: Call) -> Vault:
        return Vault(call.transaction, self._sealer)

    def _found(self, call: Call, context: Mapping[str, Any] | None = None, action: str = "") -> tuple[Vault, Secret]:
        """The secret that the call's SecretId names, if the caller may. Scheduled for deletion or not."""
        vault = self._vault(call)
        secret_id = call.parameters["SecretId"]
        return vault, permitted(call, vault, secret_id, action or f"{SERVICE}:{call.operation}", context or {})

    def _live(self, call: Call, context: Mapping[str, Any] | None = None, action: str = "") -> tuple[Vault, Secret]:
        """As `_found`, but AwsError (InvalidRequestException) for a secret that is scheduled for deletion."""
        vault, secret = self._found(call, context, action)
        if secret.purge_at is not None:
            raise errors.marked_deleted()
        return vault, secret


def permitted(call: Call, vault: Vault, secret_id: str, action: str, context: Mapping[str, Any]) -> Secret:
    """The secret of that SecretId. AwsError: access denied before ResourceNotFoundException."""
    reference = parse(secret_id)
    secret = _find(call, vault, reference)
    arn = arn_of(call, reference) if secret is None else secret.arn
    require(call, action, secret_id, arn, {f"{SERVICE}:SecretId": secret_id, **context}, secret)
    if secret is None:
        raise errors.not_found()
    return secret


def require(
    call: Call, action: str, told: str, arn: str, context: Mapping[str, Any], secret: Secret | None = None
) -> None:
    """Ask for permission; a refusal names `told`, which is what the caller has said, in place of the ARN."""
    keys = {**context, **({} if secret is None else keys_of(secret))}
    try:
        call.require(action, arn, keys, None if secret is None else secret.policy_in_force)
    except AwsError as error:
        if arn == told or arn not in error.message:
            raise
        raise AwsError(error.code, error.message.replace(arn, told), error.status, **error.members) from None


def keys_of(secret: Secret) -> dict[str, Any]:
    """Condition keys that come with a secret."""
    keys: dict[str, Any] = {f"{SERVICE}:SecretPrimaryRegion": secret.region}
    if secret.rotation is not None:
        keys[f"{SERVICE}:resource/AllowRotationLambdaArn"] = secret.rotation.function
    return {**keys, **resource_tags(secret.tags, f"{SERVICE}:ResourceTag")}


def arn_of(call: Call, reference: Reference) -> str:
    """The ARN that policies are asked about where there is no such secret."""
    if reference.arn:
        return reference.arn
    resource = f"secret:{reference.name}{UNKNOWN_END}"
    if not reference.region:
        return call.arn(SERVICE, resource)
    return f"arn:{call.partition}:{SERVICE}:{reference.region}:{reference.account}:{resource}"


def _find(call: Call, vault: Vault, reference: Reference) -> Secret | None:
    if (reference.region or call.region) != call.region or (reference.account or call.account) != call.account:
        return None
    secret = vault.by_name(call.region, reference.name)
    if secret is None or (reference.arn and reference.arn != secret.arn):
        return None
    return secret
