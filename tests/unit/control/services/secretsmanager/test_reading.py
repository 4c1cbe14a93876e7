"""GetSecretValue, BatchGetSecretValue, DescribeSecret: which version, by which name, and who is told what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.control.services.secretsmanager.desk import NOON, PREFIX, Desk
from tidegate.control.services.secretsmanager.records import SecretValue

TOKEN = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
NOT_FOUND = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
DELETED = (
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)


@pytest.mark.parametrize("form", [lambda arn: "app", lambda arn: arn, lambda arn: arn[:-7]])
def test_a_secret_by_name_by_arn_and_by_an_arn_without_its_end(desk: Desk, form: Callable[[str], str]) -> None:
    arn = desk.create("app")
    assert desk("get_secret_value", SecretId=form(arn))["ARN"] == arn


@pytest.mark.parametrize(
    "wrong",
    [
        lambda arn: arn[:-1] + ("a" if arn[-1] != "a" else "b"),
        lambda arn: arn[:-3],
        lambda arn: arn.replace("123456789012", "999999999999"),
        lambda arn: arn.replace("eu-central-1", "us-east-1"),
        lambda arn: "app2",
    ],
)
def test_what_is_nearly_its_arn_is_not(desk: Desk, wrong: Callable[[str], str]) -> None:
    assert desk.refused("get_secret_value", SecretId=wrong(desk.create("app"))) == NOT_FOUND


def test_a_name_that_ends_like_an_arn_is_not_found_by_a_partial_arn(desk: Desk) -> None:
    """As AWS warns of (API reference, CreateSecret)."""
    arn = desk.create("app-a1b2c3")
    assert desk("get_secret_value", SecretId="app-a1b2c3")["ARN"] == arn
    assert desk.refused("get_secret_value", SecretId=PREFIX + "app-a1b2c3") == NOT_FOUND


@pytest.mark.parametrize(
    "bad",
    [
        "a b",
        "arn:aws:s3:::b",
        "arn:aws:s3:eu-central-1:123456789012:secret:app-abcdef",
        "arn:aws:secretsmanager:eu-central-1:1:secret:",
        "arn:",
    ],
)
def test_what_names_no_secret(desk: Desk, bad: str) -> None:
    assert desk.refused("get_secret_value", SecretId=bad)[0] == "ValidationException"


def test_versions_by_id_and_label(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    desk("put_secret_value", SecretId=arn, SecretString="v2", ClientRequestToken=OTHER)

    def text(**which: str) -> str:
        return str(desk("get_secret_value", SecretId=arn, **which)["SecretString"])

    assert text() == text(VersionStage="AWSCURRENT") == text(VersionId=OTHER) == "v2"
    assert text(VersionStage="AWSPREVIOUS", VersionId=TOKEN) == "v1"
    assert desk.refused("get_secret_value", SecretId=arn, VersionId=TOKEN, VersionStage="AWSCURRENT") == (
        "InvalidRequestException",
        "You provided a VersionStage that is not associated to the provided VersionId.",
    )
    assert desk.refused("get_secret_value", SecretId=arn, VersionStage="AWSPENDING") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING",
    )


def test_the_last_access_is_a_day_and_costs_one_write_a_day(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    assert "LastAccessedDate" not in desk("describe_secret", SecretId=arn)
    for written in ({"secret"}, set()):
        desk("get_secret_value", SecretId=arn)
        assert desk.written == written
        desk.at += 60
    day = desk("describe_secret", SecretId=arn)["LastAccessedDate"]
    assert day.timestamp() == NOON - 12 * 3600
    (version,) = desk("list_secret_version_ids", SecretId=arn)["Versions"]
    assert version["LastAccessedDate"] == day
    assert desk("describe_secret", SecretId=arn)["LastChangedDate"].timestamp() == NOON
    desk.at += 86_400
    desk("get_secret_value", SecretId=arn)
    assert desk("describe_secret", SecretId=arn)["LastAccessedDate"].timestamp() == day.timestamp() + 86_400


def test_describe_tells_what_there_is_and_nothing_else(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    described = desk("describe_secret", SecretId="app")
    assert described.pop("CreatedDate") == described.pop("LastChangedDate")
    assert described == {"ARN": arn, "Name": "app", "VersionIdsToStages": {TOKEN: ["AWSCURRENT"]}}
    assert "v1" not in repr(described)


def test_a_value_that_does_not_open_is_a_decryption_failure(desk: Desk) -> None:
    """Moved to another secret, too: what it was sealed for is its ARN and version."""
    first, second = (desk.create(name, ClientRequestToken=TOKEN) for name in "ab")

    def swap(transaction: object) -> None:
        table = transaction.table(SecretValue)  # type: ignore[attr-defined]
        one, two = table.all()
        table.put(one.model_copy(update={"sealed": two.sealed}))

    desk.run(swap)
    assert desk.refused("get_secret_value", SecretId=first) == (
        "DecryptionFailure",
        "Secrets Manager can't decrypt the protected secret text.",
    )
    assert desk("get_secret_value", SecretId=second)["SecretString"] == "v1"


def test_a_secret_scheduled_for_deletion_keeps_its_value_to_itself(desk: Desk) -> None:
    desk.create("app")
    desk("delete_secret", SecretId="app")
    assert desk.refused("get_secret_value", SecretId="app") == DELETED
    assert desk("describe_secret", SecretId="app")["DeletedDate"].timestamp() == NOON + 30 * 86_400


def test_who_may_not_read_does_not_learn_whether_there_is_a_secret(desk: Desk) -> None:
    arn = desk.create("app")
    desk.guard.refused = lambda action, resource, context: True
    operations = (
        "get_secret_value",
        "describe_secret",
        "delete_secret",
        "restore_secret",
        "list_secret_version_ids",
        "get_resource_policy",
        "delete_resource_policy",
        "cancel_rotate_secret",
        "rotate_secret",
        "put_secret_value",
        "update_secret",
    )
    for operation in operations:
        told = [desk.refused(operation, SecretId=name) for name in ("app", "bpp")]
        assert told[0][0] == "AccessDeniedException"
        assert told[0][1].replace("app", "bpp") == told[1][1]
        assert arn[-6:] not in told[0][1] and "on resource: app because" in told[0][1]
    partial = [desk.refused("get_secret_value", SecretId=PREFIX + name) for name in ("app", "bpp")]
    assert partial[0][1].replace("app", "bpp") == partial[1][1]


def test_permission_is_asked_for_the_arn_with_all_condition_keys(desk: Desk) -> None:
    arn = desk.create("app", Tags=[{"Key": "team", "Value": "db"}])
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},'
        '"Action":"secretsmanager:*","Resource":"*"}}'
    )
    desk("put_resource_policy", SecretId="app", ResourcePolicy=policy)
    desk.guard.asked.clear()
    desk("get_secret_value", SecretId="app", VersionStage="AWSCURRENT")
    context = {
        "secretsmanager:SecretId": "app",
        "secretsmanager:VersionStage": "AWSCURRENT",
        "secretsmanager:SecretPrimaryRegion": "eu-central-1",
        "aws:ResourceTag/team": "db",
        "secretsmanager:ResourceTag/team": "db",
    }
    assert desk.guard.asked == [("secretsmanager:GetSecretValue", arn, context, policy)]


def test_a_batch_has_a_value_or_an_error_for_each(desk: Desk) -> None:
    first, denied = desk.create("a"), desk.create("b")
    desk.create("c")
    desk("delete_secret", SecretId="c")
    desk.guard.refused = lambda action, resource, context: resource == denied
    answer = desk("batch_get_secret_value", SecretIdList=[first, "b", "c", "d", first])
    assert [value["ARN"] for value in answer["SecretValues"]] == [first]
    assert [(error["SecretId"], error["ErrorCode"]) for error in answer["Errors"]] == [
        ("b", "AccessDeniedException"),
        ("c", "InvalidRequestException"),
        ("d", "ResourceNotFoundException"),
    ]
    assert denied not in repr(answer)


def test_a_batch_by_filters_in_pages(desk: Desk) -> None:
    for number in range(5):
        desk.at += 1
        desk.create(f"app{number}", text=str(number))
    desk.create("other")
    found, token = [], None
    while True:
        more = {} if token is None else {"NextToken": token}
        filters = [{"Key": "name", "Values": ["app"]}]
        page = desk("batch_get_secret_value", Filters=filters, MaxResults=2, **more)
        found.append([value["SecretString"] for value in page["SecretValues"]])
        token = page.get("NextToken")
        if token is None:
            break
    assert found == [["0", "1"], ["2", "3"], ["4"]]
    asked = [(action, resource) for action, resource, _, _ in desk.guard.asked]
    assert ("secretsmanager:BatchGetSecretValue", "*") in asked and ("secretsmanager:ListSecrets", "*") in asked


def test_a_batch_needs_a_list_or_filters(desk: Desk) -> None:
    either = ("InvalidParameterException", "Either 'SecretIdList' or 'Filters' must be provided, but not both.")
    both = {"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]}
    assert desk.refused("batch_get_secret_value") == either
    assert desk.refused("batch_get_secret_value", **both) == either
    assert desk.refused("batch_get_secret_value", SecretIdList=["a"], MaxResults=3) == (
        "InvalidParameterException",
        "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
    )
