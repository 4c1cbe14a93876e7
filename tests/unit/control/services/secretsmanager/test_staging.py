"""UpdateSecretVersionStage, and labels' rules against answers that were recorded from AWS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.control.services.secretsmanager.desk import Desk
from tidegate.control.services.secretsmanager import labels
from tidegate.control.services.secretsmanager.records import Version

ONE, TWO, THREE, FOUR = (digit * 32 for digit in "1234")


def put(desk: Desk, token: str, *stages: str) -> None:
    more = {"VersionStages": list(stages)} if stages else {}
    desk("put_secret_value", SecretId="app", SecretString=token, ClientRequestToken=token, **more)


def move(desk: Desk, label: str, source: str | None, target: str | None) -> dict[str, object]:
    ends = {"RemoveFromVersionId": source, "MoveToVersionId": target}
    given_ends = {key: value for key, value in ends.items() if value is not None}
    return desk("update_secret_version_stage", SecretId="app", VersionStage=label, **given_ends)


def test_current_and_pending_take_turns(desk: Desk) -> None:
    """LocalStack's recording "current_pending_cycle_custom_stages_2", from AWS."""
    arn = desk.create(ClientRequestToken=ONE)
    put(desk, TWO, "AWSCURRENT", "PUT0")
    put(desk, THREE, "AWSPENDING", "PUT1")
    assert move(desk, "AWSCURRENT", TWO, THREE) == {"ARN": arn, "Name": "app"}
    assert desk.labels(arn) == {TWO: ["AWSPREVIOUS", "PUT0"], THREE: ["AWSCURRENT", "AWSPENDING", "PUT1"]}
    put(desk, FOUR, "AWSPENDING", "PUT2")
    assert desk.labels(arn)[THREE] == ["AWSCURRENT", "PUT1"]
    move(desk, "AWSCURRENT", THREE, FOUR)
    assert desk.labels(arn) == {
        TWO: ["PUT0"],
        THREE: ["AWSPREVIOUS", "PUT1"],
        FOUR: ["AWSCURRENT", "AWSPENDING", "PUT2"],
    }


def test_pending_does_not_stay_on_what_was_current(desk: Desk) -> None:
    """LocalStack's recording "current_pending", from AWS."""
    arn = desk.create(ClientRequestToken=ONE)
    put(desk, TWO, "AWSPENDING")
    move(desk, "AWSCURRENT", ONE, TWO)
    put(desk, THREE)
    assert desk.labels(arn) == {TWO: ["AWSPREVIOUS"], THREE: ["AWSCURRENT"]}


def test_back_to_the_previous_version(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=ONE)
    put(desk, TWO)
    move(desk, "AWSCURRENT", TWO, ONE)
    assert desk.labels(arn) == {ONE: ["AWSCURRENT"], TWO: ["AWSPREVIOUS"]}
    assert desk.secret(arn).previous_valid


def test_a_label_is_added_moved_and_removed(desk: Desk) -> None:
    arn = desk.create(ClientRequestToken=ONE)
    put(desk, TWO)
    move(desk, "x", None, ONE)
    move(desk, "x", None, ONE)
    move(desk, "x", ONE, TWO)
    assert desk.labels(arn) == {ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT", "x"]}
    move(desk, "x", TWO, None)
    assert desk.labels(arn)[TWO] == ["AWSCURRENT"]


@pytest.mark.parametrize(
    ("label", "source", "target", "told"),
    [
        (
            "AWSCURRENT",
            None,
            ONE,
            "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to "
            f"version {TWO}, so you must explicitly reference that version in RemoveFromVersionId.",
        ),
        (
            "AWSCURRENT",
            TWO,
            None,
            "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
        ),
        ("AWSCURRENT", ONE, TWO, f"Staging label AWSCURRENT isn't attached to version {ONE}."),
        ("x", ONE, None, f"Staging label x isn't attached to version {ONE}."),
        ("x", None, None, "You must specify RemoveFromVersionId or MoveToVersionId."),
    ],
)
def test_moves_that_are_refused(desk: Desk, label: str, source: str | None, target: str | None, told: str) -> None:
    arn = desk.create(ClientRequestToken=ONE)
    put(desk, TWO)
    before = desk.labels(arn)
    ends = {"RemoveFromVersionId": source, "MoveToVersionId": target}
    given_ends = {key: value for key, value in ends.items() if value}
    refused = desk.refused("update_secret_version_stage", SecretId="app", VersionStage=label, **given_ends)
    assert refused == ("InvalidParameterException", told)
    assert desk.labels(arn) == before


def test_versions_that_are_not_there_and_secrets_that_are_going(desk: Desk) -> None:
    desk.create(ClientRequestToken=ONE)
    stage = {"SecretId": "app", "VersionStage": "x", "MoveToVersionId": TWO}
    assert desk.refused("update_secret_version_stage", **stage) == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret version.",
    )
    desk("delete_secret", SecretId="app")
    assert desk.refused("update_secret_version_stage", **stage)[0] == "InvalidRequestException"


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.lists(st.sampled_from(["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "x"]), max_size=3),
        )
    )
)
def test_a_label_is_never_at_two_versions(moves: list[tuple[str, list[str]]]) -> None:
    versions = {id_: Version(created=0.0, content="string") for id_ in "abc"}
    for version_id, given_labels in moves:
        versions = labels.attach(versions, version_id, given_labels)
        everywhere = [label for version in versions.values() for label in version.labels]
        assert len(everywhere) == len(set(everywhere))
        assert all(list(version.labels) == sorted(version.labels) for version in versions.values())
        assert set(given_labels) - {"AWSPREVIOUS", "AWSPENDING"} <= set(versions[version_id].labels)
