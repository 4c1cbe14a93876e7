"""One worker process as the supervisor sees it, from its start to its exit status.

Owns the process and its control channel. Refuses to decide what follows from its end (`crew` does).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from tidegate.proxy.boot import Boot
from tidegate.proxy.child_channel import Channel
from tidegate.proxy.control import Message, Ready
from tidegate.proxy.logs import LOG
from tidegate.proxy.spawn import spawn, worker_command

READY_LIMIT = 30.0
"""Seconds in which a worker must become ready; far more than it needs, so it hangs."""

EXIT_LIMIT = 2.0
"""Seconds in which a worker must exit after its control channel has ended."""

Command = Callable[[int], Sequence[str]]
"""From the number of the control descriptor to the program that reads from it."""


class ChildState(StrEnum):
    """STARTING -> READY -> ENDED, or STARTING -> ENDED."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


class ChildEvents(Protocol):
    """Who is told of what a child does."""

    def child_ready(self, child: Child) -> None:
        """It accepts clients."""
        ...

    def child_said(self, child: Child, message: Message) -> None:
        """A message other than Ready."""
        ...

    def child_ended(self, child: Child, status: int) -> None:
        """It has been waited for; status as in subprocess: an exit status, or minus a signal."""
        ...


class Child:
    """A running worker. OSError from the constructor if the process cannot be started."""

    def __init__(self, boot: Boot, pass_fds: Sequence[int], events: ChildEvents, command: Command) -> None:
        self.worker = boot.worker
        self.state = ChildState.STARTING
        self._events = events
        self._loop = asyncio.get_running_loop()
        self.started_at = self._loop.time()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = spawn(command(theirs.fileno()), [theirs.fileno(), *pass_fds])
            except OSError:
                ours.close()
                raise
        self.pid = self._process.pid
        try:
            # Becomes readable at the process's end: no thread, no SIGCHLD (pidfd_open(2), Linux 5.3).
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            ours.close()
            self._process.kill()
            self._process.wait()
            raise
        self._loop.add_reader(self._pidfd, self._ended)
        self._limit = self._loop.call_later(READY_LIMIT, self._kill_late)
        self._channel = Channel(ours, self._said, self._channel_ended)
        self._channel.send(boot)

    def send(self, message: Message) -> None:
        """Send a message, after all that were sent before; nothing happens once the worker is going away."""
        self._channel.send(message)

    def kill(self) -> None:
        """SIGKILL. The child is told as ended once the kernel says so."""
        if self.state is not ChildState.ENDED:
            self._process.send_signal(signal.SIGKILL)

    def _said(self, message: Message) -> None:
        if isinstance(message, Ready) and self.state is ChildState.STARTING:
            self.state = ChildState.READY
            self._limit.cancel()
            self._events.child_ready(self)
        else:
            self._events.child_said(self, message)

    def _kill_late(self) -> None:
        LOG.error("worker %d was not ready in %g s and is killed", self.worker, READY_LIMIT)
        self.kill()

    def _channel_ended(self, problem: str) -> None:
        """Its end means that the worker exits; one that does not, or that talks nonsense, cannot be steered."""
        self._limit.cancel()
        if problem:
            LOG.error("worker %d: its control channel failed, so it is killed: %s", self.worker, problem)
            self.kill()
        else:
            self._limit = self._loop.call_later(EXIT_LIMIT, self.kill)

    def _ended(self) -> None:
        status = self._process.wait()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.state = ChildState.ENDED  # before what it still said is read: a Ready of the dead counts for nothing
        self._channel.close()
        self._limit.cancel()
        self._events.child_ended(self, status)


def describe_status(status: int) -> str:
    """An exit status in words: "exit status 3", "killed by SIGKILL"."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


DEFAULT_COMMAND: Command = worker_command
