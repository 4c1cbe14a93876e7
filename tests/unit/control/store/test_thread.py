"""The store's thread: one transaction at a time, whoever asks, and everybody who listens is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tidegate.control.store.store import Record, Store, Transaction
from tidegate.control.store.thread import StoreThread


class Count(Record):
    kind: ClassVar[str] = "count"
    value: int = 0

    @property
    def key(self) -> str:
        return "count"


def increment(transaction: Transaction) -> int:
    table = transaction.table(Count)
    value = (table.get("count") or Count()).value + 1
    table.put(Count(value=value))
    return value


def read(transaction: Transaction) -> int:
    return (transaction.table(Count).get("count") or Count()).value


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[StoreThread]:
    made = StoreThread(Store(tmp_path / "state.db"))
    yield made
    made.close()


def test_nobody_loses_an_increment(thread: StoreThread) -> None:
    async def many() -> list[int]:
        return await asyncio.gather(*(thread.run(increment) for _ in range(40)))

    others = [threading.Thread(target=thread.run_sync, args=(increment,)) for _ in range(10)]
    for other in others:
        other.start()
    values = asyncio.run(many())
    for other in others:
        other.join()
    assert len(set(values)) == 40
    assert thread.run_sync(read) == 50


def test_listeners_hear_of_commits_that_wrote_and_of_no_others(thread: StoreThread) -> None:
    async def listening() -> list[frozenset[str]]:
        heard: list[frozenset[str]] = []
        end = thread.listen(heard.append)
        await thread.run(read)
        with pytest.raises(KeyError):
            await thread.run(lambda transaction: {}[increment(transaction)])
        assert heard == []
        await thread.run(increment)
        assert heard == [{"count"}], "told before the one who asked goes on"
        await asyncio.to_thread(thread.run_sync, increment)
        await asyncio.sleep(0)
        end()
        end()
        await thread.run(increment)
        return heard

    assert asyncio.run(listening()) == [{"count"}, {"count"}]


def test_a_listener_whose_loop_is_gone_harms_nobody(thread: StoreThread) -> None:
    async def leave() -> None:
        thread.listen(lambda kinds: None)

    asyncio.run(leave())
    assert thread.run_sync(increment) == 1


def test_an_error_reaches_who_asked_and_nothing_is_written(thread: StoreThread) -> None:
    def fail(transaction: Transaction) -> None:
        increment(transaction)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        thread.run_sync(fail)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(thread.run(fail))
    assert thread.run_sync(read) == 0


def test_a_transaction_cannot_wait_for_another(thread: StoreThread) -> None:
    with pytest.raises(RuntimeError, match="it would wait for itself"):
        thread.run_sync(lambda transaction: thread.run_sync(read))


def test_close_lets_what_was_asked_for_finish(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    thread = StoreThread(Store(path))
    started = threading.Event()

    def slow(transaction: Transaction) -> int:
        started.set()
        return increment(transaction)

    asker = threading.Thread(target=thread.run_sync, args=(slow,))
    asker.start()
    assert started.wait(10)
    thread.close()
    asker.join()
    with pytest.raises(RuntimeError):
        thread.run_sync(read)
    with Store(path).transaction() as transaction:
        assert read(transaction) == 1
