"""Bounds of the models, told in the words of each service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.control import Front, error_of
from tests.unit.control.api.test_parameters import PROXY


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


ONE = "1 validation error detected: "


@pytest.mark.parametrize(
    ("operation", "body", "told"),
    [
        (
            "GetSecretValue",
            {},
            ONE + "Value null at 'secretId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "GetSecretValue",
            {"SecretId": ""},
            ONE + "Value '' at 'secretId' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "GetSecretValue",
            {"SecretId": "x" * 2049},
            ONE + f"Value '{'x' * 256}...' at 'secretId' failed to satisfy constraint: "
            "Member must have length less than or equal to 2048",
        ),
        (
            "ListSecrets",
            {"MaxResults": 101},
            ONE + "Value '101' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
        (
            "ListSecrets",
            {"SortOrder": "up", "Filters": [{"Key": "x"}]},
            "2 validation errors detected: Value 'x' at 'filters.1.member.key' failed to satisfy constraint: Member "
            "must satisfy enum value set: [description, name, tag-key, tag-value, primary-region, owning-service, "
            "all]; "
            "Value 'up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]",
        ),
        (
            "ListSecrets",
            {"Filters": [{"Key": "name", "Values": ["a\n"]}]},
            ONE + "Value 'a\n' at 'filters.1.member.values.1.member' failed to satisfy constraint: Member must satisfy "
            r"regular expression pattern: ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$",
        ),
        (
            "CreateSecret",
            {"Name": "n", "SecretString": ""},
            ONE + "Value at 'secretString' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "CreateSecret",
            {"Name": "n", "SecretString": "canary" * 20000},
            ONE + "Value at 'secretString' failed to satisfy constraint: "
            "Member must have length less than or equal to 65536",
        ),
    ],
)
def test_json_services(front: Front, operation: str, body: Any, told: str) -> None:
    assert error_of(front.json(operation, body)) == (400, "ValidationException", told)
    assert front.secrets.calls == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, ONE + "Value null at 'userName' failed to satisfy constraint: Member must not be null"),
        (
            {"UserName": "a b"},
            ONE + "Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression "
            r"pattern: [\w+=,.@-]+",
        ),
        (
            {"UserName": "é"},
            ONE + "Value 'é' at 'userName' failed to satisfy constraint: Member must satisfy regular expression "
            r"pattern: [\w+=,.@-]+",
        ),
        (
            {"UserName": "a", "Tags.member.1.Key": "", "Tags.member.1.Value": "€"},
            "3 validation errors detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must "
            "have length greater than or equal to 1; Value '' at 'tags.1.member.key' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+; "
            "Value '€' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression "
            r"pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*",
        ),
    ],
)
def test_iam(front: Front, parameters: dict[str, str], told: str) -> None:
    assert error_of(front.query("iam", "CreateUser", parameters)) == (400, "ValidationError", told)


def test_letters_of_all_the_world_in_tags(front: Front) -> None:
    tags = {"Tags.member.1.Key": "Größe 日本 Ж٣", "Tags.member.1.Value": ""}
    assert front.query("iam", "CreateUser", {"UserName": "a", **tags}).status == 200


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"DBProxyName": None}, ("MissingParameter", "The request must contain the parameter DBProxyName")),
        (
            {"Tags.Tag.1.Value": "v", "VpcSubnetIds.member.1": None, "EngineFamily": "ORACLE"},
            ("MissingParameter", "The request must contain the parameter VpcSubnetIds"),
        ),
        (
            {"EngineFamily": "ORACLE"},
            (
                "InvalidParameterValue",
                "Value (ORACLE) for parameter EngineFamily is invalid. "
                "Member must satisfy enum value set: [MYSQL, POSTGRESQL, SQLSERVER]",
            ),
        ),
        (
            {"DBProxyName": "-a"},
            (
                "InvalidParameterValue",
                "Value (-a) for parameter DBProxyName is invalid. "
                "Member must satisfy regular expression pattern: [a-zA-Z](?:-?[a-zA-Z0-9]+)*",
            ),
        ),
        (
            {"Auth.member.1.IAMAuth": "MAYBE"},
            (
                "InvalidParameterValue",
                "Value (MAYBE) for parameter Auth.1.member.IAMAuth is invalid. "
                "Member must satisfy enum value set: [DISABLED, REQUIRED, ENABLED]",
            ),
        ),
    ],
)
def test_rds(front: Front, changed: dict[str, str | None], expected: tuple[str, str]) -> None:
    given = {name: value for name, value in (PROXY | changed).items() if value is not None}
    assert error_of(front.query("rds", "CreateDBProxy", given)) == (400, *expected)


def test_no_more_than_ten_problems_are_told(front: Front) -> None:
    answer = front.json("CreateSecret", {"Tags": [{"Key": ""}] * 30})
    assert error_of(answer)[2].startswith("10 validation errors detected: Value null at 'name'")
