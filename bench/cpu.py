"""CPU time of a family of processes, in nanoseconds, from /proc.

Owns the arithmetic of threads, children and children that have ended. Refuses to start or stop anything.

A living thread's time is the first figure of its `schedstat` (nanoseconds on a CPU; user and system together, as
utime+stime are, but not in steps of 10 ms). A child that has ended and was waited for is in its parent's cutime+cstime.
The sum over a family therefore never loses the time of a process that ends during a measurement; that of a thread which
ends inside a living process would be lost, so that raises instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PPID, _SESSION, _CUTIME, _CSTIME = 1, 3, 13, 14
"""Places in /proc/PID/stat after the command's closing parenthesis (fields 4, 6, 16 and 17 of proc(5))."""


class LostThread(Exception):
    """A thread ended between two readings and took its CPU time with it: the measurement is void."""


@dataclass(frozen=True)
class Reading:
    """CPU time used so far: per thread alive, and by children that have ended, all in ns; `at` is monotonic ns."""

    at: int
    threads: dict[int, dict[int, int]]
    ended: int

    @property
    def total(self) -> int:
        """All CPU time of the family so far, in ns."""
        return self.ended + sum(sum(threads.values()) for threads in self.threads.values())


def family_of(root: int) -> list[int]:
    """A process, its session and all descendants (PostgreSQL's backends make sessions of their own), root first."""
    stats = {int(entry): fields for entry in os.listdir("/proc") if entry.isdigit() and (fields := _stat(int(entry)))}
    family = {pid for pid, fields in stats.items() if pid == root or int(fields[_SESSION]) == root}
    grown = family
    while grown:
        grown = {pid for pid, fields in stats.items() if int(fields[_PPID]) in grown} - family
        family |= grown
    return sorted(family, key=lambda pid: (pid != root, pid))


def read(pids: Iterable[int]) -> Reading:
    """CPU time of these processes now; one that is gone already counts through its parent."""
    threads: dict[int, dict[int, int]] = {}
    ended = 0
    for pid in pids:
        fields = _stat(pid)
        if not fields:
            continue
        threads[pid] = _threads(pid)
        ended += (int(fields[_CUTIME]) + int(fields[_CSTIME])) * _NS_PER_TICK
    return Reading(time.monotonic_ns(), threads, ended)


def seconds_between(before: Reading, after: Reading) -> float:
    """CPU seconds used between two readings; LostThread if a thread of a living process ended meanwhile."""
    for pid, threads in after.threads.items():
        lost = before.threads.get(pid, {}).keys() - threads.keys()
        if lost:
            raise LostThread(f"process {pid} lost {len(lost)} threads")
    return (after.total - before.total) / 1e9


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()


def _threads(pid: int) -> dict[int, int]:
    found = {}
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found[int(task)] = int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return found
