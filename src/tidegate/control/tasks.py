"""Work that outlives the call that asked for it: put down with the call's own changes, done again after a crash.

Owns when a task runs, and when it runs again. Refuses to know what it does: handlers are registered by kind of work.

A task is a record, so it is committed with whatever made it necessary. Its handler runs in a thread of its own, in no
transaction, and may be cut off at any point and run again: it must look at what stands before each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import Field

from tidegate.control.store.store import Record, Transaction
from tidegate.control.store.thread import StoreAccess

T = TypeVar("T")

MAX_RUNNING = 4
"""Tasks that run at a time."""
FIRST_DELAY = 1.0
MAX_DELAY = 300.0
"""Seconds until a task that has failed runs again: the first time, and at most; it doubles in between."""
MAX_NAP = 60.0
"""Seconds after which the store is looked at in any case: the clock may have been set."""

log = logging.getLogger(__name__)


class Task(Record):
    """One piece of work. A later task of the same work and subject replaces it."""

    kind: ClassVar[str] = "task"

    work: str
    """Which handler: "rotate-secret"."""
    subject: str
    """What it is about: an ARN or identifier."""
    due: float
    """Not before this, in seconds since 1970."""
    attempts: int = 0
    arguments: dict[str, Any] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """Work and subject."""
        return f"{self.work}/{self.subject}"


class TaskContext(Protocol):
    """What a task's handler works with. Its thread may wait; steps in the store go through `transaction`."""

    @property
    def task(self) -> Task:
        """The task as it was put down; attempts: how often it has failed before."""

    def transaction(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction of its own, in the store's thread; it must not wait for anything."""

    def now(self) -> float:
        """Seconds since 1970."""


Handler = Callable[[TaskContext], None]
"""Does a task's work. If it returns, the task is done and removed; if it raises, it is run again later. A handler that
has put down the same task anew (same work and subject) from within, say for its next rotation, keeps that one."""


def delay_after(attempts: int) -> float:
    """Seconds until a task is tried again that has failed this often before (0: this was its first time)."""
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(attempts, 32))


class _Context:
    """The TaskContext of one run."""

    def __init__(self, task: Task, store: StoreAccess, clock: Callable[[], float]) -> None:
        self.task = task
        self._store = store
        self._clock = clock

    def transaction(self, work: Callable[[Transaction], T]) -> T:
        return self._store.run_sync(work)

    def now(self) -> float:
        return self._clock()


class TaskRunner:
    """Runs tasks when they are due, each in a thread of its own, and removes those that are done.

    What is known of tasks is in the store alone: a process that is killed, or stopped while a task runs, leaves it
    there to be run again.
    """

    def __init__(self, store: StoreAccess, clock: Callable[[], float], handlers: Mapping[str, Handler]) -> None:
        """clock: seconds since 1970; handlers: by Task.work."""
        self._store = store
        self._clock = clock
        self._handlers = dict(handlers)
        self._running: set[str] = set()
        self._not_before: dict[str, float] = {}
        """For tasks whose outcome could not be written: the store alone would have them run again at once."""
        self._unknown: set[str] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

    def committed(self, kinds: frozenset[str]) -> None:
        """To be told of each commit, in the event loop (StoreThread.listen)."""
        if Task.kind in kinds:
            self._changed.set()

    def start(self) -> None:
        """Run tasks from now on, in the running event loop."""
        self._main = asyncio.create_task(self._run(), name="tidegate-tasks")

    async def stop(self, grace: float = 5.0) -> None:
        """Begin no more tasks, and wait `grace` seconds for those that run. Others are run again at the next start."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)
            self._main = None
        try:
            async with asyncio.timeout(grace):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("tasks are left to the next start: %s", ", ".join(sorted(self._running)))

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                nap = await self.step()
            except Exception:
                log.exception("tasks cannot be read")
                nap = FIRST_DELAY
            try:
                async with asyncio.timeout(nap):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def step(self) -> float:
        """Begin what is due, and return the seconds until the next look."""
        self._loop = asyncio.get_running_loop()
        tasks = await self._store.run(lambda transaction: transaction.table(Task).all())
        self._tell_unknown({task.work for task in tasks} - set(self._handlers))
        waiting = sorted(
            (max(task.due, self._not_before.get(task.key, 0.0)), task.key, task)
            for task in tasks
            if task.key not in self._running and task.work in self._handlers
        )
        now = self._clock()
        for due, _, task in waiting:
            if due > now:
                return min(MAX_NAP, due - now)
            if len(self._running) >= MAX_RUNNING:
                break
            self._begin(task)
        return MAX_NAP

    def _tell_unknown(self, works: set[str]) -> None:
        for work in sorted(works - self._unknown):
            log.warning("nobody does tasks of %s: they stay", work)
        self._unknown |= works

    def _begin(self, task: Task) -> None:
        self._running.add(task.key)
        self._not_before.pop(task.key, None)
        # A daemon: a handler that waits for a dead host must not keep the program from ending.
        threading.Thread(target=self._work, args=(task,), name=f"tidegate-task-{task.work}", daemon=True).start()

    def _work(self, task: Task) -> None:
        """In the task's thread: run it, and write down how that went."""
        written = False
        try:
            failed = not self._do(task)
            self._store.run_sync(lambda transaction: self._settle(transaction, task, failed))
            written = True
        except Exception:
            log.exception("the outcome of task %s cannot be written", task.key)
        finally:
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the program has ended meanwhile, and its loop with it
                    self._loop.call_soon_threadsafe(self._ended, task, written)

    def _do(self, task: Task) -> bool:
        """Whether it is done."""
        try:
            self._handlers[task.work](_Context(task, self._store, self._clock))
        except Exception:
            log.exception("task %s failed, the %d. time", task.key, task.attempts + 1)
            return False
        return True

    def _settle(self, transaction: Transaction, task: Task, failed: bool) -> None:
        table = transaction.table(Task)
        if table.get(task.key) != task:
            return  # removed, or put down anew, while it ran: that stands
        if failed:
            attempts = task.attempts + 1
            due = self._clock() + delay_after(task.attempts)
            table.put(task.model_copy(update={"attempts": attempts, "due": due}))
        else:
            table.delete(task.key)

    def _ended(self, task: Task, written: bool) -> None:
        self._running.discard(task.key)
        if not written:
            self._not_before[task.key] = self._clock() + delay_after(task.attempts + 2)
        self._changed.set()
