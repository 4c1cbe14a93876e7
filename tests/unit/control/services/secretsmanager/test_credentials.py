"""What RDS is told of a secret."""

from __future__ import annotations

import json

import pytest

from tests.unit.control.services.secretsmanager.desk import PREFIX, Context, Desk
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.chores import handlers
from tidegate.control.services.secretsmanager.credentials import (
    CredentialsError,
    DatabaseLogin,
    SecretCredentials,
    alternate_of,
    credentials_of,
)


def login(password: str, username: str = "app", **more: str) -> str:
    return json.dumps({"username": username, "password": password, **more})


def put(desk: Desk, text: str, *labels: str) -> None:
    more = {"VersionStages": list(labels)} if labels else {}
    desk("put_secret_value", SecretId="app", SecretString=text, **more)


def told(desk: Desk, arn: str) -> SecretCredentials:
    return desk.run(lambda transaction: credentials_of(transaction, desk.sealer, arn))


def test_username_and_password(desk: Desk) -> None:
    arn = desk.create("app", login("pw", port="5432"))
    for form in (arn, arn[:-7]):
        assert told(desk, form) == SecretCredentials(arn=arn, username="app", current="pw")


def test_all_that_may_be_valid_in_the_course_of_a_rotation(desk: Desk) -> None:
    arn = desk.create("app", login("one"))
    put(desk, login("two"), "AWSPENDING")
    found = told(desk, arn)
    assert (found.current, found.pending, found.previous) == ("one", "two", None)
    put(desk, login("three"))
    assert told(desk, arn).passwords == ("three", "two", "one")
    handlers(desk.sealer)[works.END_GRACE](Context(desk, works.end_grace(arn, desk.at)))
    assert told(desk, arn).passwords == ("three", "two")


def test_what_is_the_same_is_told_once(desk: Desk) -> None:
    arn = desk.create("app", login("one"))
    put(desk, login("two"), "AWSPENDING")
    put(desk, login("two", port="1"))
    assert told(desk, arn).passwords == ("two", "one")


def test_users_that_take_turns(desk: Desk) -> None:
    arn = desk.create("app", login("one"))
    put(desk, login("two", "app_clone"))
    handlers(desk.sealer)[works.END_GRACE](Context(desk, works.end_grace(arn, desk.at)))
    found = told(desk, arn)
    assert (found.username, found.passwords) == ("app_clone", ("two",))
    assert found.alternate == DatabaseLogin("app", ("one",))
    put(desk, login("three"), "AWSPENDING")
    assert told(desk, arn).alternate == DatabaseLogin("app", ("three", "one"))


def test_another_user_in_another_version_is_left_out(desk: Desk) -> None:
    arn = desk.create("app", login("one", "root"))
    put(desk, login("two"))
    assert told(desk, arn) == SecretCredentials(arn=arn, username="app", current="two")


@pytest.mark.parametrize("pending", ["", "not json", "{}", '{"username": "app", "password": 5}'])
def test_a_bad_version_beside_the_current_one_does_no_harm(desk: Desk, pending: str) -> None:
    arn = desk.create("app", login("one"))
    put(desk, pending or "[]", "AWSPENDING")
    assert told(desk, arn).passwords == ("one",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("canary", "the secret's value is not JSON"),
        ("[" * 60_000, "the secret's value is not JSON"),
        ('"canary"', "the secret's value is not a JSON object"),
        ('{"password": "canary"}', 'the secret\'s value has no key "username" with text in it'),
        ('{"username": "canary"}', 'the secret\'s value has no key "password" with text in it'),
        ('{"username": "u", "password": 17}', 'the secret\'s value has no key "password" with text in it'),
        ('{"username": "u", "password": ""}', 'the secret\'s value has no key "password" with text in it'),
        ('{"username": "u", "password": "\\u0000"}', 'the secret\'s "password" has characters that no database takes'),
        ('{"username": "\\ud800", "password": "p"}', 'the secret\'s "username" has characters that no database takes'),
    ],
)
def test_secrets_that_are_no_credentials(desk: Desk, text: str, why: str) -> None:
    arn = desk.create("app", text)
    with pytest.raises(CredentialsError) as caught:
        told(desk, arn)
    assert str(caught.value) == why


def test_secrets_without_credentials(desk: Desk) -> None:
    cases = {"the secret's value is binary, not JSON": desk.create("b", None, SecretBinary=b"{}")}
    cases["the secret has no value for staging label AWSCURRENT"] = desk.create("n", None)
    cases["the secret does not exist"] = PREFIX + "none-abcdef"
    cases["the secret is scheduled for deletion"] = desk.create("d", login("x"))
    desk("delete_secret", SecretId="d")
    for why, arn in cases.items():
        with pytest.raises(CredentialsError, match=why):
            told(desk, arn)
    with pytest.raises(CredentialsError, match="does not exist"):
        told(desk, "nonsense")


def test_no_password_shows_in_a_repr(desk: Desk) -> None:
    arn = desk.create("app", login("canary1"))
    put(desk, login("canary2", "app_clone"))
    put(desk, login("canary3", "app_clone"))
    found = told(desk, arn)
    assert len(found.passwords) == 2 and "canary" not in repr(found)
    assert "canary" not in repr(DatabaseLogin("app", ("canary",)))


def test_who_takes_turns_with_whom() -> None:
    assert alternate_of("app") == "app_clone" and alternate_of("app_clone") == "app"
