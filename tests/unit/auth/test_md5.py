"""MD5 authentication: what PostgreSQL stores and expects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.md5 import is_md5_hash, md5_hash, md5_response, verify_md5

STORED = "md593a7f65f0b91e5f1ba3cfdbb2ac21d11"


def test_stored_form() -> None:
    assert md5_hash("foo", "bar") == "md596948aad3fcae80c08a35c9b5958cd89"
    assert md5_hash("föö", "\udcff") != md5_hash("föö", "")


def test_response() -> None:
    stored = md5_hash("postgres", "secret")
    assert md5_response(stored, b"\x01\x02\x03\x04") == "md5bb41a296aab6baccb36ff243a562abff"


@pytest.mark.parametrize(
    "text", ["", "md5", STORED[:-1], STORED + "0", STORED.upper(), "md5" + "g" * 32, STORED + "\n"]
)
def test_not_the_stored_form(text: str) -> None:
    assert not is_md5_hash(text)
    with pytest.raises(ValueError):
        md5_response(text, bytes(4))


def test_salt_has_four_bytes() -> None:
    with pytest.raises(ValueError):
        md5_response(STORED, bytes(5))


@given(st.binary(max_size=60), st.binary(min_size=4, max_size=4))
def test_only_the_right_answer_verifies(answer: bytes, salt: bytes) -> None:
    right = md5_response(STORED, salt).encode()
    assert verify_md5(STORED, salt, right)
    assert verify_md5(STORED, salt, answer) == (answer == right)
