"""The first start's account, the files that SDKs read it from, and the folder that all is in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest

from tidegate.control.account import Account, find_account, first_start, new_access_key_id, new_secret_key
from tidegate.control.folder import DataFolder, write_private
from tidegate.control.profile import environment, export_lines, write_profile
from tidegate.control.store.store import Store, Transaction
from tidegate.errors import ConfigError

ENDPOINT = "http://127.0.0.1:4566"
KILLED_AMID_WRITING = """
import os, pathlib, sys
from tidegate.control.folder import write_private
os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
write_private(pathlib.Path(sys.argv[1]), "secret")
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def test_the_first_start_makes_an_account_and_later_ones_find_it(store: Store) -> None:
    with store.transaction() as transaction:
        assert find_account(transaction) is None
        account = first_start(transaction, now=5.0)
    assert re.fullmatch(r"[1-9][0-9]{11}", account.number)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", account.root_access_key)
    assert re.fullmatch(r"[A-Za-z0-9/+]{40}", account.root_secret)
    assert (account.region, account.created) == ("us-east-1", 5.0)
    with store.transaction() as transaction:
        assert first_start(transaction, now=9.0) == account == find_account(transaction)
        assert first_start(transaction, now=9.0, number=account.number, region="us-east-1") == account


def test_number_and_region_may_be_given_once(store: Store) -> None:
    with store.transaction() as transaction:
        account = first_start(transaction, now=5.0, number="000000000000", region="us-gov-west-1")
    assert (account.number, account.region) == ("000000000000", "us-gov-west-1")
    for given in ({"number": "000000000001"}, {"region": "eu-west-1"}):
        with pytest.raises(ConfigError, match="this data folder was made for"), store.transaction() as transaction:
            first_start(transaction, now=6.0, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"number": "12345"}, "account = '12345': must be 12 digits"),
        ({"number": "１23456789012"}, "account = '１23456789012': must be 12 digits"),  # noqa: RUF001
        ({"region": "Europe"}, "region = 'Europe': must be a region's name, such as us-east-1"),
        ({"region": "us-east-1\n"}, "region = 'us-east-1\\n': must be a region's name, such as us-east-1"),
    ],
)
def test_what_cannot_be_an_account(store: Store, given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as error, store.transaction() as transaction:
        first_start(transaction, now=5.0, **given)  # type: ignore[arg-type]
    assert str(error.value) == told


def test_an_account_is_furnished_once_and_not_by_half(store: Store) -> None:
    furnished: list[str] = []

    def seed(transaction: Transaction, account: Account) -> None:
        furnished.append(account.number)
        if len(furnished) == 1:
            raise OSError("no")

    with pytest.raises(OSError, match="no"), store.transaction() as transaction:
        first_start(transaction, now=5.0, seeds=[seed])
    with store.transaction() as transaction:
        account = first_start(transaction, now=5.0, seeds=[seed])
    with store.transaction() as transaction:
        first_start(transaction, now=5.0, seeds=[seed])
    assert len(furnished) == 2
    assert furnished[1] == account.number != furnished[0]


def test_keys_differ_and_stay_out_of_reprs() -> None:
    assert len({new_access_key_id() for _ in range(50)} | {new_secret_key() for _ in range(50)}) == 100
    account = Account(number="1" * 12, region="r", root_access_key="AKIA", root_secret="canary", created=1.0)
    assert "canary" not in repr(account)
    assert "canary" not in str(account)


@pytest.fixture
def account() -> Account:
    return Account(number="1" * 12, region="eu-west-1", root_access_key="AKIAX", root_secret="se/c+r%et", created=1.0)


def test_boto3_finds_key_region_and_endpoint_in_the_profile(
    tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(tmp_path, account, "http://old:1")
    write_profile(tmp_path, account, ENDPOINT)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws" / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws" / "credentials"))
    session = botocore.session.Session(profile="tidegate")
    credentials = session.get_credentials()
    client = session.create_client("rds")
    assert (credentials.access_key, credentials.secret_key) == ("AKIAX", "se/c+r%et")
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-1", ENDPOINT)


def test_the_profile_is_for_its_owner_alone_and_leaves_no_drafts(tmp_path: Path, account: Account) -> None:
    write_profile(tmp_path, account, ENDPOINT)
    folder = tmp_path / "aws"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "config": 0o600,
        "credentials": 0o600,
    }


def test_the_environment_for_a_shell(tmp_path: Path, account: Account) -> None:
    write_profile(tmp_path, account, ENDPOINT)
    assert environment(tmp_path) == {
        "AWS_ACCESS_KEY_ID": "AKIAX",
        "AWS_SECRET_ACCESS_KEY": "se/c+r%et",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": ENDPOINT,
    }
    lines = export_lines({"A": "plain", "B": "it's $HOME; `x`"})
    assert lines[0] == "export A=plain"
    shell = subprocess.run(["sh", "-c", "\n".join(lines) + '\nprintf %s "$B"'], capture_output=True, check=True)
    assert shell.stdout == b"it's $HOME; `x`"


def test_an_environment_that_is_not_there_or_damaged(tmp_path: Path, account: Account) -> None:
    with pytest.raises(ConfigError, match="no profile there; `tidegate serve --api ADDRESS --data"):
        environment(tmp_path)
    write_profile(tmp_path, account, ENDPOINT)
    for damage in ("", "[profile tidegate]\n", "rubbish", "\xff"):
        (tmp_path / "aws" / "config").write_bytes(damage.encode("latin-1"))
        with pytest.raises(ConfigError, match="the profile is damaged"):
            environment(tmp_path)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    write_private(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_data_folder_is_made_for_its_owner_and_has_one_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with DataFolder(path) as folder:
        assert folder.path == path
        assert path.stat().st_mode & 0o777 == 0o700
        with pytest.raises(ConfigError) as error:
            DataFolder(path)
        assert str(error.value) == (
            f"--data {path}: is in use by process {os.getpid()}; a data folder has one at a time"
        )
    DataFolder(path).close()


def test_what_a_kill_has_left_half_written_goes(tmp_path: Path) -> None:
    """It may hold a key. What others have put there stays."""
    (tmp_path / "tls").mkdir()
    tmp_path.chmod(0o700)
    places = [tmp_path / "secrets.key", tmp_path / "tls" / "ca.key"]
    for path in places:
        child = subprocess.run([sys.executable, "-c", KILLED_AMID_WRITING, path], check=False)
        assert child.returncode == -9
    assert len(list(tmp_path.rglob(".*.draft"))) == 2
    (tmp_path / ".mine.draft").touch()
    DataFolder(tmp_path).close()
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".mine.draft", "lock", "tls"]


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o701, 0o1777])
def test_a_data_folder_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """It holds keys; PostgreSQL asks the same of its folder, but takes 0750, too."""
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(ConfigError) as error:
        DataFolder(path)
    assert str(error.value) == (
        f"--data {path}: others than its owner have access to it (mode {mode:04o}), and it holds keys: chmod 700 {path}"
    )
    assert list(path.iterdir()) == []
    path.chmod(0o700)
    DataFolder(path).close()


def test_a_data_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError) as error:
        DataFolder(tmp_path)
    assert str(error.value) == (
        f"--data {tmp_path}: belongs to user {owner}, and this process to user {owner + 1}: "
        "run it as the owner, or name another folder"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        DataFolder(tmp_path / "file" / "data")
