"""Long-running programs of a bench run, each leader of its own session, and short ones run to their end.

Owns starting (setsid, unprivileged user, file descriptor limit) and ending by process id. Knows nothing of what runs.

The session matters: with automatic process groups (sched_autogroup) the kernel shares CPU between sessions, and a proxy
in the load generator's session would be measured under the generator's share.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import cpu

STOP_TIMEOUT = 15.0
UNPRIVILEGED = "nobody"


class BenchError(Exception):
    """The run can't go on; the text says why in words for the person who started it."""


class Daemon:
    """One program that runs until stopped, in a session of its own; its output goes to a log file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        unprivileged: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        account = pwd.getpwnam(UNPRIVILEGED) if unprivileged and os.geteuid() == 0 else None
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env=environment,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

    @property
    def pid(self) -> int:
        """Process id of the leader, which is also the session's."""
        return self._process.pid

    def pids(self) -> list[int]:
        """All processes of the session; BenchError with the log's end when the leader is gone."""
        if self._process.poll() is not None:
            raise BenchError(f"ended by itself with {self._process.returncode}:\n{self.log_tail()}")
        return cpu.family_of(self.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the leader to end; whatever is left of the session after STOP_TIMEOUT is killed."""
        family = cpu.family_of(self.pid)
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_TIMEOUT)
        for pid in set(family) & set(cpu.family_of(self.pid)):
            os.kill(pid, signal.SIGKILL)

    def log_tail(self, lines: int = 15) -> str:
        """The end of what the program wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def run(command: Sequence[str | Path], timeout: float) -> str:
    """Run a program in its own session to its end and give its standard output; BenchError with its words if it fails.

    `timeout` is in seconds.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{Path(command[0]).name} took longer than {timeout:.0f} s") from error
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} ended with {done.returncode}: {_last_words(done.stderr)}")
    return done.stdout


def wait_until_idle(pids: Sequence[int], limit: float = 5.0) -> None:
    """Wait until a family uses less than 2 % of a CPU, so that late work of one load isn't billed to the next."""
    deadline = time.monotonic() + limit
    before = cpu.read(pids)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        after = cpu.read(pids)
        if after.total - before.total < 0.02 * (after.at - before.at):
            return
        before = after


def _last_words(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])
