"""Records and transactions: what is committed is there as a whole, what is not is not there at all."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from tidegate import control
from tidegate.control.store.store import FORMAT, Record, Store, Transaction
from tidegate.errors import ConfigError


class Thing(Record):
    kind: ClassVar[str] = "thing"
    owner: str
    name: str
    size: int = 0

    @property
    def key(self) -> str:
        return f"{self.owner}/{self.name}"


class Other(Thing):
    kind: ClassVar[str] = "other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def all_things(store: Store) -> list[Thing]:
    with store.transaction() as transaction:
        return transaction.table(Thing).all()


def test_records_come_back_by_key_and_in_its_order(path: Path) -> None:
    store = Store(path)
    with store.transaction() as transaction:
        table = transaction.table(Thing)
        for owner, name in (("b", "1"), ("a", "2"), ("a", "1"), ("a%", "1"), ("é", "1")):
            table.put(Thing(owner=owner, name=name))
        transaction.table(Other).put(Other(owner="a", name="1", size=9))
        assert transaction.written == {"thing", "other"}
    with store.transaction() as transaction:
        table = transaction.table(Thing)
        assert [thing.key for thing in table.all()] == ["a%/1", "a/1", "a/2", "b/1", "é/1"]
        assert [thing.key for thing in table.all("a/")] == ["a/1", "a/2"]
        assert [thing.key for thing in table.all("é")] == ["é/1"]
        assert table.get("a/1") == Thing(owner="a", name="1")
        assert table.get("a") is None
        assert transaction.written == set()


@pytest.mark.parametrize(
    "body",
    [
        '{"owner": "a", "name": "b", "size": "canary"}',
        '{"owner": "a", "name": "b", "later": "canary"}',
        '{"owner": "a", "name": "b", "size": {"canary": "canary"}}',
        '{"owner": "canary"}',
        '{"owner": "a", "canary"',
    ],
)
def test_a_record_that_cannot_be_read_is_not_told(path: Path, body: str) -> None:
    """Of a later program, or damaged: the error is logged, and records hold IAM's keys and sealed secrets."""
    store = Store(path)
    with store.transaction() as transaction:
        transaction.write("thing", "INSERT INTO records VALUES ('thing', 'a/b', ?)", body)
        for read in (lambda table: table.get("a/b"), lambda table: table.all()):
            with pytest.raises(ValueError, match="Thing") as caught:
                read(transaction.table(Thing))
            assert "canary" not in str(caught.value) + repr(caught.value)


def test_no_model_of_a_record_tells_what_it_was_given() -> None:
    """Whichever of them it is that can't be read, and each that is written in future."""
    for module in pkgutil.walk_packages(control.__path__, "tidegate.control."):
        importlib.import_module(module.name)
    models = [one for one in descendants(BaseModel) if one.__module__.startswith("tidegate.control.")]
    assert len(models) > 20
    assert [one.__qualname__ for one in models if not one.model_config.get("hide_input_in_errors")] == []


def descendants(model: type[BaseModel]) -> list[type[BaseModel]]:
    """All classes that are made of this one."""
    return [found for one in model.__subclasses__() for found in (one, *descendants(one))]


def test_put_replaces_and_delete_tells_whether_there_was_one(path: Path) -> None:
    store = Store(path)
    with store.transaction() as transaction:
        table = transaction.table(Thing)
        table.put(Thing(owner="a", name="1", size=1))
        table.put(Thing(owner="a", name="1", size=2))
        assert [thing.size for thing in table.all()] == [2]
        assert table.delete("a/1")
        assert not table.delete("a/1")
    assert all_things(store) == []


def test_an_error_undoes_the_transaction(path: Path) -> None:
    store = Store(path)

    def fail(transaction: Transaction) -> None:
        transaction.table(Thing).put(Thing(owner="a", name="1"))
        raise KeyError

    with pytest.raises(KeyError), store.transaction() as transaction:
        fail(transaction)
    assert all_things(store) == []


def test_a_commit_that_fails_leaves_nothing_and_the_next_succeeds(path: Path) -> None:
    """A foreign key that is checked at the commit stands for a disk that is full there."""
    store = Store(path)
    store._connection.execute("PRAGMA foreign_keys = ON")
    store._connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    store._connection.execute("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")

    def work() -> None:
        with store.transaction() as transaction:
            transaction.table(Thing).put(Thing(owner="a", name="1"))
            transaction.write("child", "INSERT INTO child VALUES (5)")

    with pytest.raises(sqlite3.IntegrityError):
        work()
    assert all_things(store) == []
    with store.transaction() as transaction:
        transaction.table(Thing).put(Thing(owner="a", name="2"))
    assert [thing.name for thing in all_things(store)] == ["2"]


def test_what_was_committed_is_there_after_the_end(path: Path) -> None:
    store = Store(path)
    with store.transaction() as transaction:
        transaction.table(Thing).put(Thing(owner="a", name="1", size=7))
    store.close()
    assert all_things(Store(path)) == [Thing(owner="a", name="1", size=7)]


def test_nobody_else_may_read_the_file(path: Path) -> None:
    store = Store(path)
    with store.transaction() as transaction:
        transaction.table(Thing).put(Thing(owner="a", name="1"))
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_later_programs_file_is_refused(path: Path) -> None:
    store = Store(path)
    store._connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    store.close()
    with pytest.raises(ConfigError) as error:
        Store(path)
    assert str(error.value) == (
        f"state file {path} was written by a later Tidegate (format {FORMAT + 1}, not {FORMAT})"
    )


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 20])
def test_a_file_that_is_none_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"state file {path}: file is not a database"):
        Store(path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        Store(tmp_path / "gone" / "state.db")
