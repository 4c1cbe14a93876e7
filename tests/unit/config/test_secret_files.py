"""Files with secrets: what they hold, and who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidegate.config.secret_files import check_key_file, read_secret_file

MODES = pytest.mark.parametrize(
    ("mode", "owner", "allowed"),
    [
        (0o600, 1000, True),
        (0o400, 1000, True),
        (0o700, 1000, True),
        (0o640, 1000, False),
        (0o604, 1000, False),
        (0o660, 1000, False),
        (0o600, 0, True),
        (0o640, 0, True),
        (0o644, 0, False),
        (0o660, 0, False),
        (0o642, 0, False),
        (0o777, 0, False),
    ],
)
"""PostgreSQL's rule: 0600 at most, 0640 where root owns it (so that a group of the system's may have it)."""


@pytest.mark.parametrize(
    ("content", "secret"), [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n")]
)
def test_secret_file(tmp_path: Path, content: str, secret: str) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(content.encode())
    assert read_secret_file(path) == secret


@pytest.mark.parametrize(
    ("content", "said"), [(b"\n", "is empty"), (b"", "is empty"), (b"\xff", "is not text in UTF-8")]
)
def test_secret_file_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_secret_file(path)


def test_secret_file_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^cannot be read: No such file or directory$"):
        read_secret_file(tmp_path / "secret")


@MODES
def test_modes_of_secret_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, allowed: bool
) -> None:
    path = tmp_path / "secret"
    path.write_text("pw")
    found = SimpleNamespace(st_uid=owner, st_mode=stat.S_IFREG | mode)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", lambda _: found)
        if allowed:
            assert read_secret_file(path) == "pw"
            return
        with pytest.raises(ValueError) as caught:
            read_secret_file(path)
    assert str(caught.value) == f"may be read by others (mode {mode:04o}); chmod 600 it"


@MODES
def test_modes_of_key_files(monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, allowed: bool) -> None:
    found = SimpleNamespace(st_uid=owner, st_mode=stat.S_IFREG | mode)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda _: found)
        if allowed:
            check_key_file("server.key")
            return
        with pytest.raises(ValueError) as caught:
            check_key_file("server.key")
    assert str(caught.value) == f"private key server.key may be read by others (mode {mode:04o}); chmod 600 it"


def test_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^no private key can be read from .*/none: No such file or directory$"):
        check_key_file(str(tmp_path / "none"))
