"""Filters, wildcards and pages."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.control.services.ec2.stage import Stage, tags
from tidegate.control.services.ec2.filters import matches, pattern_of


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
def test_wildcards_mean_what_they_mean_elsewhere(pattern: str, text: str) -> None:
    assert matches(pattern_of(pattern), text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"a\?b", "a?b", True),
        ("a\\\\b", "a\\b", True),
        ("a\\", "a\\", True),
        ("[a]", "[a]", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_backslash_takes_the_meaning_away(pattern: str, text: str, does: bool) -> None:
    assert matches(pattern_of(pattern), text) is does


def test_hostile_patterns_end(stage: Stage) -> None:
    assert not matches(pattern_of("*a" * 500), "a" * 499)
    assert matches(pattern_of("*" * 1000), "x" * 1000)


def test_all_filters_must_match_and_one_value_of_each(stage: Stage) -> None:
    one = stage.create_vpc("10.0.0.0/16", TagSpecifications=tags("vpc", Name="net-one", stage="test"))
    two = stage.create_vpc("10.1.0.0/16", TagSpecifications=tags("vpc", Name="net-two"))

    def found(**filters: str | list[str]) -> set[str]:
        names = {name.replace("_", "-").replace("tag--", "tag:"): value for name, value in filters.items()}
        return set(stage.found("DescribeVpcs", "Vpcs", "VpcId", names))

    assert found(tag__Name="net-*") == {one, two}
    assert found(tag__Name="net-*", cidr="10.1.*") == {two}
    assert found(cidr=["10.0.0.0/16", "10.1.0.0/16"], tag_key="stage") == {one}
    assert found(tag_value="test") == {one}
    assert found(owner_id="1234*") == {one, two, stage.vpc}
    assert found(is_default="true") == {stage.vpc}
    assert found(tag__Name="net-*", is_default="true") == set()


def test_filters_that_can_not_be(stage: Stage) -> None:
    for given_filters in (
        [{"Name": "colour", "Values": ["blue"]}],
        [{"Name": "cidr", "Values": ["x"] * 201}],
        [{"Name": "cidr", "Values": ["x" * 1025]}],
        [{"Name": "cidr", "Values": []}] * 51,
    ):
        stage.refused("DescribeVpcs", "InvalidParameterValue", Filters=given_filters)


def test_pages(stage: Stage) -> None:
    made = {stage.create_vpc(f"10.{number}.0.0/16") for number in range(11)} | {stage.vpc}
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = stage.call("DescribeVpcs", MaxResults=5, **more)
        seen += [vpc["VpcId"] for vpc in answer["Vpcs"]]
        if "NextToken" not in answer:
            break
        more = {"NextToken": answer["NextToken"]}
    assert seen == sorted(made)
    for bounds in (4, 1001):
        stage.refused("DescribeVpcs", "InvalidParameterValue", MaxResults=bounds)
    stage.refused("DescribeVpcs", "InvalidParameterValue", NextToken="no token!")
