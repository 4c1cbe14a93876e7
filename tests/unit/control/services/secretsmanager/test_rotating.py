"""RotateSecret and CancelRotateSecret: what is set up, kept and put down; the rotation itself is tested elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.control.services.secretsmanager.desk import ACCOUNT, NOON, PREFIX, REGION, Desk
from tidegate.control.services.rds.records import Instance
from tidegate.control.services.secretsmanager import works

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tidegate-rotation-postgresql-"
SINGLE, MULTI = FUNCTION + "single-user", FUNCTION + "multi-user"
FIELDS = {"engine": "postgres", "host": "db", "username": "app", "password": "pw"}
TOKEN, OTHER, FIRST = (digit * 32 for digit in "123")
DAY = 86_400
MIDNIGHT = NOON - DAY / 2


def database_secret(desk: Desk, name: str = "app", **more: Any) -> str:
    return desk.create(name, json.dumps({**FIELDS, **more}), ClientRequestToken=FIRST)


def address(host_and_port: str) -> str:
    """What is asked about where a secret names that address."""
    return f"arn:aws:tidegate:{REGION}:{ACCOUNT}:address/{host_and_port}"


def without_leave(desk: Desk, *resources: str) -> None:
    """From now on callers may not name these addresses; any, without resources."""
    desk.guard.refused = lambda action, resource, context: (
        action == "tidegate:UseAddress" and (not resources or resource in resources)
    )


def registered(desk: Desk, host: str, port: int = 5432, status: str = "available") -> None:
    instance = Instance(
        identifier=f"db{port}",
        resource_id="db-1",
        status=status,
        engine="postgres",
        engine_version="17",
        instance_class="db.t3.micro",
        master_username="postgres",
        sealed_password="",
        host=host,
        port=port,
        db_name=None,
        subnet_group=None,
        vpc_id=None,
        availability_zone="a",
        security_group_ids=(),
        created=NOON,
    )
    desk.run(lambda transaction: transaction.table(Instance).put(instance))


def test_a_database_secret_needs_no_function(desk: Desk) -> None:
    arn = database_secret(desk)
    answer = desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    assert answer == {"ARN": arn, "Name": "app", "VersionId": TOKEN}
    described = desk("describe_secret", SecretId="app")
    assert (described["RotationEnabled"], described["RotationLambdaARN"]) == (True, SINGLE)
    assert not {"RotationRules", "NextRotationDate", "LastRotatedDate"} & set(described)
    assert desk.labels(arn) == {FIRST: ["AWSCURRENT"], TOKEN: ["AWSPENDING"]}
    task = desk.tasks()[works.ROTATE]
    assert (task.subject, task.due, task.arguments) == (arn, NOON, {"version_id": TOKEN})
    assert works.SCHEDULED_ROTATION not in desk.tasks()


def test_the_empty_pending_version_is_told_but_not_listed(desk: Desk) -> None:
    database_secret(desk)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    listed = desk("list_secret_version_ids", SecretId="app", IncludeDeprecated=True)["Versions"]
    assert [version["VersionId"] for version in listed] == [FIRST]
    for which in ({"VersionStage": "AWSPENDING"}, {"VersionId": TOKEN}):
        assert desk.refused("get_secret_value", SecretId="app", **which)[0] == "ResourceNotFoundException"
    move = {"VersionStage": "AWSCURRENT", "RemoveFromVersionId": FIRST, "MoveToVersionId": TOKEN}
    assert desk.refused("update_secret_version_stage", SecretId="app", **move) == (
        "InvalidRequestException",
        "You can't move staging label AWSCURRENT to a version that has no value.",
    )
    filled = {"SecretId": "app", "ClientRequestToken": TOKEN, "SecretString": "x", "VersionStages": ["AWSPENDING"]}
    assert desk("put_secret_value", **filled)["VersionStages"] == ["AWSPENDING"]


def test_a_schedule_is_kept_shown_and_put_down(desk: Desk) -> None:
    arn = database_secret(desk)
    rules = {"AutomaticallyAfterDays": 7, "Duration": "2h"}
    desk("rotate_secret", SecretId="app", RotationLambdaARN=SINGLE, RotationRules=rules)
    described = desk("describe_secret", SecretId="app")
    assert described["RotationRules"] == rules
    assert described["NextRotationDate"].timestamp() == MIDNIGHT + 7 * DAY + 2 * 3600
    task = desk.tasks()[works.SCHEDULED_ROTATION]
    assert (task.subject, task.due) == (arn, MIDNIGHT + 7 * DAY)


def test_a_schedule_without_a_rotation_now_is_tested(desk: Desk) -> None:
    database_secret(desk)
    rules = {"ScheduleExpression": "rate(10 days)"}
    answer = desk("rotate_secret", SecretId="app", RotationRules=rules, RotateImmediately=False)
    assert len(answer["VersionId"]) == 36
    assert desk("describe_secret", SecretId="app")["RotationRules"] == {"AutomaticallyAfterDays": 10, **rules}
    assert set(desk.tasks()) == {works.SCHEDULED_ROTATION, works.TEST_ROTATION}


def test_a_changed_value_counts_as_a_rotation(desk: Desk) -> None:
    database_secret(desk)
    desk("rotate_secret", SecretId="app", RotationRules={"AutomaticallyAfterDays": 7}, RotateImmediately=False)
    desk.at += 3 * DAY
    desk("put_secret_value", SecretId="app", SecretString=json.dumps(FIELDS))
    assert desk.tasks()[works.SCHEDULED_ROTATION].due == MIDNIGHT + 10 * DAY


def test_the_same_call_again_and_another_while_one_is_under_way(desk: Desk) -> None:
    arn = database_secret(desk)
    answer = desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    assert desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN) == answer
    assert desk.refused("rotate_secret", SecretId="app", ClientRequestToken=OTHER) == (
        "InvalidRequestException",
        "A previous rotation isn't complete. That rotation will be reattempted.",
    )
    assert desk.labels(arn) == {FIRST: ["AWSCURRENT"], TOKEN: ["AWSPENDING"]}


def test_a_token_that_was_a_version_is_refused(desk: Desk) -> None:
    database_secret(desk)
    for text in ("a", "b"):
        desk("put_secret_value", SecretId="app", SecretString=text)
    assert desk.refused("rotate_secret", SecretId="app", ClientRequestToken=FIRST)[0] == "ResourceExistsException"


@pytest.mark.parametrize(
    "function",
    [
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mine",
        SINGLE.replace(ACCOUNT, "999999999999"),
        SINGLE.replace(REGION, "us-east-1"),
        "x:" + SINGLE,
    ],
)
def test_a_function_that_is_not_there(desk: Desk, function: str) -> None:
    arn = database_secret(desk)
    assert desk.refused("rotate_secret", SecretId="app", RotationLambdaARN=function) == (
        "ResourceNotFoundException",
        "Lambda does not exist or could not be accessed",
    )
    assert desk.secret(arn).rotation is None and desk.tasks() == {}


@pytest.mark.parametrize(
    "text", ["plain", "[]", "{}", json.dumps({**FIELDS, "engine": "mysql"}), json.dumps({**FIELDS, "host": ""})]
)
def test_a_secret_that_calls_for_no_function(desk: Desk, text: str) -> None:
    desk.create("app", text)
    assert desk.refused("rotate_secret", SecretId="app") == (
        "InvalidRequestException",
        "No Lambda rotation function ARN is associated with this secret.",
    )


def test_a_secret_without_a_value_is_not_rotated(desk: Desk) -> None:
    desk.create("app", None)
    assert desk.refused("rotate_secret", SecretId="app", RotationLambdaARN=SINGLE)[0] == "InvalidRequestException"


def test_two_users_and_their_master(desk: Desk) -> None:
    master = desk.create("master")
    arn = database_secret(desk, masterarn=master[:-7])
    desk.guard.asked.clear()
    desk("rotate_secret", SecretId="app")
    rotation = desk.secret(arn).rotation
    assert rotation is not None and (rotation.function, rotation.master_arn) == (MULTI, master)
    asked = [(action, resource) for action, resource, _, _ in desk.guard.asked]
    assert asked == [
        ("secretsmanager:RotateSecret", arn),
        ("secretsmanager:GetSecretValue", master),
        ("tidegate:UseAddress", address("db:5432")),
    ]


def test_another_ones_master_is_not_used(desk: Desk) -> None:
    master = desk.create("master")
    arn = database_secret(desk, masterarn=master)
    desk.guard.refused = lambda action, resource, context: resource == master
    assert desk.refused("rotate_secret", SecretId="app")[0] == "AccessDeniedException"
    assert desk.secret(arn).rotation is None


def test_two_users_need_a_master(desk: Desk) -> None:
    database_secret(desk, masterarn=PREFIX + "none-abcdef")
    assert desk.refused("rotate_secret", SecretId="app")[0] == "ResourceNotFoundException"
    database_secret(desk, "other")
    assert desk.refused("rotate_secret", SecretId="other", RotationLambdaARN=MULTI)[0] == "InvalidRequestException"


def test_rotation_is_turned_off_and_on_again(desk: Desk) -> None:
    arn = database_secret(desk)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN, RotationRules={"AutomaticallyAfterDays": 7})
    answer = desk("cancel_rotate_secret", SecretId="app")
    assert answer == {"ARN": arn, "Name": "app", "VersionId": TOKEN}
    described = desk("describe_secret", SecretId="app")
    assert not described["RotationEnabled"] and "NextRotationDate" not in described
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 7}
    assert desk.tasks() == {} and desk.labels(arn)[TOKEN] == ["AWSPENDING"]
    clean = {"VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN}
    desk("update_secret_version_stage", SecretId="app", **clean)
    desk("rotate_secret", SecretId="app", ClientRequestToken=OTHER)
    assert desk("describe_secret", SecretId="app")["RotationRules"] == {"AutomaticallyAfterDays": 7}
    assert set(desk.tasks()) == {works.ROTATE, works.SCHEDULED_ROTATION}


def test_there_is_nothing_to_turn_off(desk: Desk) -> None:
    desk.create("app")
    assert desk.refused("cancel_rotate_secret", SecretId="app") == (
        "InvalidRequestException",
        "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN configured and you "
        "didn't include such an ARN as a parameter in this call.",
    )


def test_deletion_stops_rotation_and_restoring_goes_on_with_it(desk: Desk) -> None:
    database_secret(desk)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN, RotationRules={"AutomaticallyAfterDays": 7})
    desk("delete_secret", SecretId="app")
    assert set(desk.tasks()) == {works.PURGE}
    for operation in ("rotate_secret", "cancel_rotate_secret"):
        assert desk.refused(operation, SecretId="app")[0] == "InvalidRequestException"
    desk("restore_secret", SecretId="app")
    assert desk.tasks()[works.ROTATE].arguments == {"version_id": TOKEN}
    assert works.SCHEDULED_ROTATION in desk.tasks()


def test_permission_is_asked_with_what_is_wanted(desk: Desk) -> None:
    database_secret(desk)
    desk.guard.asked.clear()
    rules = {"AutomaticallyAfterDays": 7}
    desk("rotate_secret", SecretId="app", RotationLambdaARN=SINGLE, RotationRules=rules, RotateImmediately=False)
    context = desk.guard.asked[0][2]
    assert {key: value for key, value in context.items() if "Rotat" in key} == {
        "secretsmanager:RotateImmediately": "false",
        "secretsmanager:ModifyRotationRules": "true",
        "secretsmanager:RotationLambdaARN": SINGLE,
    }
    desk("rotate_secret", SecretId="app")
    asked = [context for action, _, context, _ in desk.guard.asked if action == "secretsmanager:RotateSecret"]
    assert asked[1]["secretsmanager:resource/AllowRotationLambdaArn"] == SINGLE


@pytest.mark.parametrize("immediately", [True, False])
def test_the_address_in_the_value_takes_leave(desk: Desk, immediately: bool) -> None:
    """Else whoever may rotate a secret has the program connect to a host of their own, again and again."""
    arn = database_secret(desk, host="10.1.2.3", port=6000)
    without_leave(desk)
    code, message = desk.refused("rotate_secret", SecretId="app", RotateImmediately=immediately)
    assert code == "AccessDeniedException" and f"tidegate:UseAddress on resource: {address('10.1.2.3:6000')}" in message
    assert desk.secret(arn).rotation is None and desk.tasks() == {}
    without_leave(desk, address("10.1.2.3:6001"))
    desk("rotate_secret", SecretId="app", RotateImmediately=immediately)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.address == "10.1.2.3:6000"


@pytest.mark.parametrize(
    ("host", "port", "status", "let"),
    [
        ("db", 5432, "available", True),
        ("DB", 5432, "available", True),
        ("db", 5433, "available", False),
        ("db2", 5432, "available", False),
        ("db", 5432, "deleting", False),
    ],
)
def test_a_registered_instance_takes_none(desk: Desk, host: str, port: int, status: str, let: bool) -> None:
    arn = database_secret(desk)
    registered(desk, host, port, status)
    without_leave(desk)
    if let:
        desk("rotate_secret", SecretId="app")
        rotation = desk.secret(arn).rotation
        assert rotation is not None and rotation.address == ""
    else:
        assert desk.refused("rotate_secret", SecretId="app")[0] == "AccessDeniedException"


@pytest.mark.parametrize("way", ["put_secret_value", "update_secret", "label"])
def test_who_has_another_address_rotated_needs_leave_for_it(desk: Desk, way: str) -> None:
    arn = database_secret(desk)
    desk("rotate_secret", SecretId="app", RotateImmediately=False)
    given: dict[str, Any] = {"SecretId": "app", "SecretString": json.dumps({**FIELDS, "host": "mine"})}
    operation = way
    without_leave(desk)
    if way == "label":
        operation = "update_secret_version_stage"
        desk("put_secret_value", **given, ClientRequestToken=OTHER, VersionStages=["SPARE"])
        label = {"VersionStage": "AWSCURRENT", "RemoveFromVersionId": FIRST, "MoveToVersionId": OTHER}
        given = {"SecretId": "app", **label}
    assert desk.refused(operation, **given)[0] == "AccessDeniedException"
    assert desk.secret(arn).labelled("AWSCURRENT") == FIRST
    without_leave(desk, address("db:5432"))
    desk(operation, **given)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.address == "mine:5432"


def test_a_value_at_the_same_address_takes_no_leave(desk: Desk) -> None:
    database_secret(desk)
    desk("rotate_secret", SecretId="app", RotateImmediately=False)
    without_leave(desk)
    for text in (json.dumps({**FIELDS, "password": "new"}), "plain", json.dumps({**FIELDS, "port": 5432})):
        desk("put_secret_value", SecretId="app", SecretString=text)


def test_a_value_of_a_secret_that_is_not_rotated_takes_no_leave(desk: Desk) -> None:
    """Leave is asked when rotation is turned on again."""
    database_secret(desk)
    desk("rotate_secret", SecretId="app", RotateImmediately=False)
    desk("cancel_rotate_secret", SecretId="app")
    without_leave(desk)
    desk("put_secret_value", SecretId="app", SecretString=json.dumps({**FIELDS, "host": "mine"}))
    assert desk.refused("rotate_secret", SecretId="app")[0] == "AccessDeniedException"
