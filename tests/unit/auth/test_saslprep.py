"""SASLprep: RFC 4013's examples and PostgreSQL's leniency."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.saslprep import saslprep


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u200b\u00a0x", "  x"),  # PostgreSQL takes U+200B for a space, not for nothing
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
        ("u\u0308", "ü"),
    ],
)
def test_prepared(password: str, prepared: str) -> None:
    assert saslprep(password.encode()) == prepared.encode()


@pytest.mark.parametrize(
    "password",
    [
        "\u0007",  # RFC 4013 prohibits it; pure ASCII is not looked at
        "\u00aa\u0007",
        "\u0627\u0031",  # right to left, but ends with a digit
        "\u0627a\u0627",
        "ü\u0221",  # unassigned in Unicode 3.2
        "ü\ue000",
        "\u00ad",  # nothing would be left
        "ü\u2028",
    ],
)
def test_prohibited_text_is_used_as_it_is(password: str) -> None:
    assert saslprep(password.encode()) == password.encode()


@pytest.mark.parametrize("password", [b"\xff", b"\xc0\x80", b"abc\xe4", b"\xed\xa0\x80"])
def test_other_encodings_are_used_as_they_are(password: bytes) -> None:
    assert saslprep(password) == password


@given(st.binary())
def test_any_bytes_are_taken(password: bytes) -> None:
    prepared = saslprep(password)
    assert prepared == password or unicodedata.is_normalized("NFKC", prepared.decode())
