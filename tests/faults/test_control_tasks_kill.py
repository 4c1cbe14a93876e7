"""A task whose process is killed -9 in the middle of it: the next process does it, and does it once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

from tidegate.control.store.store import Store
from tidegate.control.store.thread import StoreThread
from tidegate.control.tasks import Task, TaskContext, TaskRunner

WAIT = 20
"""Seconds after which a test has failed."""


def run_until(path: Path, done: threading.Event, handler_end: int, began: int | None = None) -> None:
    """A runner on the store at `path`; the handler tells `began`, and waits for the end of `handler_end`."""
    thread = StoreThread(Store(path))

    def handler(context: TaskContext) -> None:
        if began is not None:
            os.write(began, b"1")
            os.read(handler_end, 1)
        done.set()

    async def main() -> None:
        runner = TaskRunner(thread, time.time, {"work": handler})
        runner.start()
        assert await asyncio.to_thread(done.wait, WAIT)
        await runner.stop()

    asyncio.run(main())
    thread.close()


def tasks(path: Path) -> list[Task]:
    store = Store(path)
    with store.transaction() as transaction:
        found = transaction.table(Task).all()
    store.close()
    return found


def test_a_task_cut_off_by_kill_9_is_done_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    task = Task(work="work", subject="a", due=1.0, arguments={"n": 1})
    store = Store(path)
    with store.transaction() as transaction:
        transaction.table(Task).put(task)
    store.close()
    readable, writable = os.pipe()
    never, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            run_until(path, threading.Event(), never, writable)
        finally:
            os._exit(1)
    assert os.read(readable, 1) == b"1", "the task has begun"
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert tasks(path) == [task]
    done = threading.Event()
    run_until(path, done, never)
    assert done.is_set()
    assert tasks(path) == []
    for descriptor in (readable, writable, never, held):
        os.close(descriptor)
