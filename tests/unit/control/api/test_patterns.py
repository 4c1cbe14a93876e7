"""The models' regular expressions: none of them can be kept busy, and all mean what they mean to AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as constants
from re import _parser as parser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.api.models import load_api
from tidegate.control.api.patterns import REWRITTEN, compiled

SERVICES = ("sts", "iam", "rds", "ec2", "secretsmanager")
REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT)

REVIEWED = {
    # Each turn of the outer loop begins, or ends, with a character that the inner one cannot take: one way to match.
    r"((/[A-Za-z0-9\.,\+@=_-]+)*)/",
    r"arn:aws[a-z\-]*:rds(-[a-z]*)?:[a-z0-9\-]*:[0-9]*:(cluster|db):[a-z][a-z0-9]*(-[a-z0-9]+)*",
    r"^([a-z]+-)+\d+$",
    # Bounded to so few turns that it does not matter.
    r"^([0-9]{1,3}.){3}[0-9]{1,3}$",
}


def patterns() -> set[str]:
    found = set()
    for service in SERVICES:
        model = load_api(service).model
        for name in model.shape_names:
            found.add(model.shape_for(name).metadata.get("pattern"))
    return found - {None}


def loops_in_loops(tokens: Any, inside: bool = False) -> Iterator[bool]:
    """Whether a part that repeats holds a part that repeats, for each such part. Possessive ones don't go back."""
    for code, argument in tokens:
        if code in REPEATS:
            repeats = argument[1] > 1
            if inside and repeats:
                yield True
            yield from loops_in_loops(argument[2], inside or repeats)
        elif code is constants.SUBPATTERN:
            yield from loops_in_loops(argument[3], inside)
        elif code is constants.BRANCH:
            for branch in argument[1]:
                yield from loops_in_loops(branch, inside)
        elif code in (constants.ASSERT, constants.ASSERT_NOT):
            yield from loops_in_loops(argument[1], inside)


def test_every_pattern_of_the_models_compiles_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert len(patterns()) > 60
    for pattern in patterns():
        compiled(pattern)
    assert [str(warning.message) for warning in recwarn] == []


def test_no_pattern_has_a_loop_in_a_loop_that_nobody_has_looked_at() -> None:
    suspicious = {each for each in patterns() if any(loops_in_loops(parser.parse(compiled(each).pattern)))}
    assert suspicious == REVIEWED


def test_the_search_finds_such_a_loop() -> None:
    """Else the test above proves nothing: these are what had to be rewritten."""
    for pattern in REWRITTEN:
        assert any(loops_in_loops(parser.parse(pattern)))


@given(st.sampled_from(sorted(REWRITTEN)), st.text("aB-0_", max_size=12))
def test_what_was_rewritten_accepts_the_same(pattern: str, text: str) -> None:
    assert bool(compiled(pattern).fullmatch(text)) == bool(re.fullmatch(pattern, text))


def test_a_name_made_to_keep_it_busy_does_not() -> None:
    """The pattern as it is in the model takes longer for this than the universe has."""
    for pattern in REWRITTEN:
        assert compiled(pattern).fullmatch("a" * 5000 + "!") is None


def test_words_are_of_ascii() -> None:
    assert compiled(r"[\w+=,.@-]+").fullmatch("naïve") is None
    assert compiled(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+").fullmatch("naïve \u2003٣") is not None
    assert compiled(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+").fullmatch("€") is None
