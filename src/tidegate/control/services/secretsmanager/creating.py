"""New secrets and new values: CreateSecret, PutSecretValue, UpdateSecret.

Owns the rules of ClientRequestToken, which is the new version's id: the same token with the same content is the same
call again, with other content it is refused. Refuses replication: there is one region's worth of secrets here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import answers, errors, names
from tidegate.control.services.secretsmanager.access import Operations, arn_of, require
from tidegate.control.services.secretsmanager.names import Reference
from tidegate.control.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Secret
from tidegate.control.services.secretsmanager.rotation_address import follow_value
from tidegate.control.services.secretsmanager.tags import read_tags
from tidegate.control.services.secretsmanager.vault import Value, Vault
from tidegate.control.services.tag_keys import request_tags

DEFAULT_KEYS = ("alias/aws/secretsmanager", "aws/secretsmanager")
"""AWS's own key, which answers do not mention."""


class Creating(Operations):
    """Operations that make versions."""

    def create_secret(self, call: Call) -> dict[str, Any]:
        """A secret, with a first version if there is a value."""
        given = call.parameters
        names.check_name(given["Name"])
        tags = read_tags(given.get("Tags", ()))
        self._require_create(call, tags)
        _refuse_other_kinds(given)
        token, value = _token(given), _value(given)
        vault = self._vault(call)
        existing = vault.by_name(call.region, given["Name"])
        if existing is not None:
            return _same_again(vault, existing, token, value)
        secret = vault.save(
            Secret(
                region=call.region,
                name=given["Name"],
                arn=call.arn("secretsmanager", f"secret:{given['Name']}-{names.new_suffix()}"),
                description=given.get("Description", ""),
                kms_key_id=_key_id(given),
                tags=tags,
                created=call.at,
                changed=call.at,
            )
        )
        if value is None:
            return answers.identity(secret)
        vault.add_version(secret, token, value, (CURRENT,), call.at)
        return {**answers.identity(secret), "VersionId": token}

    def put_secret_value(self, call: Call) -> dict[str, Any]:
        """A new version with labels, AWSCURRENT unless others are given."""
        given = call.parameters
        labels = given.get("VersionStages") or (CURRENT,)
        vault, secret = self._live(call, {"secretsmanager:VersionStage": list(labels)})
        token, value = _token(given), _value(given)
        if value is None:
            raise errors.invalid_request("You must provide either SecretString or SecretBinary.")
        if not _is_there(vault, secret, token, value):
            grown = vault.add_version(secret, token, value, labels, call.at)
            secret = follow_value(call, vault, secret, grown)
        stages = list(secret.versions[token].labels)
        return answers.without_nothing({**answers.identity(secret), "VersionId": token, "VersionStages": stages})

    def update_secret(self, call: Call) -> dict[str, Any]:
        """Other properties, and a new AWSCURRENT version if there is a value."""
        given = call.parameters
        vault, secret = self._live(call, _properties(given))
        _refuse_other_kinds(given)
        token, value = _token(given), _value(given)
        again = value is not None and _is_there(vault, secret, token, value)
        changes: dict[str, Any] = {"changed": call.at}
        if "Description" in given:
            changes["description"] = given["Description"]
        if "KmsKeyId" in given:
            changes |= _with_key(secret, _key_id(given))
        secret = vault.save(secret.model_copy(update=changes))
        if value is None:
            return answers.identity(secret)
        if not again:
            follow_value(call, vault, secret, vault.add_version(secret, token, value, (CURRENT,), call.at))
        return {**answers.identity(secret), "VersionId": token}

    def _require_create(self, call: Call, tags: Mapping[str, str]) -> None:
        name = call.parameters["Name"]
        arn = arn_of(call, Reference(name, name))
        context = {"secretsmanager:Name": name, **_properties(call.parameters)}
        if not tags:
            require(call, "secretsmanager:CreateSecret", name, arn, context)
            return
        context = {**context, **request_tags(tags)}
        for action in ("secretsmanager:CreateSecret", "secretsmanager:TagResource"):
            require(call, action, name, arn, context)


def _properties(given: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"secretsmanager:Description": "Description", "secretsmanager:KmsKeyId": "KmsKeyId"}
    found = {key: given[member] for key, member in keys.items() if member in given}
    if str(given.get("KmsKeyId", "")).startswith("arn:"):
        found["secretsmanager:KmsKeyArn"] = given["KmsKeyId"]
    return found


def _refuse_other_kinds(given: Mapping[str, Any]) -> None:
    if given.get("AddReplicaRegions"):
        raise errors.invalid_parameter("Invalid replica region.")
    if given.get("CrossAccountPrimaryARN"):
        raise errors.invalid_parameter("Cross-account replica secrets are not available.")
    if given.get("Type"):
        raise errors.invalid_parameter(f"The secret type {given['Type']} is not available.")


def _token(given: Mapping[str, Any]) -> str:
    token = given.get("ClientRequestToken")
    if not token:
        raise errors.invalid_request(errors.NO_TOKEN)
    return str(token)


def _value(given: Mapping[str, Any]) -> Value | None:
    text, octets = given.get("SecretString"), given.get("SecretBinary")
    if text is not None and octets is not None:
        raise errors.invalid_parameter(
            "You can't specify both a binary secret value and a string secret value in the same secret."
        )
    if text is not None:
        return Value.of_text(text)
    return None if octets is None else Value.of_bytes(bytes(octets))


def _key_id(given: Mapping[str, Any]) -> str:
    key = str(given.get("KmsKeyId", ""))
    return "" if key in DEFAULT_KEYS else key


def _with_key(secret: Secret, key: str) -> dict[str, Any]:
    """Another key is for the versions that are in use, too (API reference, UpdateSecret, KmsKeyId)."""
    in_use = {CURRENT, PENDING, PREVIOUS}
    versions = {
        id_: version.model_copy(update={"kms_key_id": key}) if in_use.intersection(version.labels) else version
        for id_, version in secret.versions.items()
    }
    return {"kms_key_id": key, "versions": versions}


def _same_again(vault: Vault, existing: Secret, token: str, value: Value | None) -> dict[str, Any]:
    """What CreateSecret answers for a name that is taken."""
    if existing.purge_at is not None:
        raise errors.invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    if value is None or token not in existing.versions:
        raise errors.exists(existing.name)
    if vault.value(existing, token) != value:
        raise errors.token_in_use(token, existing.arn)
    return {**answers.identity(existing), "VersionId": token}


def _is_there(vault: Vault, secret: Secret, token: str, value: Value) -> bool:
    """Whether that version holds that already. An empty one is there to be filled: a rotation has begun it."""
    version = secret.versions.get(token)
    if version is None or version.content is None:
        return False
    if vault.value(secret, token) != value:
        raise errors.token_in_use(token, secret.arn)
    return True
