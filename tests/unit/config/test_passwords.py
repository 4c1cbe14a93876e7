"""Passwords: which form one has, and what ${NAME} stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.passwords import SecretKind, expand, kind_of

KEY = "A" * 43 + "="
VERIFIER = f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}"


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (VERIFIER, SecretKind.SCRAM_VERIFIER),
        ("md5" + "0a" * 16, SecretKind.MD5_HASH),
        ("md5" + "0A" * 16, SecretKind.PLAIN),
        ("md5" + "0a" * 15, SecretKind.PLAIN),
        ("md5" + "0a" * 16 + "\n", SecretKind.PLAIN),
        ("hunter2", SecretKind.PLAIN),
        ("SCRAM-SHA-256", SecretKind.PLAIN),
        ("", SecretKind.PLAIN),
    ],
)
def test_kind(secret: str, kind: SecretKind) -> None:
    assert kind_of(secret) is kind


@pytest.mark.parametrize(
    "secret",
    [
        "SCRAM-SHA-256$",
        VERIFIER[:-1],
        VERIFIER + "x",
        VERIFIER + "\n",
        VERIFIER.replace("4096", "0"),
        VERIFIER.replace("4096", "-1"),
        VERIFIER.replace("c2FsdA==", ""),
        VERIFIER.replace(KEY, "AAAA", 1),
    ],
)
def test_broken_verifier_is_not_a_password(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a whole SCRAM verifier") as caught:
        kind_of(secret)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoney${A}z"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ $$ {A}", "$A $ $$ {A}"),
        (VERIFIER, VERIFIER),
        ("${EMPTY}", ""),
        ("${unclosed", "${unclosed"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, {"A": "one", "B": "${A}", "EMPTY": ""}) == expanded


def test_expand_names_an_unset_variable() -> None:
    with pytest.raises(ValueError, match=r"^environment variable NOPE is not set$"):
        expand("secret${NOPE}", {})


@pytest.mark.parametrize("text", ["${}", "${a b}", "${1}", "${A:-default}"])
def test_expand_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="names no environment variable"):
        expand(text, {"A": "one"})


@given(st.text(alphabet=st.characters(exclude_characters="{")))
def test_text_without_braces_stays(text: str) -> None:
    assert expand(text, {}) == text
