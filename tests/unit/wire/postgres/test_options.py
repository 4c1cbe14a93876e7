"""The splitting of `options` as PostgreSQL does it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.postgres.options import parse_options, split_options

SPACES = b" \t\n\r\v\f"


def as_postgresql_splits(text: bytes) -> list[bytes]:
    """What the manual says of `options`, written down once more and another way."""
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(text) and text[at] in SPACES:
            at += 1
        if at >= len(text):
            return words
        word = b""
        while at < len(text) and text[at] not in SPACES:
            if text[at] == 0x5C:
                at += 1
            word += text[at : at + 1]
            at += 1
        words.append(word)


@given(st.text("ab=-c\\ \t\n", max_size=24))
def test_splitting_against_a_model(text: str) -> None:
    assert split_options(text.encode()) == as_postgresql_splits(text.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", []),
        (b"  ", []),
        (b"a", [b"a"]),
        (b"  a  b ", [b"a", b"b"]),
        (rb"a\ b c", [b"a b", b"c"]),
        (rb"a\\b", [rb"a\b"]),
        (rb"\a", [b"a"]),
        (b"a\\", [b"a"]),
        (b"\\", [b""]),
        (b"a\tb\nc\rd\ve\ff", [b"a", b"b", b"c", b"d", b"e", b"f"]),
        (b"'a b'", [b"'a", b"b'"]),
    ],
)
def test_splitting(text: bytes, words: list[bytes]) -> None:
    assert split_options(text) == words


@pytest.mark.parametrize(
    ("text", "settings", "others"),
    [
        (b"-c a=b", {b"a": b"b"}, []),
        (b"-ca=b", {b"a": b"b"}, []),
        (b"--a=b", {b"a": b"b"}, []),
        (b"--a-b=c", {b"a_b": b"c"}, []),
        (b"-c a-b=c-d", {b"a_b": b"c-d"}, []),
        (b"-c a=", {b"a": b""}, []),
        (b"-c a=b=c", {b"a": b"b=c"}, []),
        (rb"-c search_path=a,\ b", {b"search_path": b"a, b"}, []),
        (b"-c a=b -c a=c", {b"a": b"c"}, []),
        (b"-c a=b --c=d -e", {b"a": b"b", b"c": b"d"}, [b"-e"]),
        (b"-c", {}, [b"-c "]),
        (b"-c a", {}, [b"-c a"]),
        (b"-c =b", {}, [b"-c =b"]),
        (b"--a", {}, [b"--a"]),
        (b"--=b", {}, [b"--=b"]),
        (b"plain", {}, [b"plain"]),
        (b"-d 3", {}, [b"-d", b"3"]),
    ],
)
def test_options(text: bytes, settings: dict[bytes, bytes], others: list[bytes]) -> None:
    assert parse_options(text) == (settings, others)
