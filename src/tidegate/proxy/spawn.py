"""Starts one worker process.

Owns its command line, its place among processes, and what it inherits. Refuses to talk to it (`child` does) or to
know what it is given (`boot`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

WORKER_MODULE = "tidegate.proxy.worker"

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends to a process when its parent ends."""


def worker_command(control_fd: int) -> list[str]:
    """The program of a worker; it reads a Boot from control_fd."""
    return [sys.executable, "-m", WORKER_MODULE, "--control-fd", str(control_fd)]


def spawn(command: Sequence[str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a worker with only these descriptors beside standard error and output; OSError if that fails.

    It leads its own process group, so that Ctrl-C at a terminal reaches the supervisor alone, which then stops it in
    order. It must not outlive the supervisor, or it would keep the ports: it stops when its control channel ends,
    and before it gets that far (or if it hangs) the kernel sends it SIGTERM.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=pass_fds,
        process_group=0,
        preexec_fn=_die_with(os.getpid()),
    )


def _die_with(parent: int) -> Callable[[], None]:
    """What the child runs between fork and exec; everything it needs is loaded before the fork."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it ended before prctl took effect
            os._exit(1)

    return before_exec
