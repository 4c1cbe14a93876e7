"""DeleteSecret, RestoreSecret, and the tasks at the ends of windows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control.services.secretsmanager.desk import NOON, PREFIX, Context, Desk
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.chores import handlers
from tidegate.control.services.secretsmanager.records import Secret, SecretValue

DAY = 86_400
NOT_FOUND = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def run(desk: Desk, work: str) -> None:
    handlers(desk.sealer)[work](Context(desk, desk.tasks()[work]))


def left(desk: Desk) -> list[Any]:
    return desk.run(lambda transaction: [*transaction.table(Secret).all(), *transaction.table(SecretValue).all()])


@pytest.mark.parametrize(("parameters", "days"), [({}, 30), ({"RecoveryWindowInDays": 7}, 7)])
def test_a_recovery_window(desk: Desk, parameters: dict[str, int], days: int) -> None:
    arn = desk.create("app")
    answer = desk("delete_secret", SecretId="app", **parameters)
    assert answer.pop("DeletionDate").timestamp() == NOON + days * DAY
    assert answer == {"ARN": arn, "Name": "app"}
    assert desk.tasks()["purge-secret"].due == NOON + days * DAY
    assert desk.refused("delete_secret", SecretId=arn) == (
        "InvalidRequestException",
        "You tried to perform the operation on a secret that's currently marked deleted.",
    )


def test_the_window_ends(desk: Desk) -> None:
    arn = desk.create("app")
    desk.create("app2")
    desk("delete_secret", SecretId="app", RecoveryWindowInDays=7)
    desk.at += 7 * DAY - 1
    run(desk, works.PURGE)
    assert desk.secret(arn).purge_at == NOON + 7 * DAY
    desk.at += 1
    run(desk, works.PURGE)
    assert [getattr(record, "name", "") for record in left(desk)] == ["app2", ""]
    assert desk.refused("describe_secret", SecretId="app") == NOT_FOUND


def test_a_restored_secret_is_as_it_was(desk: Desk) -> None:
    arn = desk.create("app")
    desk("delete_secret", SecretId="app")
    task = desk.tasks()[works.PURGE]
    assert desk("restore_secret", SecretId="app") == {"ARN": arn, "Name": "app"}
    assert works.PURGE not in desk.tasks()
    desk.at += 31 * DAY
    handlers(desk.sealer)[works.PURGE](Context(desk, task))
    assert desk("get_secret_value", SecretId=arn)["SecretString"] == "v1"
    assert desk("restore_secret", SecretId="app") == {"ARN": arn, "Name": "app"}


def test_deletion_at_once_leaves_nothing(desk: Desk) -> None:
    arn = desk.create("app")
    desk("put_secret_value", SecretId="app", SecretString="x")
    answer = desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    assert (answer["ARN"], answer["DeletionDate"].timestamp()) == (arn, NOON)
    assert left(desk) == [] and desk.tasks() == {}


def test_deletion_at_once_of_what_is_scheduled(desk: Desk) -> None:
    desk.create("app")
    desk("delete_secret", SecretId="app")
    desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    assert left(desk) == [] and desk.tasks() == {}


def test_deletion_at_once_of_nothing_is_no_error(desk: Desk) -> None:
    answer = desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    assert answer["Name"] == "app" and answer["ARN"].startswith(PREFIX + "app")
    assert desk.refused("delete_secret", SecretId="app") == NOT_FOUND


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"RecoveryWindowInDays": 6}, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
        ({"RecoveryWindowInDays": 31}, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
        (
            {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True},
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ),
    ],
)
def test_windows_that_cannot_be(desk: Desk, parameters: dict[str, Any], told: str) -> None:
    arn = desk.create("app")
    assert desk.refused("delete_secret", SecretId="app", **parameters) == ("InvalidParameterException", told)
    assert desk.secret(arn).purge_at is None


def test_the_grace_of_a_previous_password_ends(desk: Desk) -> None:
    arn = desk.create("app")
    desk("put_secret_value", SecretId="app", SecretString="x")
    assert desk.secret(arn).previous_valid
    run(desk, works.END_GRACE)
    assert not desk.secret(arn).previous_valid
    desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    handlers(desk.sealer)[works.END_GRACE](Context(desk, works.end_grace(arn, desk.at)))
