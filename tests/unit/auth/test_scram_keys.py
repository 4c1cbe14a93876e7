"""Stored keys: PostgreSQL's text form, derivation against Python's own, mocks."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.scram_keys import ScramKeys

SALT = base64.b64encode(b"0123456789abcdef").decode()
KEY = base64.b64encode(bytes(range(32))).decode()
TEXT = f"SCRAM-SHA-256$4096:{SALT}${KEY}:{KEY}"


def test_text_form() -> None:
    keys = ScramKeys.parse(TEXT)
    assert (keys.salt, keys.iterations, keys.stored_key) == (b"0123456789abcdef", 4096, bytes(range(32)))
    assert keys.text() == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$",
        TEXT.replace("256$", "512$"),
        TEXT.replace("4096", "0"),
        TEXT.replace("4096", "-1"),
        TEXT.replace("4096", ""),
        TEXT.replace("4096", "²"),
        TEXT.replace("4096", "2147483648"),
        TEXT.replace("4096", "9" * 5000),
        TEXT.replace(SALT, ""),
        TEXT.replace(SALT, "Zm9v!"),
        TEXT[:-1],
        TEXT + "A",
        TEXT + ":",
        TEXT.replace(KEY, KEY[:-4]),
        TEXT.replace(SALT, "AAAA" * 300),
        TEXT.replace(SALT, "\udcff\ud800"),
    ],
)
def test_texts_that_are_no_verifier(text: str) -> None:
    with pytest.raises(ValueError):
        ScramKeys.parse(text)


@given(st.text(max_size=200).map(lambda rest: "SCRAM-SHA-256$" + rest))
def test_any_other_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        ScramKeys.parse(text)


@given(st.binary(max_size=80), st.binary(min_size=1, max_size=64), st.integers(1, 5))
def test_derivation(password: bytes, salt: bytes, iterations: int) -> None:
    password = password.decode("ascii", "replace").encode("ascii", "replace")  # SASLprep leaves ASCII alone
    keys = ScramKeys.from_password(password, salt, iterations)
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    assert keys.stored_key == hashlib.sha256(client_key).digest()
    assert keys.server_key == hmac.digest(salted, b"Server Key", "sha256")


def test_saslprep_is_applied() -> None:
    keys = ScramKeys.from_password("I\u00adX", b"salt", 1)
    assert keys == ScramKeys.from_password("IX", b"salt", 1)
    assert keys.verify_password("I\u00adX".encode())


def test_salts_are_random_of_sixteen_bytes() -> None:
    one, other = (ScramKeys.from_password("x", iterations=1) for _ in range(2))
    assert one.salt != other.salt
    assert len(one.salt) == 16


def test_verify_password() -> None:
    keys = ScramKeys.from_password("right", iterations=1)
    assert keys.verify_password("right")
    assert not keys.verify_password("wrong")


@pytest.mark.parametrize(
    ("salt", "iterations", "stored_key", "server_key"),
    [
        (b"", 1, bytes(32), bytes(32)),
        (b"s", 0, bytes(32), bytes(32)),
        (b"s", 1 << 31, bytes(32), bytes(32)),
        (b"s", 1, bytes(31), bytes(32)),
        (b"s", 1, bytes(32), bytes(33)),
    ],
)
def test_impossible_keys(salt: bytes, iterations: int, stored_key: bytes, server_key: bytes) -> None:
    with pytest.raises(ValueError):
        ScramKeys(salt, iterations, stored_key, server_key)


@pytest.mark.parametrize("iterations", [0, -1, 1 << 31])
def test_impossible_iterations(iterations: int) -> None:
    with pytest.raises(ValueError):
        ScramKeys.from_password("x", b"salt", iterations)


def test_mocks_are_stable_and_look_real() -> None:
    mock = ScramKeys.mock(b"bob", b"secret")
    assert mock == ScramKeys.mock(b"bob", b"secret")
    assert mock.salt == ScramKeys.stable_salt(b"bob", b"secret")
    assert len(mock.salt) == 16
    assert mock.iterations == 4096
    assert mock.salt != ScramKeys.mock(b"eve", b"secret").salt
    assert mock.salt != ScramKeys.mock(b"bob", b"other").salt
    assert mock != ScramKeys(mock.salt, mock.iterations, mock.stored_key, mock.server_key)


def test_keys_do_not_show_themselves() -> None:
    keys = ScramKeys.parse(TEXT)
    assert KEY not in repr(keys)
    assert hash(keys) == hash(ScramKeys.parse(TEXT))
