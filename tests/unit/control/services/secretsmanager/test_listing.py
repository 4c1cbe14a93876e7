"""ListSecrets and ListSecretVersionIds: filters, order, pages."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.control.services.secretsmanager.desk import Desk
from tidegate.control.services.secretsmanager.paging import Page, paged

SECRETS: dict[str, dict[str, Any]] = {
    "DatabaseSecret": {"Description": "My first database", "Tags": [{"Key": "Stage", "Value": "Prod"}]},
    "databaseSecret": {"Description": "basic description of mine", "Tags": [{"Key": "stage", "Value": "dev"}]},
    "web/api-key": {"Description": "", "Tags": [{"Key": "Team", "Value": "WebShop"}]},
}


def names(desk: Desk, **parameters: Any) -> list[str]:
    return [entry["Name"] for entry in desk("list_secrets", **parameters)["SecretList"]]


@pytest.fixture
def full(desk: Desk) -> Desk:
    for name, parameters in SECRETS.items():
        desk.at += 1
        desk.create(name, **parameters)
    return desk


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [
        ("name", ["Data"], [0]),
        ("name", ["data", "web/"], [1, 2]),
        ("name", ["Secret"], []),
        ("name", ["!Data"], [1, 2]),
        ("name", ["!Data", "!data"], [2]),
        ("name", ["data", "!databaseS"], []),
        ("name", ["!"], []),
        ("description", ["my"], [0]),
        ("description", ["DESC MINE"], [1]),
        ("description", ["database", "basic"], [0, 1]),
        ("description", ["escription"], []),
        ("description", ["!my"], [1, 2]),
        ("tag-key", ["Sta"], [0]),
        ("tag-key", ["sta"], [1]),
        ("tag-value", ["Web"], [2]),
        ("tag-value", ["web"], []),
        ("primary-region", ["eu-central-1"], []),
        ("owning-service", ["rds"], []),
        ("owning-service", ["!rds"], [0, 1, 2]),
        ("all", ["prod"], [0]),
        ("all", ["shop"], [2]),
        ("all", ["web api"], [2]),
        ("all", ["databasesecret"], [0, 1]),
        ("all", ["!database"], [2]),
        ("all", [""], []),
    ],
)
def test_filters(full: Desk, key: str, values: list[str], found: list[int]) -> None:
    assert names(full, Filters=[{"Key": key, "Values": values}]) == [list(SECRETS)[index] for index in found]


def test_all_filters_must_match(full: Desk) -> None:
    filters = [{"Key": "description", "Values": ["my", "basic"]}, {"Key": "tag-value", "Values": ["dev"]}]
    assert names(full, Filters=filters) == ["databaseSecret"]


@pytest.mark.parametrize("one", [{"Key": "color", "Values": ["x"]}, {"Key": "name", "Values": []}, {"Values": ["x"]}])
def test_filters_that_are_none(full: Desk, one: dict[str, Any]) -> None:
    assert full.refused("list_secrets", Filters=[one])[0] == "InvalidParameterException"


def test_an_entry_has_no_value_and_its_versions_labels(full: Desk) -> None:
    entry = full("list_secrets")["SecretList"][0]
    described = full("describe_secret", SecretId="DatabaseSecret")
    described["SecretVersionsToStages"] = described.pop("VersionIdsToStages")
    assert entry == described


def test_order(full: Desk) -> None:
    ordered = list(SECRETS)
    full.at += 1
    full("update_secret", SecretId="DatabaseSecret", Description="new")
    full("get_secret_value", SecretId="databaseSecret")
    assert names(full) == ordered
    assert names(full, SortOrder="desc") == ordered[::-1]
    assert names(full, SortBy="name") == sorted(ordered)
    assert names(full, SortBy="last-changed-date", SortOrder="desc")[0] == "DatabaseSecret"
    assert names(full, SortBy="last-accessed-date", SortOrder="desc")[0] == "databaseSecret"


def test_secrets_scheduled_for_deletion_are_shown_if_asked_for(full: Desk) -> None:
    full("delete_secret", SecretId="web/api-key")
    assert "web/api-key" not in names(full)
    assert "web/api-key" in names(full, IncludePlannedDeletion=True)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_show_each_once_though_some_come_and_go(full: Desk, order: str) -> None:
    for number in range(7):
        full.create(f"x{number}")
    whole = names(full, SortBy="name", SortOrder=order)
    seen, token = [], None
    while True:
        more = {} if token is None else {"NextToken": token}
        page = full("list_secrets", SortBy="name", SortOrder=order, MaxResults=3, **more)
        seen += [entry["Name"] for entry in page["SecretList"]]
        token = page.get("NextToken")
        if token is None:
            break
        full("delete_secret", SecretId=seen[-1])
    assert seen == whole


def coded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "ä",
        coded({}),
        coded(["created-date asc", "text", "arn"]),
        coded(["created-date asc", None, "arn"]),
        coded(["name asc", "a", "b"]),
        coded(["created-date desc", 1.0, "b"]),
    ],
)
def test_tokens_that_nobody_was_given(full: Desk, token: str) -> None:
    invalid = ("InvalidNextTokenException", "The NextToken value is invalid.")
    assert full.refused("list_secrets", NextToken=token) == invalid


@given(values=st.lists(st.tuples(st.integers(0, 3), st.text("ab", max_size=4)), unique_by=lambda one: one[1]))
def test_paging_is_a_cut_of_the_sorted_list(values: list[tuple[int, str]]) -> None:
    seen, token = [], None
    for _ in range(len(values) + 1):
        shown, token = paged(values, lambda one: one[0], lambda one: one[1], Page(token, 2))
        seen += shown
        if token is None:
            break
    assert seen == sorted(values)


def test_versions_by_age_with_and_without_labels(desk: Desk) -> None:
    arn = desk.create(KmsKeyId="alias/mine")
    ids = [*desk.labels(arn)]
    for number in range(4):
        desk.at += 1
        ids.append(desk("put_secret_value", SecretId=arn, SecretString=str(number))["VersionId"])
    answer = desk("list_secret_version_ids", SecretId="app")
    assert (answer["ARN"], answer["Name"]) == (arn, "app")
    labelled = [(entry["VersionId"], entry["VersionStages"]) for entry in answer["Versions"]]
    assert labelled == [(ids[3], ["AWSPREVIOUS"]), (ids[4], ["AWSCURRENT"])]
    every = desk("list_secret_version_ids", SecretId="app", IncludeDeprecated=True)["Versions"]
    assert [entry["VersionId"] for entry in every] == ids
    assert "VersionStages" not in every[0]
    desk("update_secret", SecretId=arn, KmsKeyId="alias/aws/secretsmanager")
    changed = desk("list_secret_version_ids", SecretId="app", IncludeDeprecated=True)["Versions"]
    own, default = ["alias/mine"], ["DefaultEncryptionKey"]
    assert [version["KmsKeyIds"] for version in every] == [own] * 5
    assert [version["KmsKeyIds"] for version in changed] == [own] * 3 + [default] * 2
    page = desk("list_secret_version_ids", SecretId="app", MaxResults=1)
    assert [entry["VersionId"] for entry in page["Versions"]] == [ids[3]]
    rest = desk("list_secret_version_ids", SecretId="app", MaxResults=1, NextToken=page["NextToken"])
    assert [entry["VersionId"] for entry in rest["Versions"]] == [ids[4]] and "NextToken" not in rest
