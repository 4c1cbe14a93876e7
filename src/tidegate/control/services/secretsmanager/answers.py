"""Answers: what callers see of a secret.

Owns the shapes that several operations share (botocore's model: DescribeSecretResponse, SecretListEntry,
GetSecretValueResponse). Refuses to decide what may be seen (`access`). What has no value is left out, as AWS does.
"""

from __future__ import annotations

import datetime
from typing import Any

from tidegate.control.services.secretsmanager.records import Rotation, Secret, Version
from tidegate.control.services.secretsmanager.schedule import interval_days
from tidegate.control.services.secretsmanager.vault import Value

DEFAULT_KEY = "DefaultEncryptionKey"
"""What AWS calls its own key in KmsKeyIds."""


def moment(seconds: float | None) -> datetime.datetime | None:
    """A time of the API, from seconds since 1970."""
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def without_nothing(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has no value."""
    return {key: value for key, value in answer.items() if value not in (None, "", [], {})}


def identity(secret: Secret) -> dict[str, Any]:
    """ARN and Name, which nearly every answer has."""
    return {"ARN": secret.arn, "Name": secret.name}


def description(secret: Secret, stages_key: str) -> dict[str, Any]:
    """All but the value. stages_key: VersionIdsToStages of DescribeSecret, SecretVersionsToStages of ListSecrets."""
    stages = {id_: list(version.labels) for id_, version in secret.versions.items() if version.labels}
    answer = {
        **identity(secret),
        "Description": secret.description,
        "KmsKeyId": secret.kms_key_id,
        "LastChangedDate": moment(secret.changed),
        "LastAccessedDate": moment(secret.accessed),
        "DeletedDate": moment(secret.purge_at),
        "Tags": [{"Key": key, "Value": value} for key, value in secret.tags.items()],
        stages_key: stages,
        "CreatedDate": moment(secret.created),
    }
    return {**without_nothing(answer), **({} if secret.rotation is None else _rotation(secret.rotation))}


def _rotation(rotation: Rotation) -> dict[str, Any]:
    rules = {
        "AutomaticallyAfterDays": interval_days(rotation.rules, rotation.opens or 0.0),
        "Duration": f"{rotation.rules.duration}h" if rotation.rules.duration is not None else None,
        "ScheduleExpression": rotation.rules.expression,
    }
    dates = {
        "LastRotatedDate": moment(rotation.rotated),
        "NextRotationDate": moment(rotation.closes),
        "RotationRules": without_nothing(rules),
    }
    return {
        "RotationEnabled": rotation.enabled,
        "RotationLambdaARN": rotation.function,
        **without_nothing(dates),
    }


def with_value(secret: Secret, version_id: str, value: Value) -> dict[str, Any]:
    """A version with what it holds."""
    version = secret.versions[version_id]
    key, content = ("SecretString", value.text) if value.content == "string" else ("SecretBinary", value.octets)
    answer = {
        **identity(secret),
        "VersionId": version_id,
        key: content,
        "VersionStages": list(version.labels),
        "CreatedDate": moment(version.created),
    }
    return without_nothing(answer)


def version_entry(version_id: str, version: Version) -> dict[str, Any]:
    """One of ListSecretVersionIds."""
    answer = {
        "VersionId": version_id,
        "VersionStages": list(version.labels),
        "LastAccessedDate": moment(version.accessed),
        "CreatedDate": moment(version.created),
        "KmsKeyIds": [version.kms_key_id or DEFAULT_KEY],
    }
    return without_nothing(answer)
