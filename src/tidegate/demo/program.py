"""`python -m tidegate serve` as a child process: started, waited for, reloaded, stopped.

Owns that process and the file with its standard error. Refuses to know what the proxy does: the only words it
understands are `listening on HOST:PORT`.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate.demo import processes

START_TIMEOUT = 30.0
STOP_TIMEOUT = 60.0
POLL = 0.005

# What follows the port must be there too: the line may be read while it is written.
_LISTENING = re.compile(r"listening on .*?([^\s,\[\]]+|\[[^\]]+\]):(\d+)(?=[\s,;)])")


class ProxyFailed(Exception):
    """The proxy did not start or stop; the text has what it said on standard error."""


class ProxyProgram:
    """One supervisor process and, through it, its workers; in a process session of its own.

    `arguments` follow `tidegate serve`; standard error goes to the file `log` (default a temporary one); `environment`
    is added to this process's. start() returns when it listens; `host` and `port` are then the first address of its
    `listening on` line.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = serve_command(*arguments)
        self.environment = {**processes.python_environment(), **(environment or {})}
        self.host = ""
        self.port = 0
        self.log = log or _temporary_log()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the supervisor; ProxyFailed when it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise ProxyFailed(f"the proxy is not running:\n{self.stderr()}")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the supervisor is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait for the line that it listens; ProxyFailed with its words when that does not come."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not (address := listening_address(self.stderr())):
            if self._process.poll() is not None:
                raise ProxyFailed(f"tidegate serve ended with status {self._process.returncode}:\n{self.stderr()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ProxyFailed(f"tidegate serve did not listen in {START_TIMEOUT:.0f} s:\n{self.stderr()}")
            time.sleep(POLL)
        self.host, self.port = address

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = STOP_TIMEOUT) -> int:
        """Ask it to stop (SIGTERM lets transactions finish) and return its exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Its exit status once it has ended; ProxyFailed, and it is killed, if it takes more than `timeout` seconds."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProxyFailed(f"tidegate serve did not stop in {timeout:.0f} s:\n{self.stderr()}") from None

    def kill(self) -> None:
        """SIGKILL the supervisor and its workers."""
        if self._process is None or self._process.poll() is not None:
            return
        workers = processes.children(self._process.pid)
        for pid in (self._process.pid, *workers):
            processes.send_signal(pid, signal.SIGKILL)
        self._process.wait()

    def reload(self) -> None:
        """SIGHUP: read the configuration again."""
        processes.send_signal(self.pid, signal.SIGHUP)

    def workers(self) -> list[int]:
        """Process ids of the supervisor's children."""
        return processes.children(self.pid)

    def cpu_seconds(self) -> float:
        """CPU of the supervisor and its workers, ended ones included."""
        return processes.family_cpu_seconds(self.pid)

    def stderr(self) -> str:
        """What it has written on standard error (and output) so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def remove(self) -> None:
        """Kill it if need be and delete its log."""
        self.kill()
        self.log.unlink(missing_ok=True)


def serve_command(*arguments: str) -> list[str]:
    """`tidegate serve` with these arguments, by this interpreter."""
    return [sys.executable, "-m", "tidegate", "serve", *arguments]


def _temporary_log() -> Path:
    with tempfile.NamedTemporaryFile(prefix="tidegate-stderr-", suffix=".log", delete=False) as log:
        return Path(log.name)


def listening_address(text: str) -> tuple[str, int] | None:
    """Host and port of the first `listening on` line, or None when there is none yet."""
    found = _LISTENING.search(text)
    return (found[1].strip("[]"), int(found[2])) if found else None
