"""Reading secrets: GetSecretValue, BatchGetSecretValue, DescribeSecret.

Owns which version a call means, and the day of the last access. Refuses to let one secret of a batch spoil the others:
each has its value or its error.
"""

from __future__ import annotations

import math
from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.secretsmanager import answers, errors
from tidegate.control.services.secretsmanager.access import Operations, permitted
from tidegate.control.services.secretsmanager.filters import matching
from tidegate.control.services.secretsmanager.paging import Page, paged
from tidegate.control.services.secretsmanager.records import CURRENT, Secret
from tidegate.control.services.secretsmanager.schedule import DAY
from tidegate.control.services.secretsmanager.vault import Vault

BATCH = 20


class Reading(Operations):
    """Operations that only read."""

    def get_secret_value(self, call: Call) -> dict[str, Any]:
        """What one version holds, AWSCURRENT unless another is named."""
        given = call.parameters
        keys = {"secretsmanager:VersionId": "VersionId", "secretsmanager:VersionStage": "VersionStage"}
        vault, secret = self._live(call, {key: given[member] for key, member in keys.items() if member in given})
        return read_value(call, vault, secret, given.get("VersionId"), given.get("VersionStage"))

    def batch_get_secret_value(self, call: Call) -> dict[str, Any]:
        """What the AWSCURRENT versions of up to 20 secrets hold."""
        given = call.parameters
        call.require("secretsmanager:BatchGetSecretValue", "*")
        ids, filters = given.get("SecretIdList", []), given.get("Filters", [])
        if bool(ids) == bool(filters):
            raise errors.invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
        vault = self._vault(call)
        if ids:
            if "MaxResults" in given:
                raise errors.invalid_parameter(
                    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
                )
            return self._batch(call, vault, list(dict.fromkeys(ids)))
        call.require("secretsmanager:ListSecrets", "*")
        secrets = [one for one in vault.all(call.region) if one.purge_at is None and matching(one, filters)]
        page = Page(given.get("NextToken"), given.get("MaxResults", BATCH))
        shown, token = paged(secrets, lambda secret: secret.created, lambda secret: secret.arn, page)
        answer = self._batch(call, vault, [secret.arn for secret in shown])
        return answer if token is None else {**answer, "NextToken": token}

    def describe_secret(self, call: Call) -> dict[str, Any]:
        """All but the value; also of a secret that is scheduled for deletion."""
        _, secret = self._found(call)
        return answers.description(secret, "VersionIdsToStages")

    def _batch(self, call: Call, vault: Vault, ids: list[str]) -> dict[str, Any]:
        values: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for secret_id in ids:
            try:
                secret = permitted(call, vault, secret_id, "secretsmanager:GetSecretValue", {})
                if secret.purge_at is not None:
                    raise errors.marked_deleted()
                values.append(read_value(call, vault, secret, None, None))
            except AwsError as error:
                failed.append({"SecretId": secret_id, "ErrorCode": _code(error), "Message": error.message})
        return {"SecretValues": values, "Errors": failed}


def read_value(call: Call, vault: Vault, secret: Secret, version_id: str | None, label: str | None) -> dict[str, Any]:
    """The answer of GetSecretValue; notes the day of access."""
    chosen = _choose(secret, version_id, label)
    value = vault.value(secret, chosen)
    if value is None:
        raise errors.no_value(f"VersionId: {version_id}" if version_id else f"staging label: {label or CURRENT}")
    _note_access(vault, secret, chosen, call.at)
    return answers.with_value(secret, chosen, value)


def _choose(secret: Secret, version_id: str | None, label: str | None) -> str:
    if version_id is not None:
        version = secret.versions.get(version_id)
        if version is None:
            raise errors.no_value(f"VersionId: {version_id}")
        if label is not None and label not in version.labels:
            raise errors.invalid_request(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return version_id
    found = secret.labelled(label or CURRENT)
    if found is None:
        raise errors.no_value(f"staging label: {label or CURRENT}")
    return found


def _note_access(vault: Vault, secret: Secret, version_id: str, at: float) -> None:
    """Written once a day and version: reading is not to cost a write."""
    day = math.floor(at / DAY) * DAY
    version = secret.versions[version_id]
    if version.accessed == day and secret.accessed == day:
        return
    versions = {**secret.versions, version_id: version.model_copy(update={"accessed": day})}
    vault.save(secret.model_copy(update={"accessed": day, "versions": versions}))


def _code(error: AwsError) -> str:
    """AWS's code for a refusal within a batch, whatever the guard's is."""
    return "AccessDeniedException" if error.code.startswith("AccessDenied") else error.code
