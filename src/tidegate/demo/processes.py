"""What Linux knows of processes: children, CPU time, whether they are gone (proc(5)), how many files they may open.

Owns reading /proc, sending signals by process id, and this process's limit of open files. Refuses to know what the
processes do.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_STATE, _PPID, _UTIME, _CSTIME = 0, 1, 11, 14
"""Places in /proc/PID/stat after the command's closing parenthesis (fields 3, 4, 14 and 17 of proc(5))."""


def _stat(pid: int) -> list[str]:
    """Fields after the command's name; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and all it starts; returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    everyone = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [one for one in everyone if (fields := _stat(one)) and int(fields[_PPID]) == pid]


def cpu_seconds(pid: int) -> float:
    """User and system CPU of one process, without its children; 0 when it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[_UTIME : _UTIME + 2])) / _TICK


def family_cpu_seconds(pid: int) -> float:
    """CPU of a process, of its children that have ended (and were waited for), and of those alive."""
    fields = _stat(pid)
    own_and_ended = sum(map(int, fields[_UTIME : _CSTIME + 1])) / _TICK
    return own_and_ended + sum(cpu_seconds(child) for child in children(pid))


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    fields = _stat(pid)
    return bool(fields) and fields[_STATE] not in "ZX"


def wait_gone(pids: Iterable[int], timeout: float) -> None:
    """Return when none of them is alive; TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    for pid in pids:
        while alive(pid):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} is still there after {timeout:.0f} s")
            time.sleep(0.005)


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal; nothing happens when the process is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def python_environment() -> dict[str, str]:
    """The environment in which a child interpreter imports the same `tidegate` as this one, installed or not."""
    source = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{path}" if path else source, "PYTHONUNBUFFERED": "1"}
