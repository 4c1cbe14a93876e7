"""Files with a password: what they say, what they said, and for how long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tidegate.config.model import Config, UserConfig
from tidegate.proxy.credentials import Credentials
from tidegate.proxy.password_files import GRACE, PasswordFiles

VERIFIER = "SCRAM-SHA-256$4096:c2FsdA==$" + "A" * 43 + "=:" + "B" * 43 + "="


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "password"
    made.touch(mode=0o600)
    return made


class File:
    """Written and read by the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = PasswordFiles()

    def says(self, text: str, now: float) -> tuple[str, ...]:
        self.path.write_text(text)
        return self.files.read(str(self.path), now)


def test_what_it_said_is_good_for_a_while(path: Path) -> None:
    file = File(path)
    assert file.says("one\n", 0) == ("one",)
    assert file.says("one\n", 100) == ("one",)
    assert file.says("two\n", 200) == ("two", "one")
    assert file.says("two\n", 200 + GRACE - 1) == ("two", "one")
    assert file.says("two\n", 200 + GRACE) == ("two",)
    assert file.says("one\n", 5000) == ("one", "two")


def test_several_changes_and_back(path: Path) -> None:
    file = File(path)
    assert [file.says(text, at) for at, text in enumerate(("one", "two", "three", "one"))] == [
        ("one",),
        ("two", "one"),
        ("three", "two", "one"),
        ("one", "three", "two"),
    ]


def test_a_verifier_of_before_is_no_password(path: Path) -> None:
    file = File(path)
    assert file.says(VERIFIER, 0) == (VERIFIER,)
    assert file.says("plain", 1) == ("plain",)
    assert file.says(VERIFIER, 2) == (VERIFIER, "plain")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("SCRAM-SHA-256$hidden", "is not a whole SCRAM verifier")],
)
def test_what_is_no_password_leaves_what_was(path: Path, text: str, said: str) -> None:
    file = File(path)
    assert file.says("one", 0) == ("one",)
    with pytest.raises(ValueError, match=said) as caught:
        file.says(text, 1)
    assert "hidden" not in str(caught.value)
    assert file.says("two", 2) == ("two", "one")


def test_a_file_that_is_named_no_more_is_forgotten(path: Path) -> None:
    file = File(path)
    file.says("one", 0)
    file.files.forget_all_but({str(path)})
    assert file.says("two", 1) == ("two", "one")
    file.files.forget_all_but(set())
    assert file.says("three", 2) == ("three",)


def test_files_need_nothing_of_aws(path: Path) -> None:
    """A look finds what has changed; what can't be taken leaves things as they are."""
    path.write_text("one")
    user = UserConfig(name="app", password="one", password_file=str(path), other_passwords=("spare",))
    settings = Config(proxies=(), targets=(), users=(user,))
    credentials = Credentials()

    def known() -> tuple[str, tuple[str, ...]]:
        (found,) = credentials.filled_in(settings).users
        return found.password, found.other_passwords

    async def test() -> None:
        await credentials.take(settings)
        assert not await credentials.look(str(path))
        path.write_text("two")
        assert await credentials.look(str(path))
        assert known() == ("two", ("one", "spare"))
        path.chmod(0o644)
        path.write_text("three")
        assert not await credentials.look(str(path))
        assert known() == ("two", ("one", "spare"))

    asyncio.run(test())
