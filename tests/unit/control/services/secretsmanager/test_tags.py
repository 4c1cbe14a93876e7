"""TagResource and UntagResource."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control.services.secretsmanager.desk import NOON, Desk


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_tags_come_and_go(desk: Desk) -> None:
    desk.create("app", Tags=pairs(a="1", b="2"))
    desk.at += 9
    assert desk("tag_resource", SecretId="app", Tags=pairs(b="3", c="")) == {}
    described = desk("describe_secret", SecretId="app")
    assert described["Tags"] == pairs(a="1", b="3", c="")
    assert described["LastChangedDate"].timestamp() == NOON + 9
    assert desk("untag_resource", SecretId="app", TagKeys=["a", "c", "nothing"]) == {}
    assert desk("describe_secret", SecretId="app")["Tags"] == pairs(b="3")
    desk("untag_resource", SecretId="app", TagKeys=["b"])
    assert "Tags" not in desk("describe_secret", SecretId="app")


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (pairs(**{"aws:x": "1"}), "Tag keys can't begin with aws:, which is reserved for AWS use."),
        (pairs(**{"k" * 129: "1"}), "A tag key must have 1 to 128 characters and a tag value at most 256."),
        (pairs(k="v" * 257), "A tag key must have 1 to 128 characters and a tag value at most 256."),
        (pairs(a="1") + pairs(a="2"), "Duplicate tag keys found: a"),
        (pairs(**{f"k{number}": "" for number in range(50)}), "A secret can have at most 50 tags."),
    ],
)
def test_tags_that_cannot_be(desk: Desk, tags: list[dict[str, str]], told: str) -> None:
    desk.create("app", Tags=pairs(first="1"))
    assert desk.refused("tag_resource", SecretId="app", Tags=tags) == ("InvalidParameterException", told)
    assert desk("describe_secret", SecretId="app")["Tags"] == pairs(first="1")


def test_a_caller_does_not_lose_a_secret_by_a_tag(desk: Desk) -> None:
    desk.create("app", Tags=pairs(team="a"))

    def other_team(action: str, resource: str, context: Any) -> bool:
        return context.get("aws:ResourceTag/team") != "a"

    desk.guard.refused = other_team
    assert desk.refused("tag_resource", SecretId="app", Tags=pairs(team="b"))[0] == "AccessDeniedException"
    assert desk.refused("untag_resource", SecretId="app", TagKeys=["team"])[0] == "AccessDeniedException"
    desk("tag_resource", SecretId="app", Tags=pairs(other="b"))
    assert desk("describe_secret", SecretId="app")["Tags"] == pairs(team="a", other="b")


def test_a_secret_that_is_going_takes_no_tags(desk: Desk) -> None:
    desk.create("app")
    desk("delete_secret", SecretId="app")
    assert desk.refused("tag_resource", SecretId="app", Tags=[])[0] == "InvalidRequestException"
    assert desk.refused("untag_resource", SecretId="app", TagKeys=["a"])[0] == "InvalidRequestException"
