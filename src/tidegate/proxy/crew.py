"""All workers: starts them, restarts those that crash, asks them questions, stops them.

Owns the back-off between restarts and who is alive. Refuses to know what a worker needs (it is asked for) or what its
crash leaves to repair (it is told).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.proxy.boot import Boot
from tidegate.proxy.child import DEFAULT_COMMAND, Child, ChildState, Command, describe_status
from tidegate.proxy.control import Configured, Message, StatsReply, Stop, StopMode
from tidegate.proxy.logs import LOG

BACKOFF_FIRST = 0.1
BACKOFF_MOST = 5.0
BACKOFF_RESET = 10.0
"""Seconds that a worker must have run for its crash to count as the first again."""

START_ATTEMPTS = 5
"""Failures in a row of one worker, before all were ready once, that end the supervisor."""

Reply = Configured | StatsReply


class Backoff:
    """How long to wait before a restart: 0 for a first crash, then 0.1 s, doubling to 5 s, while they go on."""

    def __init__(self) -> None:
        self.crashes = 0

    def crashed(self, ran_for: float) -> float:
        """Count a crash of a worker that ran for so many seconds; the seconds to wait."""
        self.crashes = 1 if ran_for >= BACKOFF_RESET else self.crashes + 1
        return 0.0 if self.crashes == 1 else float(min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** min(self.crashes - 2, 10)))


class CrewEvents(Protocol):
    """What the crew needs from, and tells, its supervisor."""

    def outfit(self, worker: int) -> tuple[Boot, list[int]]:
        """What a worker starts with: its Boot, and the descriptors that it inherits."""
        ...

    def worker_died(self, worker: int) -> None:
        """A worker's process is gone; called before its number is given to another."""
        ...

    def worker_said(self, worker: int, message: Message) -> None:
        """A message that answers no ask()."""
        ...


@dataclass(slots=True)
class _Round:
    """A question to several workers, and who has not answered."""

    open: set[int]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    replies: dict[int, Reply] = field(default_factory=dict)


class Crew:
    """A fixed number of workers, each with a number of its own, from 0."""

    def __init__(self, count: int, events: CrewEvents, command: Command = DEFAULT_COMMAND) -> None:
        self.count = count
        self.restarts = 0
        self.all_ready = asyncio.Event()
        self.gone = asyncio.Event()
        """Set when, after stop(), no worker is left."""
        self.hopeless = ""
        """Why the crew gave up before all were ready, once all_ready is set; else ""."""
        self._events = events
        self._command = command
        self._loop = asyncio.get_running_loop()
        self._children: dict[int, Child] = {}
        self._backoff = [Backoff() for _ in range(count)]
        self._restarts: dict[int, asyncio.TimerHandle] = {}
        self._rounds: dict[int, _Round] = {}
        self._last_round = 0
        self._turn = 0
        self._stopping = False

    def start(self) -> None:
        """Start every worker; all_ready is set when they are, or when one cannot be."""
        for worker in range(self.count):
            self._start(worker)

    def ready(self) -> list[Child]:
        """The workers that accept clients."""
        return [child for _, child in sorted(self._children.items()) if child.state is ChildState.READY]

    def next_ready(self) -> Child | None:
        """One of the ready workers, in turn."""
        ready = self.ready()
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None

    def send_all(self, message: Message) -> None:
        """Send to every running worker, ready or not."""
        for child in self._children.values():
            child.send(message)

    def send(self, worker: int, message: Message) -> None:
        """Send to one worker, if it runs."""
        child = self._children.get(worker)
        if child is not None:
            child.send(message)

    def send_others(self, worker: int, message: Message) -> None:
        """Send to every running worker but this one."""
        for child in self._children.values():
            if child.worker != worker:
                child.send(message)

    async def ask(
        self, make: Callable[[int, int], Message], timeout: float, *, starting: bool = False
    ) -> dict[int, Reply]:
        """Send make(worker, round) to every ready worker (and to starting ones); the answers that came in time.

        A worker that dies or takes longer than `timeout` seconds is missing from the answer.
        """
        self._last_round += 1
        number = self._last_round
        asked = list(self._children.values()) if starting else self.ready()
        one = self._rounds[number] = _Round({child.worker for child in asked})
        for child in asked:
            child.send(make(child.worker, number))
        try:
            if one.open:
                await asyncio.wait_for(one.done.wait(), timeout)
        except TimeoutError:
            LOG.warning("workers %s did not answer in %g s", sorted(one.open), timeout)
        finally:
            del self._rounds[number]
        return one.replies

    def stop(self, mode: StopMode, seconds: float) -> None:
        """Have every worker end; `gone` is set when all have. May be called again, with less patience."""
        self._stopping = True
        for handle in self._restarts.values():
            handle.cancel()
        self._restarts.clear()
        self.send_all(Stop(mode=mode, seconds=seconds))
        self._check_gone()

    def kill(self) -> None:
        """SIGKILL every worker."""
        for child in self._children.values():
            LOG.error("worker %d did not stop and is killed", child.worker)
            child.kill()

    # ChildEvents

    def child_ready(self, child: Child) -> None:
        """Part of ChildEvents."""
        LOG.debug("worker %d is ready", child.worker, extra={"fields": {"pid": child.pid}})
        if len(self.ready()) == self.count:
            self.all_ready.set()

    def child_said(self, child: Child, message: Message) -> None:
        """Part of ChildEvents."""
        if not isinstance(message, Configured | StatsReply):
            self._events.worker_said(child.worker, message)
        elif message.round in self._rounds:
            self._rounds[message.round].replies[child.worker] = message
            self._settle(child.worker, message.round)

    def child_ended(self, child: Child, status: int) -> None:
        """Part of ChildEvents."""
        del self._children[child.worker]
        for number in list(self._rounds):
            self._settle(child.worker, number)
        self._events.worker_died(child.worker)
        if self._stopping:
            if status != 0:
                LOG.warning("worker %d ended with %s while stopping", child.worker, describe_status(status))
            self._check_gone()
        else:
            self._crashed(child.worker, describe_status(status), self._loop.time() - child.started_at)

    def _start(self, worker: int) -> None:
        self._restarts.pop(worker, None)
        try:
            boot, pass_fds = self._events.outfit(worker)
            self._children[worker] = Child(boot, pass_fds, self, self._command)
        except OSError as error:
            self._crashed(worker, f"the process could not be started: {error.strerror}", 0.0)

    def _crashed(self, worker: int, how: str, ran_for: float) -> None:
        pause = self._backoff[worker].crashed(ran_for)
        crashes = self._backoff[worker].crashes
        if not self.all_ready.is_set() and crashes >= START_ATTEMPTS:
            self.hopeless = f"worker {worker} failed to start {crashes} times in a row, the last time with {how}"
            self.all_ready.set()
            return
        if self.hopeless:
            return
        fields = {"worker": worker, "ran_for": round(ran_for, 3), "pause": pause}
        LOG.error("worker %d ended with %s; it is restarted", worker, how, extra={"fields": fields})
        self.restarts += 1
        self._restarts[worker] = self._loop.call_later(pause, self._start, worker)

    def _settle(self, worker: int, number: int) -> None:
        one = self._rounds[number]
        one.open.discard(worker)
        if not one.open:
            one.done.set()

    def _check_gone(self) -> None:
        if self._stopping and not self._children:
            self.gone.set()
