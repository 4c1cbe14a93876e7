"""The built proxy for a test: `python -m tidegate serve --config FILE` before a Postgres, with verbs.

Owns the configuration file that it writes, the control socket's location, and asking over it.
Refuses to hide trouble: the folder with the configuration and standard error is kept when a test failed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.postgres import Postgres, dsn
from tidegate.demo import processes
from tidegate.demo.postgres import PASSWORD, SUPERUSER
from tidegate.demo.program import ProxyProgram

WAIT = 15.0

SANITIZED = os.environ.get("TIDEGATE_SANITIZED", "")
"""A tree with the sanitized build, for the proxies to run instead (`make sanitize`); its runtime is in SANITIZERS."""

Table = Mapping[str, Any]


class Proxy:
    """One proxy named `main` before one target; start() to serve, then clients connect with dsn().

    `proxy`, `target`, `users`, `databases` and `top` are settings of these tables of the configuration file, over
    what is written anyway: where to listen, the target's address, and the superuser as the proxy's own login.
    With no `users`, logins pass through. `proxies` and `targets` are whole tables that follow. `environment` is
    added to this process's.
    """

    def __init__(
        self,
        postgres: Postgres,
        *,
        proxy: Table | None = None,
        target: Table | None = None,
        databases: Mapping[str, Table] | None = None,
        users: Sequence[Table] = (),
        top: Table | None = None,
        proxies: Sequence[Table] = (),
        targets: Sequence[Table] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.postgres = postgres
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-proxy-", dir="/tmp"))
        self.config_file = self.folder / "tidegate.toml"
        self.control_socket = self.folder / "control"
        self.proxy = {"name": "main", "listen": ["127.0.0.1:0"], "target": "main", **(proxy or {})}
        self.target = {"name": "main", **target_address(postgres), **(target or {})}
        self.databases = dict(databases or {})
        self.users = list(users)
        self.proxies = list(proxies)
        self.targets = list(targets)
        self.top = {"control_socket": str(self.control_socket), **(top or {})}
        self._program = ProxyProgram(
            ["--config", str(self.config_file)],
            self.folder / "stderr.log",
            {**sanitized_environment(self.folder), **(environment or {})},
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"the proxy's folder is kept: {self.folder}\n{self.stderr()[-4000:]}")
            self._program.kill()
        else:
            self.remove()

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._program.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._program.port

    def addresses(self, name: str = "main") -> list[str]:
        """Every address of one proxy with its real port, from the line that it wrote when it started."""
        line = next(line for line in self.stderr().splitlines() if line.startswith("tidegate: listening on "))
        groups = re.split(r" \(target [^)]*\)(?:; )?", line.removeprefix("tidegate: listening on "))
        names = [str(one["name"]) for one in (self.proxy, *self.proxies)]
        return groups[names.index(name)].split(", ")

    def port_of(self, name: str, at: int = 0) -> int:
        """The port of one address of a proxy."""
        return int(self.addresses(name)[at].rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The supervisor's process id; ProxyFailed when it is not running."""
        return self._program.pid

    @property
    def running(self) -> bool:
        """Whether the supervisor is alive."""
        return self._program.running

    def start(self) -> None:
        """Write the configuration, start, wait until it listens; ProxyFailed with standard error if it does not."""
        self.write_config()
        self._program.start()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 60.0) -> int:
        """Ask it to stop and return its exit status."""
        return self._program.stop(number, timeout)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status, once it has ended as it was told otherwise."""
        return self._program.wait(timeout)

    def kill(self) -> None:
        """SIGKILL the supervisor and the workers."""
        self._program.kill()

    def remove(self) -> None:
        """Kill what still runs and delete the folder; AssertionError if a sanitizer has reported something."""
        self._program.remove()
        reports = [report.read_text(errors="replace") for report in self.folder.glob("sanitizer.*")]
        assert not reports, f"the proxy's folder is kept: {self.folder}\n" + "\n".join(reports)[:20000]
        shutil.rmtree(self.folder, ignore_errors=True)

    def dsn(self, user: str = SUPERUSER, database: str = "postgres", password: str | None = None) -> str:
        """A URL through the proxy; the password is the user's name unless given."""
        return dsn(self.host, self.port, user, database, password)

    def stderr(self) -> str:
        """What it has said so far."""
        return self._program.stderr()

    def workers(self) -> list[int]:
        """Process ids of the workers, from statistics, since the supervisor may have other children."""
        return [int(worker["pid"]) for worker in self.stats()["workers"]]

    def kill_worker(self, index: int = 0, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one worker and return its process id."""
        pid = self.workers()[index]
        os.kill(pid, number)
        return pid

    def cpu_seconds(self) -> float:
        """CPU of the supervisor and its workers."""
        return self._program.cpu_seconds()

    def reload(self) -> dict[str, Any]:
        """Write the configuration anew from the attributes and have it read; the supervisor's answer."""
        self.write_config()
        return self.command("reload")

    def stats(self) -> dict[str, Any]:
        """Merged statistics of all workers."""
        return self.command("stats")

    def command(self, name: str) -> dict[str, Any]:
        """Send one JSON line to the control socket and return the line that answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT)
            connection.connect(str(self.control_socket))
            connection.sendall(json.dumps({"command": name}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        assert line.endswith(b"\n"), f"the control socket closed without an answer to {name}"
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def write_config(self) -> None:
        """The configuration file, as the attributes are now."""
        lines = [f"{name} = {_toml(value)}" for name, value in self.top.items()]
        lines += _table("[[proxy]]", self.proxy)
        for alias, database in self.databases.items():
            lines += _table(f"[proxy.databases.{json.dumps(alias)}]", database)
        for proxy in self.proxies:
            lines += _table("[[proxy]]", proxy)
        for target in (self.target, *self.targets):
            lines += _table("[[target]]", target)
        for user in self.users:
            lines += _table("[[user]]", user)
        self.config_file.write_text("\n".join(lines) + "\n")


def sanitized_environment(folder: Path) -> dict[str, str]:
    """What makes a proxy run the sanitized build, and leave reports in its folder: a worker that died is replaced."""
    if not SANITIZED:
        return {}
    options = f"log_path={folder}/sanitizer:halt_on_error=1"
    return {
        "PYTHONPATH": SANITIZED,
        "PYTHONMALLOC": "malloc",  # Python's own allocator hides reads past the end of small objects
        "LD_PRELOAD": os.environ["SANITIZERS"],
        "ASAN_OPTIONS": f"{options}:detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
    }


def target_address(postgres: Postgres) -> dict[str, Any]:
    """The settings of a target that say where it is and how the proxy itself logs in."""
    return {"host": postgres.host, "port": postgres.port, "user": SUPERUSER, "password": PASSWORD}


def reload(proxy: Proxy, /, **changes: Any) -> str:
    """Change attributes of the proxy's file, reload, and return what the supervisor says of its success."""
    for name, value in changes.items():
        if isinstance(value, dict):
            getattr(proxy, name).update(value)
        else:
            setattr(proxy, name, value)
    answer = proxy.reload()
    assert answer["ok"], answer
    return str(answer["message"])


def wait_until(condition: Callable[[], object], what: str, timeout: float = WAIT) -> None:
    """Poll until `condition` holds; AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def wait_gone(pids: Sequence[int], timeout: float = WAIT) -> None:
    """Wait until none of these processes is alive."""
    processes.wait_gone(pids, timeout)


def _table(header: str, settings: Table) -> list[str]:
    return ["", header, *(f"{name} = {_toml(value)}" for name, value in settings.items())]


def _toml(value: object) -> str:
    """A TOML value; JSON's strings, numbers, booleans and lists of these are TOML too."""
    assert isinstance(value, (str, int, float, list, tuple)), f"no TOML for {value!r}"
    return json.dumps(value)
