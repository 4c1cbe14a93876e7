"""Tasks: run when due, again when they failed, and gone when done; what the store says is all there is."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.control.store.store import Store
from tidegate.control.store.thread import StoreThread
from tidegate.control.tasks import MAX_RUNNING, Handler, Task, TaskContext, TaskRunner, delay_after


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreThread]:
    made = StoreThread(Store(tmp_path / "state.db"))
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def put(store: StoreThread, *tasks: Task) -> None:
    def work(transaction: Any) -> None:
        for task in tasks:
            transaction.table(Task).put(task)

    store.run_sync(work)


def left(store: StoreThread) -> list[Task]:
    return store.run_sync(lambda transaction: transaction.table(Task).all())


async def settled(runner: TaskRunner) -> None:
    """Until no task runs."""
    while runner._running:
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def one_step(store: StoreThread, clock: Clock, handler: Handler) -> float:
    async def step() -> float:
        runner = TaskRunner(store, clock, {"work": handler})
        nap = await runner.step()
        await settled(runner)
        return nap

    return asyncio.run(step())


def test_what_is_due_runs_with_its_context_and_is_gone_then(store: StoreThread, clock: Clock) -> None:
    seen: list[tuple[Task, float, list[Task], str]] = []

    def handler(context: TaskContext) -> None:
        inside = context.transaction(lambda transaction: transaction.table(Task).all())
        seen.append((context.task, context.now(), inside, threading.current_thread().name))

    task = Task(work="work", subject="a", due=1000.0, arguments={"x": [1, "y"]})
    later = Task(work="work", subject="b", due=1010.5)
    put(store, task, later)
    assert one_step(store, clock, handler) == 10.5
    assert seen == [(task, 1000.0, [task, later], "tidegate-task-work")]
    assert left(store) == [later]


def test_nothing_to_do_is_looked_at_once_a_minute(store: StoreThread, clock: Clock) -> None:
    assert one_step(store, clock, lambda context: None) == 60.0
    put(store, Task(work="work", subject="b", due=9999.0))
    assert one_step(store, clock, lambda context: None) == 60.0


def test_a_task_that_fails_is_run_again_later_and_later(
    store: StoreThread, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(context: TaskContext) -> None:
        raise ValueError("the database is away")

    put(store, Task(work="work", subject="a", due=1000.0))
    dues = []
    for _ in range(11):
        one_step(store, clock, handler)
        (task,) = left(store)
        dues.append(task.due - clock.now)
        clock.now = task.due
    assert dues == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert left(store)[0].attempts == 11
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[1].getMessage() == "task work/a failed, the 2. time"
    assert errors[1].exc_info is not None


def test_the_delay_has_an_end_however_often_it_failed() -> None:
    assert [delay_after(attempts) for attempts in (0, 1, 8, 9, 10**9)] == [1, 2, 256, 300, 300]


@pytest.mark.parametrize("fails", [False, True])
def test_a_task_put_down_anew_while_it_ran_stays(store: StoreThread, clock: Clock, fails: bool) -> None:
    anew = Task(work="work", subject="a", due=2000.0)

    def handler(context: TaskContext) -> None:
        context.transaction(lambda transaction: transaction.table(Task).put(anew))
        if fails:
            raise ValueError

    put(store, Task(work="work", subject="a", due=1000.0))
    one_step(store, clock, handler)
    assert left(store) == [anew]


def test_a_task_removed_while_it_ran_stays_away(store: StoreThread, clock: Clock) -> None:
    def handler(context: TaskContext) -> None:
        context.transaction(lambda transaction: transaction.table(Task).delete("work/a"))
        raise ValueError

    put(store, Task(work="work", subject="a", due=1000.0))
    one_step(store, clock, handler)
    assert left(store) == []


def test_a_task_without_a_handler_stays(store: StoreThread, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    task = Task(work="tomorrow", subject="a", due=0.0)
    put(store, task)
    assert one_step(store, clock, lambda context: None) == 60.0
    assert left(store) == [task]
    assert [record.getMessage() for record in caplog.records] == ["nobody does tasks of tomorrow: they stay"]


def test_no_more_than_four_run_and_none_twice(store: StoreThread, clock: Clock) -> None:
    go = threading.Event()
    lock = threading.Lock()
    begun: list[str] = []

    def handler(context: TaskContext) -> None:
        with lock:
            begun.append(context.task.subject)
        assert go.wait(20)

    put(store, *(Task(work="work", subject=f"{n}", due=900.0 + n) for n in range(MAX_RUNNING + 2)))

    async def work() -> None:
        runner = TaskRunner(store, clock, {"work": handler})
        for _ in range(3):
            await runner.step()
        assert len(runner._running) == MAX_RUNNING
        go.set()
        await settled(runner)
        assert sorted(begun) == ["0", "1", "2", "3"], "the longest due first"
        await runner.step()
        await settled(runner)

    run(work())
    assert sorted(begun) == ["0", "1", "2", "3", "4", "5"]
    assert left(store) == []


def test_it_wakes_at_a_commit_that_has_put_one_down(store: StoreThread, clock: Clock) -> None:
    done: list[str] = []

    async def work() -> None:
        runner = TaskRunner(store, clock, {"work": lambda context: done.append(context.task.subject)})
        end = store.listen(runner.committed)
        runner.start()
        await asyncio.to_thread(put, store, Task(work="work", subject="a", due=1.0))
        await until(lambda: done == ["a"])
        await asyncio.to_thread(put, store, Task(work="work", subject="b", due=1.0))
        await until(lambda: done == ["a", "b"])
        await runner.stop()
        end()

    run(work())
    assert left(store) == []


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


def test_stopping_leaves_what_takes_too_long_to_the_next_start(
    store: StoreThread, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    go, begun = threading.Event(), threading.Event()

    def stuck(context: TaskContext) -> None:
        begun.set()
        assert go.wait(20)

    task = Task(work="work", subject="a", due=1.0)
    put(store, task)

    async def work() -> None:
        runner = TaskRunner(store, clock, {"work": stuck})
        runner.start()
        assert await asyncio.to_thread(begun.wait, 20)
        await runner.stop(grace=0.0)
        assert caplog.records[-1].getMessage() == "tasks are left to the next start: work/a"
        assert await asyncio.to_thread(left, store) == [task]
        go.set()
        await settled(runner)

    run(work())


def test_an_outcome_that_cannot_be_written_is_not_tried_again_at_once(
    store: StoreThread, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[float] = []
    put(store, Task(work="work", subject="a", due=1000.0))

    def full(self: TaskRunner, *arguments: Any) -> None:
        raise OSError("disk full")

    async def work() -> None:
        runner = TaskRunner(store, clock, {"work": lambda context: runs.append(context.now())})
        with monkeypatch.context() as patch:
            patch.setattr(TaskRunner, "_settle", full)
            await runner.step()
            await settled(runner)
        assert await runner.step() == 4.0
        clock.now += 4.0
        await runner.step()
        await settled(runner)

    run(work())
    assert runs == [1000.0, 1004.0]
    assert left(store) == []
    assert caplog.records[-1].getMessage() == "the outcome of task work/a cannot be written"
