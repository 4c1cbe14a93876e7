"""GetRandomPassword: what is in a password, and what is not."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.control.services.secretsmanager.desk import Desk
from tidegate.control.errors import AwsError
from tidegate.control.services.secretsmanager.passwords import random_password

TYPES = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


def test_a_password_of_all_types(desk: Desk) -> None:
    made = {desk("get_random_password")["RandomPassword"] for _ in range(20)}
    assert len(made) == 20
    for password in made:
        assert len(password) == 32 and " " not in password
        assert all(set(password) & set(kind) for kind in TYPES.values())
    assert desk.guard.asked[0][:2] == ("secretsmanager:GetRandomPassword", "*")


@given(
    options=st.fixed_dictionaries({option: st.booleans() for option in TYPES}),
    space=st.booleans(),
    excluded=st.text(string.printable, max_size=60),
    length=st.integers(5, 40),
)
def test_options(options: dict[str, bool], space: bool, excluded: str, length: int) -> None:
    kinds = [set(kind) - set(excluded) for option, kind in TYPES.items() if not options[option]]
    kinds += [{" "} - set(excluded)] if space else []
    allowed = set().union(*kinds)
    wanted: dict[str, Any] = {
        **options,
        "IncludeSpace": space,
        "ExcludeCharacters": excluded,
        "PasswordLength": length,
    }
    if not allowed:
        with pytest.raises(AwsError, match="every character is excluded"):
            random_password(wanted)
        return
    password = random_password(wanted)
    assert len(password) == length and set(password) <= allowed
    assert all(set(password) & kind for kind in kinds if kind)


def test_lengths() -> None:
    assert len(random_password({"PasswordLength": 4})) == 4
    assert len(random_password({"PasswordLength": 4096})) == 4096
    assert len(random_password({"PasswordLength": 1, "RequireEachIncludedType": False})) == 1
    with pytest.raises(AwsError) as caught:
        random_password({"PasswordLength": 3})
    assert (caught.value.code, caught.value.message) == (
        "InvalidParameterException",
        "Password length is too short based on the required types.",
    )
    for length in (0, 4097):
        with pytest.raises(AwsError, match="PasswordLength must be between 1 and 4096"):
            random_password({"PasswordLength": length})


def test_every_place_may_have_every_character() -> None:
    """What is required must not always stand at the same place."""
    firsts = {random_password({"PasswordLength": 5})[0] for _ in range(400)}
    assert all(firsts & set(kind) for kind in TYPES.values())
