"""CreateSecret, PutSecretValue, UpdateSecret: values, tokens, labels, limits."""

from __future__ import annotations

import re

import pytest

from tests.unit.control.services.secretsmanager.desk import NOON, PREFIX, Desk
from tidegate.control.services.secretsmanager.records import SecretValue
from tidegate.control.services.secretsmanager.works import GRACE_SECONDS

TOKEN = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
DELETED = (
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)
NOT_FOUND = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def test_a_secret_with_a_text(desk: Desk) -> None:
    answer = desk("create_secret", Name="a/b_c+d=e.f@g-h", SecretString="pw", ClientRequestToken=TOKEN)
    assert answer == {"ARN": answer["ARN"], "Name": "a/b_c+d=e.f@g-h", "VersionId": TOKEN}
    assert re.fullmatch(re.escape(PREFIX + "a/b_c+d=e.f@g-h-") + "[A-Za-z0-9]{6}", answer["ARN"])
    read = desk("get_secret_value", SecretId=answer["ARN"])
    assert read["CreatedDate"].timestamp() == NOON
    del read["CreatedDate"]
    assert read == {**answer, "SecretString": "pw", "VersionStages": ["AWSCURRENT"]}


def test_a_secret_with_bytes(desk: Desk) -> None:
    arn = desk.create(text=None, SecretBinary=b"\0\xff")
    read = desk("get_secret_value", SecretId=arn)
    assert read["SecretBinary"] == b"\0\xff" and "SecretString" not in read


def test_a_secret_without_a_value_gets_its_first_by_put(desk: Desk) -> None:
    answer = desk("create_secret", Name="app")
    assert set(answer) == {"ARN", "Name"}
    assert desk.refused("get_secret_value", SecretId="app") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )
    assert "VersionIdsToStages" not in desk("describe_secret", SecretId="app")
    put = desk("put_secret_value", SecretId="app", SecretString="v", VersionStages=["one"], ClientRequestToken=TOKEN)
    assert put == {**answer, "VersionId": TOKEN, "VersionStages": ["AWSCURRENT", "one"]}


def test_no_value_is_on_disk_in_clear(desk: Desk) -> None:
    arn = desk.create(text="canary-value")
    kept = desk.run(lambda transaction: transaction.table(SecretValue).all())
    assert [value.arn for value in kept] == [arn]
    assert "canary" not in kept[0].model_dump_json() and "sealed" not in repr(kept[0])
    rows = desk.run(lambda transaction: transaction.execute("SELECT group_concat(body) FROM records").fetchone())
    assert "canary" not in rows[0]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "a\n", "x" * 513, "a*", "arn:aws:x"])
def test_names_that_cannot_be(desk: Desk, name: str) -> None:
    assert desk.refused("create_secret", Name=name) == (
        "ValidationException",
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    )


def test_the_same_call_again_is_the_same_secret(desk: Desk) -> None:
    first = desk("create_secret", Name="app", SecretString="v", ClientRequestToken=TOKEN)
    assert desk("create_secret", Name="app", SecretString="v", ClientRequestToken=TOKEN) == first
    assert desk.refused("create_secret", Name="app", SecretString="w", ClientRequestToken=TOKEN) == (
        "ResourceExistsException",
        f"You can't use ClientRequestToken {TOKEN} because that value is already in use for a version of secret "
        f"{first['ARN']}.",
    )
    assert desk.refused("create_secret", Name="app", SecretBinary=b"v", ClientRequestToken=TOKEN)[0] == (
        "ResourceExistsException"
    )
    for parameters in ({"SecretString": "v", "ClientRequestToken": OTHER}, {"ClientRequestToken": TOKEN}):
        assert desk.refused("create_secret", Name="app", **parameters) == (
            "ResourceExistsException",
            "The operation failed because the secret app already exists.",
        )


def test_another_region_is_another_place(desk: Desk) -> None:
    arn = desk.create("app")
    desk.region = "us-east-1"
    assert desk.refused("get_secret_value", SecretId="app") == NOT_FOUND
    assert desk.refused("get_secret_value", SecretId=arn) == NOT_FOUND
    assert desk.create("app") != arn


def test_a_new_secret_of_an_old_name_has_another_arn(desk: Desk) -> None:
    first = desk.create()
    desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    assert desk.create() != first
    assert desk.refused("get_secret_value", SecretId=first) == NOT_FOUND


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("create_secret", "InvalidRequestException"),
        ("put_secret_value", "InvalidRequestException"),
        ("update_secret", "InvalidRequestException"),
        ("rotate_secret", "InvalidParameterException"),
    ],
)
def test_raw_calls_need_a_token(desk: Desk, operation: str, code: str) -> None:
    desk.create("app")
    given = {"Name": "new"} if operation == "create_secret" else {"SecretId": "app"}
    if operation != "rotate_secret":
        given["SecretString"] = "x"
    assert desk.refused(operation, **given, ClientRequestToken=None) == (
        code,
        "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
    )


def test_values_that_cannot_be(desk: Desk) -> None:
    desk.create("app")
    both = {"SecretString": "x", "SecretBinary": b"x"}
    assert desk.refused("create_secret", Name="b", **both) == (
        "InvalidParameterException",
        "You can't specify both a binary secret value and a string secret value in the same secret.",
    )
    assert desk.refused("put_secret_value", SecretId="app") == (
        "InvalidRequestException",
        "You must provide either SecretString or SecretBinary.",
    )
    desk("put_secret_value", SecretId="app", SecretString="x" * 65_536)
    too_long = ("InvalidParameterException", "A secret value must have between 1 and 65536 bytes.")
    assert desk.refused("put_secret_value", SecretId="app", SecretString="ä" * 32_769) == too_long
    assert desk.refused("put_secret_value", SecretId="app", SecretBinary=b"") == too_long
    assert desk.refused("put_secret_value", SecretId="app", SecretString="\ud800") == (
        "InvalidParameterException",
        "The SecretString is not valid Unicode text.",
    )


@pytest.mark.parametrize(
    "other", [{"AddReplicaRegions": [{"Region": "us-east-1"}]}, {"Type": "partner"}, {"CrossAccountPrimaryARN": "a"}]
)
def test_what_is_not_available_is_refused(desk: Desk, other: dict[str, object]) -> None:
    assert desk.refused("create_secret", Name="app", **other)[0] == "InvalidParameterException"
    assert desk.refused("get_secret_value", SecretId="app") == NOT_FOUND


def test_put_moves_current_and_starts_the_grace_of_the_previous(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    desk.at += 60
    answer = desk("put_secret_value", SecretId="app", SecretString="v2", ClientRequestToken=OTHER)
    assert answer == {"ARN": arn, "Name": "app", "VersionId": OTHER, "VersionStages": ["AWSCURRENT"]}
    assert desk.labels(arn) == {TOKEN: ["AWSPREVIOUS"], OTHER: ["AWSCURRENT"]}
    assert desk.secret(arn).previous_valid
    assert desk.tasks()["end-secret-grace"].due == NOON + 60 + GRACE_SECONDS
    assert desk("get_secret_value", SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"] == "v1"


def test_put_with_the_same_token(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    desk("put_secret_value", SecretId=arn, SecretString="v2", ClientRequestToken=OTHER)
    again = desk("put_secret_value", SecretId=arn, SecretString="v1", ClientRequestToken=TOKEN)
    assert again == {"ARN": arn, "Name": "app", "VersionId": TOKEN, "VersionStages": ["AWSPREVIOUS"]}
    assert desk.labels(arn)[OTHER] == ["AWSCURRENT"]
    for operation in ("put_secret_value", "update_secret"):
        code, message = desk.refused(operation, SecretId=arn, SecretString="w", ClientRequestToken=TOKEN)
        assert (code, message[:60]) == (
            "ResourceExistsException",
            f"You can't use ClientRequestToken {TOKEN} because that value"[:60],
        )


def test_labels_are_moved_from_other_versions(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    desk("put_secret_value", SecretId=arn, SecretString="2", ClientRequestToken=OTHER, VersionStages=["b", "a", "c"])
    third = desk("put_secret_value", SecretId=arn, SecretString="3", VersionStages=["d", "a"])
    assert third["VersionStages"] == ["a", "d"]
    assert desk.labels(arn) == {TOKEN: ["AWSCURRENT"], OTHER: ["b", "c"], third["VersionId"]: ["a", "d"]}
    assert not desk.secret(arn).previous_valid


def test_a_version_has_twenty_labels_at_most(desk: Desk) -> None:
    arn = desk.create()
    labels = [f"l{number}" for number in range(20)]
    put = desk("put_secret_value", SecretId=arn, SecretString="x", VersionStages=labels)
    move = {"SecretId": arn, "VersionStage": "one-more", "MoveToVersionId": put["VersionId"]}
    assert desk.refused("update_secret_version_stage", **move) == (
        "LimitExceededException",
        "A version of a secret can have at most 20 staging labels.",
    )
    assert desk.labels(arn)[put["VersionId"]] == sorted(labels)


def test_the_oldest_versions_without_labels_go(desk: Desk) -> None:
    arn = desk.create(text="0", ClientRequestToken=TOKEN)
    stay = {"SecretId": arn, "VersionStage": "keep", "MoveToVersionId": TOKEN}
    desk("update_secret_version_stage", **stay)
    ids = [desk("put_secret_value", SecretId=arn, SecretString=str(number))["VersionId"] for number in range(1, 120)]
    kept = list(desk.secret(arn).versions)
    assert kept == [TOKEN, *ids[-99:]]
    values = desk.run(lambda transaction: transaction.table(SecretValue).all())
    assert {value.version_id for value in values} == set(kept)
    assert desk("get_secret_value", SecretId=arn, VersionId=ids[-99])["SecretString"] == "21"
    assert desk.refused("get_secret_value", SecretId=arn, VersionId=ids[0]) == (
        "ResourceNotFoundException",
        f"Secrets Manager can't find the specified secret value for VersionId: {ids[0]}",
    )


def test_a_hundred_versions_with_labels_leave_no_room(desk: Desk) -> None:
    arn = desk.create()
    for number in range(99):
        desk("put_secret_value", SecretId=arn, SecretString="x", VersionStages=[f"l{number}"])
    put = {"SecretId": arn, "SecretString": "x", "VersionStages": ["l99"]}
    assert desk.refused("put_secret_value", **put) == (
        "LimitExceededException",
        "A secret can have at most 100 versions with staging labels.",
    )
    assert len(desk.secret(arn).versions) == 100


def test_update_changes_properties_without_a_version(desk: Desk) -> None:
    arn = desk.create(Description="one", KmsKeyId="alias/mine", ClientRequestToken=TOKEN)
    desk.at += 5
    assert desk("update_secret", SecretId="app", Description="two") == {"ARN": arn, "Name": "app"}
    described = desk("describe_secret", SecretId=arn)
    assert (described["Description"], described["KmsKeyId"]) == ("two", "alias/mine")
    assert described["LastChangedDate"].timestamp() == NOON + 5
    desk("update_secret", SecretId="app", Description="", KmsKeyId="")
    assert not {"Description", "KmsKeyId"} & set(desk("describe_secret", SecretId=arn))
    assert desk.labels(arn) == {TOKEN: ["AWSCURRENT"]}


def test_update_with_a_value_makes_a_version(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=TOKEN)
    update = {"SecretId": arn, "SecretString": "2", "ClientRequestToken": OTHER}
    for _ in range(2):
        assert desk("update_secret", **update) == {"ARN": arn, "Name": "app", "VersionId": OTHER}
    assert desk.labels(arn) == {TOKEN: ["AWSPREVIOUS"], OTHER: ["AWSCURRENT"]}


def test_what_is_scheduled_for_deletion_is_not_changed(desk: Desk) -> None:
    desk.create("app")
    desk("delete_secret", SecretId="app")
    for operation in ("put_secret_value", "update_secret"):
        assert desk.refused(operation, SecretId="app", SecretString="x") == DELETED
    assert desk.refused("create_secret", Name="app") == (
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    )


def test_permission_to_create_comes_first_and_names_what_is_created(desk: Desk) -> None:
    desk.create("app", Tags=[{"Key": "stage", "Value": "x"}], Description="d", KmsKeyId="arn:aws:kms:k")
    context = {
        "secretsmanager:Name": "app",
        "secretsmanager:Description": "d",
        "secretsmanager:KmsKeyId": "arn:aws:kms:k",
        "secretsmanager:KmsKeyArn": "arn:aws:kms:k",
        "aws:RequestTag/stage": "x",
        "aws:TagKeys": ["stage"],
    }
    actions = ("secretsmanager:CreateSecret", "secretsmanager:TagResource")
    assert desk.guard.asked == [(action, PREFIX + "app-??????", context, None) for action in actions]
    desk.guard.refused = lambda action, resource, context: True
    for name in ("app", "new"):
        assert desk.refused("create_secret", Name=name, SecretString="x") == (
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: secretsmanager:CreateSecret on "
            f"resource: {name} because no identity-based policy allows the secretsmanager:CreateSecret action",
        )
