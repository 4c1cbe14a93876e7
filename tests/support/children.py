"""Forked stand-ins for workers, which a test kills.

Owns the processes of one test. Refuses to say what they do: each runs the function that it is given, and is expected to
end itself by os._exit or to be killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

__all__ = ["Children", "children"]


class Children:
    """By number of the worker; whatever is left is killed at the end of the test."""

    def __init__(self) -> None:
        self.pids: dict[int, int] = {}

    def start(self, worker: int, body: Callable[[int], None]) -> None:
        pid = os.fork()
        if pid:
            self.pids[worker] = pid
            return
        try:
            body(worker)
        finally:
            os._exit(1)

    def kill(self, worker: int) -> None:
        pid = self.pids.pop(worker)
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "a worker had ended by itself"

    def wait(self, worker: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pids.pop(worker), 0)[1])


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    for pid in children.pids.values():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
