"""Encryption at rest: sealing, the key file, the passphrase, and what is told at start."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.store import sealed
from tidegate.control.store.sealed import CHECK_FILE, KEY_FILE, Sealer, UnsealError, open_sealer
from tidegate.errors import ConfigError

SEALER = Sealer(bytes(range(32)))


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "SCRYPT", {"n": 2**4, "r": 8, "p": 1})


@given(plain=st.binary(max_size=200), context=st.binary(max_size=50))
def test_what_is_sealed_opens_in_its_context(plain: bytes, context: bytes) -> None:
    assert SEALER.open(SEALER.seal(plain, context), context) == plain


def test_the_same_text_is_sealed_differently_each_time() -> None:
    texts = {SEALER.seal(b"canary", b"a") for _ in range(50)}
    assert len(texts) == 50
    assert not any("canary" in text or base64.b64encode(b"canary").decode() in text for text in texts)


@pytest.mark.parametrize("other", [b"", b"arn:b", b"arn:a\0"])
def test_another_context_does_not_open_it(other: bytes) -> None:
    text = SEALER.seal(b"x", b"arn:a")
    with pytest.raises(UnsealError, match="does not open"):
        SEALER.open(text, other)


def test_every_changed_byte_is_noticed() -> None:
    text = SEALER.seal(b"password", b"a")
    raw = bytearray(base64.b64decode(text[3:]))
    for position in range(len(raw)):
        raw[position] ^= 1
        with pytest.raises(UnsealError):
            SEALER.open("v1." + base64.b64encode(raw).decode(), b"a")
        raw[position] ^= 1


@pytest.mark.parametrize("text", ["", "v1.", "v2.AAAA", "v1.!!!", "v1.AAAA", "password", "v1.é"])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(UnsealError):
        SEALER.open(text, b"a")


def test_neither_repr_nor_errors_tell_anything() -> None:
    assert repr(SEALER) == "Sealer(...)"
    with pytest.raises(ValueError, match="a data key has 32 bytes, not 5"):
        Sealer(b"short")


def test_the_first_start_makes_a_key_and_the_next_uses_it(tmp_path: Path) -> None:
    text = open_sealer(tmp_path).seal(b"x", b"a")
    for name in (KEY_FILE, CHECK_FILE):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECK_FILE, KEY_FILE]
    assert open_sealer(tmp_path).open(text, b"a") == b"x"


def test_a_start_cut_off_after_the_key_file_goes_on(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    (tmp_path / CHECK_FILE).unlink()
    text = open_sealer(tmp_path).seal(b"x", b"a")
    assert open_sealer(tmp_path).open(text, b"a") == b"x"


def test_a_key_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = open_sealer(tmp_path / "data", key_file=tmp_path / "key").seal(b"x", b"a")
    assert open_sealer(tmp_path / "data", key_file=tmp_path / "key").open(text, b"a") == b"x"
    assert not (tmp_path / "data" / KEY_FILE).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    open_sealer(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(ConfigError, match=r"secrets\.key can be read by others than its owner: chmod 600"):
        open_sealer(tmp_path)


def test_a_lost_key_file_is_told_and_not_made_anew(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        open_sealer(tmp_path)
    assert not (tmp_path / KEY_FILE).exists()


def test_another_folders_key_is_told_at_start(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        open_sealer(tmp_path / name)
    (tmp_path / "a" / KEY_FILE).write_bytes((tmp_path / "b" / KEY_FILE).read_bytes())
    with pytest.raises(ConfigError, match=r"is not the one that the secrets in .* were sealed with"):
        open_sealer(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"AAAA", b"not base64!", b"A" * 70_000])
def test_a_damaged_key_file_is_told(tmp_path: Path, content: bytes) -> None:
    open_sealer(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match="does not hold a key: 32 bytes in base64") as caught:
        open_sealer(tmp_path)
    assert "AAAA" not in str(caught.value)


def test_a_passphrase_keeps_no_key_on_disk(tmp_path: Path) -> None:
    text = open_sealer(tmp_path, passphrase="correct horse").seal(b"x", b"a")
    assert [path.name for path in tmp_path.iterdir()] == [CHECK_FILE]
    assert open_sealer(tmp_path, passphrase="correct horse").open(text, b"a") == b"x"
    with pytest.raises(ConfigError, match="the passphrase is not the one") as caught:
        open_sealer(tmp_path, passphrase="wrong canary")
    assert "canary" not in str(caught.value)


def test_scrypt_parameters_are_those_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = open_sealer(tmp_path, passphrase="p").seal(b"x", b"a")
    monkeypatch.setattr(sealed, "SCRYPT", {"n": 2**5, "r": 8, "p": 2})
    assert open_sealer(tmp_path, passphrase="p").open(text, b"a") == b"x"
    kept = json.loads((tmp_path / CHECK_FILE).read_text())["scrypt"]
    assert (kept["n"], kept["r"], kept["p"]) == (16, 8, 1)


def test_the_kind_of_key_does_not_change_unnoticed(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    with pytest.raises(ConfigError, match="are sealed with a key-file, and a passphrase was given"):
        open_sealer(tmp_path, passphrase="p")
    with pytest.raises(ConfigError, match="a passphrase or a key file for secrets, not both"):
        open_sealer(tmp_path, passphrase="p", key_file=tmp_path / "k")
    with pytest.raises(ConfigError, match="passphrase for secrets is empty"):
        open_sealer(tmp_path, passphrase="")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no check value"),
        ('{"check": "v1.AAAA"}', "does not say where the key comes from"),
        ('{"check": "v1.AAAA", "source": "passphrase"}', "no usable scrypt parameters"),
        ('{"check": "v1.AAAA", "source": "passphrase", "scrypt": {"n": 1e9, "r": 8, "p": 1, "salt": ""}}', "no usable"),
        ("[" * 50_000, "cannot be read"),
    ],
)
def test_a_damaged_check_file_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / CHECK_FILE).write_text(content)
    with pytest.raises(ConfigError, match=told):
        open_sealer(tmp_path, passphrase="p")


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    """Of two first starts at a time, one has made the key; the other must not take its place."""
    (tmp_path / KEY_FILE).write_bytes(b"first")
    with pytest.raises(ConfigError, match="cannot be made: File exists"):
        sealed._write_new(tmp_path / KEY_FILE, "second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(KEY_FILE, b"first")]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made: No such file or directory"):
        open_sealer(tmp_path / "missing")
