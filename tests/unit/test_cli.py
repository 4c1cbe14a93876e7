"""The commands: what they call, what they print, how they exit; and that no traceback reaches a user.

The supervisor and the demo are stood in for; `reload` talks to a Unix socket of the test's own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import tidegate.demo
import tidegate.proxy
from tidegate import __version__, cli
from tidegate.config.load import load
from tidegate.config.model import AuthMethod, Config, PoolMode
from tidegate.errors import ConfigError

SOURCE = Path(__file__).parents[2] / "src"
DSN = "postgresql://app:pw@db.example/shop"
FILE = """
[[target]]
name = "main"
host = "db"
user = "tidegate"
password = "hidden"
[[proxy]]
name = "main"
listen = ["127.0.0.1:6432"]
target = "main"
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.toml"
    path.write_text(FILE)
    return path


class Supervisor(ModuleType):
    """Stands in for tidegate.proxy.supervisor and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__("tidegate.proxy.supervisor")
        self.given: list[tuple[Config, Path | None]] = []
        self.end: int | BaseException = 0

    def run(self, config: Config, config_path: Path | None) -> int:
        self.given.append((config, config_path))
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    stand_in = Supervisor()
    monkeypatch.setitem(sys.modules, "tidegate.proxy.supervisor", stand_in)
    monkeypatch.setattr(tidegate.proxy, "supervisor", stand_in, raising=False)
    return stand_in


def test_serve_from_options(supervisor: Supervisor) -> None:
    done = run(
        "serve", "--target", DSN, "--listen", "127.0.0.1:1", "--listen", "[::1]:1", "--max-connections", "20",
        "--pool-mode", "session", "--auth-method", "md5",
    )  # fmt: skip
    assert (done.exit_code, done.output) == (0, "")
    ((config, path),) = supervisor.given
    assert path is None
    assert config.proxies[0].listen == ("127.0.0.1:1", "[::1]:1")
    assert config.proxies[0].pool_mode is PoolMode.SESSION
    assert config.proxies[0].auth_method is AuthMethod.MD5
    assert (config.targets[0].host, config.targets[0].max_connections) == ("db.example", 20)


def test_serve_listens_on_loopback_by_default(supervisor: Supervisor) -> None:
    assert run("serve", "--target", DSN).exit_code == 0
    assert supervisor.given[0][0].proxies[0].listen == ("127.0.0.1:6432",)


def test_serve_from_a_file(supervisor: Supervisor, config: Path) -> None:
    supervisor.end = 3
    assert run("serve", "--config", str(config)).exit_code == 3
    assert supervisor.given == [(load(config), config)]


def test_serve_warns_of_too_many_workers(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    done = run("serve", "--target", DSN, "--workers", "2")
    assert done.exit_code == 0
    assert done.stderr.startswith("tidegate: warning: workers = 2: this machine gives us 1 cores")
    assert supervisor.given[0][0].workers == 2


@pytest.mark.parametrize(
    ("end", "said", "code"),
    [
        (ConfigError("listen = x: in use"), "tidegate: listen = x: in use\n", 1),
        (PermissionError(13, "Permission denied", "/run/x.sock"), "tidegate: /run/x.sock: Permission denied\n", 1),
        (OSError(24, "Too many open files"), "tidegate: Too many open files\n", 1),
        (OSError("odd"), "tidegate: odd\n", 1),
        (KeyboardInterrupt(), "", 130),
    ],
)
def test_what_ends_the_supervisor_is_a_line(supervisor: Supervisor, end: BaseException, said: str, code: int) -> None:
    supervisor.end = end
    done = run("serve", "--target", DSN)
    assert (done.stderr, done.exit_code) == (said, code)


def test_a_bug_is_not_hidden(supervisor: Supervisor) -> None:
    supervisor.end = ZeroDivisionError()
    assert isinstance(run("serve", "--target", DSN).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve"], "tidegate: give --target DSN or --config FILE; see --help\n"),
        (
            ["serve", "--config", "x", "--target", DSN, "--workers", "2"],
            "tidegate: --config says it all; leave out --target, --workers or set it in the file; see --help\n",
        ),
        (["reload"], "tidegate: give --config FILE or --control PATH, one of the two; see --help\n"),
        (
            ["reload", "--config", "x", "--control", "y"],
            "tidegate: give --config FILE or --control PATH, one of the two; see --help\n",
        ),
    ],
)
def test_usage(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.stderr, done.exit_code) == (said, 2)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["serve", "--pool-mode", "statement"], "--pool-mode"),
        (["serve", "--workers", "x"], "--workers"),
        (["serve", "--nope"], "--nope"),
        (["validate"], "--config"),
        (["nope"], "nope"),
    ],
)
def test_usage_that_the_parser_finds(arguments: list[str], named: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert named in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["serve", "--target", "x"],
            "tidegate: --target: must be a URL like postgresql://user:password@host:port/database\n",
        ),
        (
            ["serve", "--target", DSN, "--listen", "x"],
            'tidegate: --listen: "x": the port is missing; write "host:port"\n',
        ),
        (["serve", "--config", "/none.toml"], "tidegate: /none.toml: cannot be read: No such file or directory\n"),
        (["validate", "--config", "/none.toml"], "tidegate: /none.toml: cannot be read: No such file or directory\n"),
        (["reload", "--config", "/none.toml"], "tidegate: /none.toml: cannot be read: No such file or directory\n"),
    ],
)
def test_settings_that_cannot_be_used(supervisor: Supervisor, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.stdout, done.stderr, done.exit_code) == ("", said, 1)
    assert not supervisor.given


def test_validate(config: Path) -> None:
    done = run("validate", "--config", str(config))
    assert (done.stderr, done.exit_code) == ("", 0)
    assert "* host                         db\n" in done.stdout
    assert "hidden" not in done.stdout
    assert run("validate", "--config", str(config), "--quiet").stdout == "ok\n"


def test_validate_says_all_problems(config: Path) -> None:
    config.write_text(FILE + "login_timeout = 0\nnope = 1\n")
    done = run("validate", "--config", str(config))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.split("\n") == [
        f'tidegate: {config}: [[proxy]] "main": login_timeout = 0: must be 1 to 300 seconds',
        f'tidegate: {config}: [[proxy]] "main": nope: unknown setting',
        "",
    ]


@pytest.fixture
def control() -> Iterator[Callable[[bytes], Path]]:
    """Start a control socket that gives one answer; the folder's name is short enough for any machine."""
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        path = Path(folder) / "control.sock"
        threads: list[threading.Thread] = []

        def start(answer: bytes) -> Path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen()

            def serve() -> None:
                with listener, listener.accept()[0] as client, client.makefile("rb") as lines:
                    if json.loads(lines.readline()) == {"command": "reload"}:
                        client.sendall(answer)

            threads.append(threading.Thread(target=serve, daemon=True))
            threads[-1].start()
            return path

        yield start
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "stdout", "stderr"),
    [
        ({"ok": True, "message": "2 workers reloaded"}, "2 workers reloaded\n", ""),
        ({"ok": True}, "reloaded\n", ""),
        ({"ok": False, "error": "a: bad\nb: bad"}, "", "tidegate: a: bad\ntidegate: b: bad\n"),
        ({"huh": 1}, "", 'tidegate: the proxy at {path} refused: {"huh": 1}\n'),
    ],
)
def test_reload(control: Callable[[bytes], Path], answer: dict[str, Any], stdout: str, stderr: str) -> None:
    path = control(json.dumps(answer).encode() + b"\n")
    done = run("reload", "--control", str(path))
    assert (done.stdout, done.stderr) == (stdout, stderr.replace("{path}", str(path)))
    assert done.exit_code == (1 if stderr else 0)


def test_reload_finds_the_socket_by_the_file(control: Callable[[bytes], Path], config: Path) -> None:
    path = control(b'{"ok": true, "message": "done"}\n')
    config.write_text(f'control_socket = "{path}"\n' + FILE)
    assert run("reload", "--config", str(config)).stdout == "done\n"


def test_reload_needs_none_of_the_files_secrets(control: Callable[[bytes], Path], config: Path) -> None:
    """The proxy has them in its environment; who asks it to read its file need not."""
    path = control(b'{"ok": true, "message": "done"}\n')
    secrets = FILE.replace('"hidden"', '"${TIDEGATE_UNSET}"') + '[[user]]\nname = "a"\npassword_file = "/none"\n'
    config.write_text(f'control_socket = "{path}"\n' + secrets)
    assert run("reload", "--config", str(config)).stdout == "done\n"


def test_reload_of_a_file_with_an_odd_control_socket(config: Path) -> None:
    config.write_text("control_socket = 5\n" + FILE)
    done = run("reload", "--config", str(config))
    assert (done.exit_code, done.stderr) == (1, f"tidegate: {config}: control_socket = 5: must be text\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the proxy at {path} closed the connection without an answer"),
        (b'{"ok": true}', "the proxy at {path} closed the connection without an answer"),
        (b"hello\n", "what answers at {path} is no Tidegate supervisor"),
        (b"[]\n", "what answers at {path} is no Tidegate supervisor"),
    ],
)
def test_reload_of_something_else(control: Callable[[bytes], Path], answer: bytes, said: str) -> None:
    path = control(answer)
    done = run("reload", "--control", str(path))
    assert (done.stderr, done.exit_code) == (f"tidegate: {said}\n".replace("{path}", str(path)), 1)


@pytest.mark.parametrize("leftover", [False, True])
def test_reload_where_nothing_runs(leftover: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        path = f"{folder}/control.sock"
        if leftover:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
        done = run("reload", "--control", path)
    assert done.exit_code == 1
    assert done.stderr == (
        f"tidegate: no proxy runs behind the control socket {path};"
        " start one with `tidegate serve` or name the socket with --control\n"
    )


def test_reload_with_a_path_that_cannot_be_one() -> None:
    path = "/tmp/" + "x" * 200
    assert run("reload", "--control", path).stderr == f"tidegate: control socket {path}: AF_UNIX path too long\n"


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, bool]] = []

    def stand_in(clients: int, keep: bool) -> int:
        calls.append((clients, keep))
        return 4

    monkeypatch.setattr(tidegate.demo, "run", stand_in)
    assert run("demo").exit_code == 4
    assert run("demo", "--clients", "10", "--keep").exit_code == 4
    assert calls == [(300, False), (10, True)]
    assert run("demo", "--clients", "0").exit_code == 2


def test_version() -> None:
    assert run("--version").stdout == f"tidegate {__version__}\n"


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "tidegate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def test_real_process_has_no_traceback_for_a_bad_file(config: Path) -> None:
    config.write_text("workers = [")
    done = process("validate", "--config", str(config))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tidegate: {config}: is not valid TOML: ")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, tidegate.cli;"
        "print([m for m in ('pydantic', 'asyncio', 'tomllib', 'tidegate.config.load') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
