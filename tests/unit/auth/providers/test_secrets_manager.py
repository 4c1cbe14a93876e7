"""Secrets of Secrets Manager: which stages count, and that one bad version spoils nothing but itself."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.session import Session
from botocore.stub import Stubber

from tidegate.auth.providers.secrets_manager import CURRENT, GRACE, PENDING, PREVIOUS, SecretsManager, SecretValue
from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-a1b2c3"
NOW = 1_800_000_000.0
CANARY = "5up3rs3cr3t"


class World:
    """A secret: `stages` by label, each with its version's id and text ("": binary); what is not there is refused."""

    def __init__(self) -> None:
        self.client = Session().create_client(
            "secretsmanager", region_name="eu-west-1", aws_access_key_id="A", aws_secret_access_key="S"
        )
        self.stubber = Stubber(self.client)
        self.stages: dict[str, tuple[str, str]] = {}
        self.refusals: dict[str, tuple[str, int]] = {}
        self.made = NOW - 10

    def fetch(self, *asked: str) -> SecretValue:
        """Only these stages are asked for, in this order; by default all three."""
        for stage in asked or (PENDING, CURRENT, PREVIOUS):
            self._prepare(stage)
        session = AwsSession(region="eu-west-1")
        session._clients["secretsmanager"] = self.client
        with self.stubber:
            found = SecretsManager(session).fetch(ARN, NOW)
            self.stubber.assert_no_pending_responses()
        return found

    def refusal(self, *asked: str) -> str:
        with pytest.raises(AwsUnavailable) as caught:
            self.fetch(*asked or (PENDING, CURRENT))
        assert CANARY not in str(caught.value)
        return str(caught.value)

    def _prepare(self, stage: str) -> None:
        parameters = {"SecretId": ARN, "VersionStage": stage}
        if stage in self.stages:
            version, text = self.stages[stage]
            answer = {
                "ARN": ARN,
                "VersionId": version.ljust(32, "0"),
                **({"SecretString": text} if text else {"SecretBinary": b"5up3rs3cr3t"}),
                "CreatedDate": dt.datetime.fromtimestamp(self.made, dt.UTC),
            }
            self.stubber.add_response("get_secret_value", answer, parameters)
        else:
            code, status = self.refusals.get(stage, ("ResourceNotFoundException", 400))
            self.stubber.add_client_error("get_secret_value", code, "the words", status, expected_params=parameters)


def value(password: str, username: str = "app") -> str:
    return json.dumps({"engine": "postgres", "username": username, "password": password, "port": 5432})


@pytest.fixture
def world() -> World:
    return World()


def test_the_current_one(world: World) -> None:
    world.stages[CURRENT] = "1", value(CANARY)
    found = world.fetch()
    assert found == SecretValue("app", (CANARY,))
    assert CANARY not in repr(found)


def test_all_that_may_be_valid_the_likeliest_first(world: World) -> None:
    world.stages = {CURRENT: ("2", value("now")), PENDING: ("3", value("next")), PREVIOUS: ("1", value("before"))}
    assert world.fetch().passwords == ("now", "next", "before")


def test_one_version_of_two_stages_counts_once(world: World) -> None:
    world.stages = {CURRENT: ("2", value("now")), PENDING: ("2", value("now")), PREVIOUS: ("1", value("now"))}
    assert world.fetch().passwords == ("now",)


@pytest.mark.parametrize(("age", "found"), [(GRACE, ("now", "before")), (GRACE + 1, ("now",))])
def test_the_previous_one_has_a_grace(world: World, age: float, found: tuple[str, ...]) -> None:
    """Counted from when the current one was made."""
    world.stages = {CURRENT: ("2", value("now")), PREVIOUS: ("1", value("before"))}
    world.made = NOW - age
    assert world.fetch().passwords == found


def test_alternating_users(world: World) -> None:
    """The other version is another user's: its password is not this one's."""
    world.stages = {CURRENT: ("2", value("now", "app_clone")), PREVIOUS: ("1", value("before", "app"))}
    assert world.fetch() == SecretValue("app_clone", ("now",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        f'["{CANARY}"]',
        f'"{CANARY}"',
        f'{{"password": "{CANARY}"}}',
        f'{{"username": "{CANARY}"}}',
        "null",
        "[" * 60_000,
        '{"username": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_database_secret(world: World, text: str) -> None:
    world.stages[CURRENT] = "1", text
    assert world.refusal() == f'secret {ARN} must be JSON with "username" and "password"'


@pytest.mark.parametrize(
    "text",
    [
        '{"username": "app", "password": 5}',
        '{"username": null, "password": "x"}',
        '{"username": "app", "password": ""}',
        '{"username": "app", "password": "5up3rs3cr3t\\u0000"}',
        '{"username": "a\\u0000pp", "password": "5up3rs3cr3t"}',
    ],
)
def test_what_are_no_texts(world: World, text: str) -> None:
    world.stages[CURRENT] = "1", text
    assert world.refusal() == f'secret {ARN}: "username" and "password" must be texts'


@pytest.mark.parametrize("stage", [PENDING, PREVIOUS])
@pytest.mark.parametrize("text", [CANARY, "", '{"username": "app", "password": 5}'])
def test_a_damaged_version_beside_a_good_one(world: World, stage: str, text: str) -> None:
    """Whoever mends a secret has the damaged text for its previous version: that must not keep the mended one away."""
    world.stages = {CURRENT: ("2", value("now")), stage: ("1", text)}
    assert world.fetch().passwords == ("now",)


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"])
def test_no_current_one(world: World, code: str) -> None:
    world.refusals[CURRENT] = code, 400
    assert world.refusal() == f"secret {ARN}: {code}: the words"


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"])
def test_who_may_read_the_current_one_only(world: World, code: str) -> None:
    world.stages[CURRENT] = "1", value("now")
    world.refusals = {PENDING: (code, 400), PREVIOUS: (code, 400)}
    assert world.fetch().passwords == ("now",)


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalServiceError", 500)])
def test_what_will_pass_takes_no_password_away(world: World, code: str, status: int) -> None:
    """Half an answer would drop a password that is still good; so there is none, and what was known stays."""
    world.stages[CURRENT] = "1", value("now")
    world.refusals[PENDING] = code, status
    assert world.refusal(PENDING) == f"secret {ARN}: {code}: the words"


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
@pytest.mark.parametrize("keeps_label", [False, True])
def test_a_rotation_that_ends_between_two_calls(
    world: World, monkeypatch: pytest.MonkeyPatch, calls: int, keeps_label: bool
) -> None:
    """The database has the new password already: whenever the labels move, none of the two may be missing."""
    old, new = ("1" * 32, value("first")), ("2" * 32, value("second"))
    before = {CURRENT: old, PENDING: new}
    after = {CURRENT: new, PREVIOUS: old} | ({PENDING: new} if keeps_label else {})
    asked: list[str] = []

    def answer(*, SecretId: str, VersionStage: str) -> dict[str, Any]:
        asked.append(VersionStage)
        stages = before if len(asked) <= calls else after
        if VersionStage not in stages:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": "no such stage"}}
            raise world.client.exceptions.ResourceNotFoundException(error, "GetSecretValue")
        version, text = stages[VersionStage]
        return {"VersionId": version, "SecretString": text, "CreatedDate": dt.datetime.fromtimestamp(NOW, dt.UTC)}

    session = AwsSession(region="eu-west-1")
    monkeypatch.setattr(world.client, "get_secret_value", answer)
    session._clients["secretsmanager"] = world.client
    assert set(SecretsManager(session).fetch(ARN, NOW).passwords) == {"first", "second"}


def test_no_way_to_aws(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://example.com")

    session = AwsSession(region="eu-west-1")
    monkeypatch.setattr(world.client, "get_secret_value", fail)
    session._clients["secretsmanager"] = world.client
    with pytest.raises(AwsUnavailable, match=f"secret {ARN}: Could not connect to the endpoint URL"):
        SecretsManager(session).fetch(ARN, NOW)
