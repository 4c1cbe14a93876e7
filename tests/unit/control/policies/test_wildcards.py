"""The two wildcards, against the simplest matcher that can be right."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.control.policies.wildcards import Glob, Wild, tokens


def naive(pattern: str, text: str) -> bool:
    """Straight from the definition, with every way tried."""

    @cache
    def rest(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(text)
        if pattern[at] == "*":
            return rest(at + 1, place) or (place < len(text) and rest(at, place + 1))
        return place < len(text) and pattern[at] in ("?", text[place]) and rest(at + 1, place + 1)

    return rest(0, 0)


@settings(deadline=None)
@given(st.text("ab*?.\n", max_size=12), st.text("ab.\n", max_size=16))
def test_it_is_what_the_definition_says(pattern: str, text: str) -> None:
    assert Glob(tokens(pattern)).matches(text) is naive(pattern, text)


@settings(deadline=None)
@given(st.text("ab*?", max_size=10), st.data())
def test_texts_made_from_a_pattern_match_it(pattern: str, data: st.DataObject) -> None:
    text = "".join(
        data.draw(st.text("ab", max_size=3)) if letter == "*" else "a" if letter == "?" else letter
        for letter in pattern
    )
    assert Glob(tokens(pattern)).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("?", "", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("secret:db-??????", "secret:db-a1B2c3", True),
        ("secret:db-??????", "secret:db-a1B2c34", False),
        ("[a]", "a", False),
        ("*.*", "a.b", True),
        ("a*b*c", "a-c-b", False),
    ],
)
def test_by_hand(pattern: str, text: str, matches: bool) -> None:
    assert Glob(tokens(pattern)).matches(text) is matches


@pytest.mark.parametrize("pattern", ["*a" * 3000, "*?" * 3000, "?*" * 1000 + "b", "*" + "?" * 5000 + "b*c"])
def test_no_pattern_takes_long(pattern: str) -> None:
    glob = Glob(tokens(pattern))
    start = time.process_time()
    for _ in range(3):
        glob.matches("a" * 2048)
    assert time.process_time() - start < 0.5


def test_asterisks_alone_are_everything() -> None:
    assert Glob(tokens("**")).is_everything
    assert not Glob(tokens("")).is_everything
    assert not Glob(tokens("*?")).is_everything


def test_a_text_in_a_pattern_is_never_a_wildcard() -> None:
    assert Glob(("a", "*", Wild.ONE)).matches("a*x")
    assert not Glob(("a", "*")).matches("ab")
