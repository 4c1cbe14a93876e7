"""What the kernel is asked for, as it tells it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tidegate.engine.scheduling import short_turns

ABOUT = Path("/proc/thread-self/sched")


def turn() -> int | None:
    """How long this thread may run at a time, in nanoseconds; None where the kernel does not tell."""
    lines = ABOUT.read_text().splitlines() if ABOUT.exists() else []
    return next((int(line.split(":")[1]) for line in lines if line.startswith("se.slice")), None)


def test_short_turns_are_for_one_thread() -> None:
    outcome: list[object] = []

    def ask() -> None:
        outcome.extend((turn(), short_turns(), turn()))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    before, error, after = outcome
    assert error == 0
    if before is None:
        pytest.skip("this kernel has no turns of a length of one's own")
    assert before == turn() != 100_000
    assert after == 100_000
