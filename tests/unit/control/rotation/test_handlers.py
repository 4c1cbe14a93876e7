"""Tasks of rotation with a database that is played: order, what is kept of failures, what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.control.services.secretsmanager.desk import Context, Desk
from tidegate.control.rotation import databases, handlers
from tidegate.control.rotation.databases import Account, LoginError
from tidegate.control.rotation.handlers import RotationError
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import Task

TOKEN, OTHER = "2" * 32, "3" * 32
FIELDS = {"engine": "postgres", "host": "db", "username": "app", "password": "old"}


class Server:
    """Knows one password a user, and what was done."""

    def __init__(self) -> None:
        self.passwords = {"app": "old", "boss": "top"}
        self.done: list[str] = []
        self.places: set[tuple[str, int]] = set()
        """Where somebody has knocked."""

    def login(self, account: Account) -> None:
        self.places.add(account.place)
        if self.passwords.get(account.username) != account.password:
            raise LoginError(f'password authentication failed for user "{account.username}"')

    def change(self, connection: Any, account: Account) -> None:
        self.passwords[account.username] = account.password
        self.done.append(f"change {account.username}")

    def create(self, connection: Any, account: Account, like: str) -> None:
        self.change(connection, account)
        self.done.append(f"like {like}")


class Held:
    """A connection that closes."""

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()

    def login(account: Account) -> Held:
        played.login(account)
        return Held()

    monkeypatch.setattr(databases, "login", login)
    monkeypatch.setattr(databases, "try_out", played.login)
    monkeypatch.setattr(databases, "change_password", played.change)
    monkeypatch.setattr(databases, "create_like", played.create)
    monkeypatch.setattr(databases, "role_exists", lambda connection, name: name in played.passwords)
    return played


def run(desk: Desk, work: str = works.ROTATE, task: Task | None = None) -> None:
    handlers.handlers(desk.sealer)[work](Context(desk, task or desk.tasks()[work]))


def current(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk("get_secret_value", SecretId="app")["SecretString"])
    return found


def test_every_kind_of_work_has_its_handler(desk: Desk) -> None:
    assert set(handlers.handlers(desk.sealer)) == {works.ROTATE, works.SCHEDULED_ROTATION, works.TEST_ROTATION}


def test_one_user(desk: Desk, server: Server) -> None:
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app")
    task = desk.tasks()[works.ROTATE]
    run(desk)
    assert server.passwords["app"] == current(desk)["password"] != "old"
    run(desk, task=task)
    assert server.done == ["change app"], "a task that is run once more does nothing"


def test_two_users(desk: Desk, server: Server) -> None:
    boss = desk.create("boss", json.dumps({**FIELDS, "username": "boss", "password": "top"}))
    desk.create("app", json.dumps({**FIELDS, "masterarn": boss}))
    for _ in range(3):
        desk("rotate_secret", SecretId="app")
        run(desk)
    assert server.done == ["change app_clone", "like app", "change app", "change app_clone"]


def test_the_new_password_is_published_before_it_is_valid(desk: Desk, server: Server) -> None:
    arn = desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app")
    seen: list[tuple[str, bool]] = []

    def published(secret: str) -> None:
        assert secret == arn
        pending = desk("get_secret_value", SecretId="app", VersionStage="AWSPENDING")["SecretString"]
        seen.append((server.passwords["app"], json.loads(pending)["password"] != "old"))

    handlers.handlers(desk.sealer, published)[works.ROTATE](Context(desk, desk.tasks()[works.ROTATE]))
    assert seen == [("old", True)]


def test_a_failure_is_kept_once_and_forgotten_when_it_is_over(desk: Desk, server: Server) -> None:
    arn = desk.create("app", json.dumps(FIELDS))
    server.passwords["app"] = "another"
    desk("rotate_secret", SecretId="app")
    for _ in range(2):
        with pytest.raises(RotationError, match=r'^setSecret: password authentication failed for user "app"$'):
            run(desk)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure.startswith("setSecret: ")
    server.passwords["app"] = "old"
    run(desk)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and (rotation.failure, rotation.rotated) == ("", desk.at)


@pytest.mark.parametrize("text", ["plain", json.dumps({**FIELDS, "username": 5}), json.dumps({**FIELDS, "port": "x"})])
def test_a_value_that_is_no_login(desk: Desk, server: Server, text: str) -> None:
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    desk("put_secret_value", SecretId="app", SecretString=text)
    desk("rotate_secret", SecretId="app")
    with pytest.raises(RotationError, match=r"^(createSecret|setSecret): the secret's"):
        run(desk)
    assert server.done == []


def test_an_older_version_of_another_user_is_not_used(desk: Desk, server: Server) -> None:
    desk.create("app", json.dumps({**FIELDS, "username": "boss", "password": "top"}))
    desk("put_secret_value", SecretId="app", SecretString=json.dumps({**FIELDS, "password": "wrong"}))
    desk("rotate_secret", SecretId="app")
    with pytest.raises(RotationError, match='failed for user "app"'):
        run(desk)
    assert server.done == []


@pytest.mark.parametrize("elsewhere", [{"host": "other"}, {"port": 5433}])
def test_a_master_of_another_server_is_not_used(desk: Desk, server: Server, elsewhere: dict[str, Any]) -> None:
    boss = desk.create("boss", json.dumps({**FIELDS, "username": "boss", "password": "top", **elsewhere}))
    desk.create("app", json.dumps({**FIELDS, "masterarn": boss}))
    desk("rotate_secret", SecretId="app")
    with pytest.raises(RotationError, match="the master secret names another server than the secret"):
        run(desk)
    assert server.done == []


def test_what_moved_on_is_left_alone(desk: Desk, server: Server) -> None:
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    task = desk.tasks()[works.ROTATE]
    label = {"VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN}
    desk("update_secret_version_stage", SecretId="app", **label)
    desk("rotate_secret", SecretId="app", ClientRequestToken=OTHER)
    run(desk, task=task)
    assert server.done == []
    desk("delete_secret", SecretId="app", ForceDeleteWithoutRecovery=True)
    for work in (works.ROTATE, works.SCHEDULED_ROTATION, works.TEST_ROTATION):
        run(desk, work, task)
    assert server.done == []


def test_a_window_opens(desk: Desk, server: Server) -> None:
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    task = desk.tasks()[works.SCHEDULED_ROTATION]
    desk.at = task.due - 1
    run(desk, works.SCHEDULED_ROTATION)
    assert works.ROTATE not in desk.tasks()
    desk.at = task.due
    run(desk, works.SCHEDULED_ROTATION)
    begun = desk.tasks()[works.ROTATE]
    desk.at += 10
    run(desk, works.SCHEDULED_ROTATION)
    again = desk.tasks()[works.ROTATE]
    assert again.arguments == begun.arguments and again.due == desk.at, "one that is unfinished is tried again"


def test_a_window_of_a_rotation_that_is_off(desk: Desk, server: Server) -> None:
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    task = desk.tasks()[works.SCHEDULED_ROTATION]
    desk("cancel_rotate_secret", SecretId="app")
    desk.at = task.due
    run(desk, works.SCHEDULED_ROTATION, task)
    assert desk.tasks() == {}


def test_the_set_up_is_tested_without_a_change(desk: Desk, server: Server) -> None:
    arn = desk.create("app", json.dumps(FIELDS))
    server.passwords["app"] = "another"
    desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    run(desk, works.TEST_ROTATION)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure.startswith("testSecret: password authentication failed")
    assert server.done == [] and list(desk.labels(arn).values()) == [["AWSCURRENT"]]


@pytest.mark.parametrize("base", [{"host": ""}, {"port": "five"}])
def test_an_unusable_value_makes_no_pending_one(desk: Desk, server: Server, base: dict[str, Any]) -> None:
    """Else the pending version has the mistake, and no later value mends it."""
    arn = desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    desk("put_secret_value", SecretId="app", SecretString=json.dumps({**FIELDS, **base}))
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    with pytest.raises(RotationError, match=r"^createSecret: the secret's"):
        run(desk)
    assert desk.secret(arn).versions[TOKEN].content is None
    desk("put_secret_value", SecretId="app", SecretString=json.dumps(FIELDS))
    run(desk)
    assert server.passwords["app"] == current(desk)["password"] != "old"
    assert desk.secret(arn).labelled("AWSCURRENT") == TOKEN


@pytest.mark.parametrize("base", [{"host": "typo"}, {"username": "nobody"}])
def test_a_later_value_is_taken_over(
    desk: Desk, server: Server, base: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    arn = desk.create("app", json.dumps({**FIELDS, **base, "password": "wrong"}))
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    with pytest.raises(RotationError, match=r"^setSecret: password authentication failed"):
        run(desk)
    desk("put_secret_value", SecretId="app", SecretString=json.dumps(FIELDS))
    with caplog.at_level("INFO", "tidegate.control.rotation"):
        run(desk)
    assert "begins anew, from the present AWSCURRENT: the pending secret names another" in caplog.text
    assert server.done == [] and desk.secret(arn).versions[TOKEN].labels == (), "kept: it may be what a database has"
    run(desk)
    assert server.passwords["app"] == current(desk)["password"] != "old"
    assert {**current(desk), "password": ""} == {**FIELDS, "password": ""}


def test_a_value_that_is_no_better_is_not_taken_over(desk: Desk, server: Server) -> None:
    arn = desk.create("app", json.dumps({**FIELDS, "password": "wrong"}))
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    with pytest.raises(RotationError):
        run(desk)
    desk("put_secret_value", SecretId="app", SecretString="plain")
    with pytest.raises(RotationError, match="the secret's value is not JSON"):
        run(desk)
    assert desk.secret(arn).labelled("AWSPENDING") == TOKEN


def test_another_server_in_the_pending_version_is_not_even_tried(desk: Desk, server: Server) -> None:
    """What would log in there, with whatever somebody has put, is this program."""
    desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    elsewhere = json.dumps({**FIELDS, "host": "elsewhere"})
    desk(
        "put_secret_value",
        SecretId="app",
        SecretString=elsewhere,
        ClientRequestToken=TOKEN,
        VersionStages=["AWSPENDING"],
    )
    with pytest.raises(RotationError, match="the pending secret names another server than the current one"):
        run(desk)
    assert server.places <= {("db", 5432)}


@pytest.mark.parametrize("work", [works.ROTATE, works.TEST_ROTATION])
def test_an_address_that_nobody_was_allowed_is_not_used(desk: Desk, server: Server, work: str) -> None:
    """A schedule has no caller who could be asked: what counts is who has named the address."""
    arn = desk.create("app", json.dumps(FIELDS))
    desk("rotate_secret", SecretId="app", RotateImmediately=work == works.ROTATE)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.address == "db:5432"

    def forget(transaction: Transaction) -> None:
        vault = Vault(transaction, desk.sealer)
        vault.save(desk_secret.model_copy(update={"rotation": rotation.model_copy(update={"address": "other:5432"})}))

    desk_secret = desk.secret(arn)
    desk.run(forget)
    if work == works.ROTATE:
        with pytest.raises(RotationError, match=r"^createSecret: no instance is registered at db:5432, which"):
            run(desk, work)
    else:
        run(desk, work)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and "tidegate:UseAddress there put the value again" in rotation.failure
    assert server.places == set()
    desk("put_secret_value", SecretId="app", SecretString=json.dumps(FIELDS))
    run(desk, work)
    assert server.places == {("db", 5432)}
