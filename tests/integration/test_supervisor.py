"""The supervisor with stand-in workers: sockets, crashes, restarts, reloads, slots of the dead, stopping in order."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tidegate.demo.postgres import free_port

ROOT = Path(__file__).resolve().parents[2]
WAIT = 15.0


class Serve:
    """One supervisor; `listen`, `workers` and `extra` (lines of [[proxy]]) go into its file, written by configure()."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tidegate.toml"
        self.control = folder / "control"
        self.alive = folder / "alive"
        self.log = folder / "stderr"
        self.lives("")
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def lives(self, pids: str) -> None:
        """The processes of the database that the stand-in finds alive from now on."""
        draft = self.folder / "alive.draft"
        draft.write_text(pids)
        draft.replace(self.alive)

    def configure(
        self, listen: Sequence[str] = ("127.0.0.1:0",), workers: int = 1, extra: str = "", top: str = "", limit: int = 4
    ) -> None:
        self.config.write_text(
            f'workers = {workers}\ncontrol_socket = "{self.control}"\n{top}\n'
            f'[[target]]\nname = "main"\nhost = "127.0.0.1"\nuser = "u"\nmax_connections = {limit}\n'
            f"server_login_timeout = 1\n"
            f'[[proxy]]\nname = "main"\ntarget = "main"\nlisten = {json.dumps(list(listen))}\n{extra}\n'
        )

    def launch(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "ALIVE_FILE": str(self.alive)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.stand_in_serve", str(self.config)],
                env={**environment, **self.environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        self.launch()
        self.until(lambda: "listening on" in self.said() or self.pid is None, "it listens")

    @property
    def pid(self) -> int | None:
        """None once it has ended."""
        assert self.process is not None
        return None if self.process.poll() is not None else self.process.pid

    def said(self) -> str:
        return self.log.read_text()

    def addresses(self) -> list[str]:
        found = re.search(r"^tidegate: listening on (.*?) \(target", self.said(), re.MULTILINE)
        assert found, self.said()
        return found[1].split(", ")

    def port(self, at: int = 0) -> int:
        return int(self.addresses()[at].rpartition(":")[2])

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(WAIT)

    def command(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT)
            connection.connect(str(self.control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline())
        assert isinstance(answer, dict)
        return answer

    def workers(self) -> dict[int, int]:
        return {one["worker"]: one["pid"] for one in self.command(command="stats")["workers"]}

    def budget(self) -> dict[str, int]:
        found: dict[str, int] = self.command(command="stats")["budgets"]["main"]
        return found

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, f"not in {WAIT} s: {what}\n{self.said()}"
            time.sleep(0.01)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    serve = Serve(tmp_path)
    serve.configure()
    yield serve
    if serve.process is not None:
        serve.process.kill()
        serve.process.wait()


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port), timeout=WAIT)


def ask(connection: socket.socket, line: str = "who") -> dict[str, Any]:
    connection.sendall(line.encode())
    answer = json.loads(connection.makefile("rb").readline())
    assert isinstance(answer, dict)
    return answer


def ask_new(port: int, line: str = "who", host: str = "127.0.0.1") -> dict[str, Any]:
    with connect(port, host) as connection:
        return ask(connection, line)


def connect_to(serve: Serve, worker: int) -> socket.socket:
    """A client that the kernel gave to that worker."""
    for _ in range(200):
        connection = connect(serve.port())
        if ask(connection)["worker"] == worker:
            return connection
        connection.close()
    raise AssertionError(f"worker {worker} was never given a client")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Starting


def test_says_one_line_when_it_listens(serve: Serve) -> None:
    serve.start()
    line = rf"tidegate: listening on 127\.0\.0\.1:{serve.port()} \(target main 127\.0\.0\.1:5432, "
    announced = [one for one in serve.said().splitlines() if "listening" in one]
    assert len(announced) == 1
    assert re.fullmatch(line + r"transaction pooling, 1 worker\)", announced[0])
    assert "stand-in started with a key of 64" in serve.said()


def test_four_workers_share_the_port_that_was_picked(serve: Serve) -> None:
    serve.configure(["127.0.0.1:0", "[::1]:0"], workers=4)
    serve.start()
    assert "4 workers)" in serve.said()
    connections = [connect(serve.port()) for _ in range(100)]
    assert {ask(one)["worker"] for one in connections} == {0, 1, 2, 3}
    for one in connections:
        one.close()
    assert ask_new(serve.port(1), host="::1")["proxy"] == "main"


def test_a_host_name_with_two_addresses_gets_one_port(serve: Serve) -> None:
    found = {entry[4][0] for entry in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    serve.configure(["localhost:0"])
    serve.start()
    assert len(serve.addresses()) == len(found)
    assert {address.rpartition(":")[2] for address in serve.addresses()} == {str(serve.port())}


def test_unix_socket(serve: Serve) -> None:
    serve.configure(["127.0.0.1:0", str(serve.folder)], workers=2)
    serve.start()
    path = serve.folder / ".s.PGSQL.5432"
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    assert stat.S_IMODE(serve.control.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(str(path))
        assert ask(client)["proxy"] == "main"
    serve.signal(signal.SIGTERM)
    assert serve.wait() == 0
    assert not path.exists()
    assert not serve.control.exists()


def test_socket_files_of_a_killed_supervisor_are_replaced(serve: Serve) -> None:
    serve.configure([str(serve.folder)])
    serve.start()
    workers = serve.workers()
    serve.signal(signal.SIGKILL)
    serve.wait()
    serve.until(lambda: not any(map(is_alive, workers.values())), "its workers end with it")
    assert (serve.folder / ".s.PGSQL.5432").exists()
    serve.start()
    assert serve.command(command="ping")["ok"]


def test_an_address_in_use_is_named(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serve.configure([f"127.0.0.1:{port}"])
        serve.start()
        assert serve.wait() == 1
    assert serve.said().startswith(
        f'tidegate: [[proxy]] "main": listen: cannot listen on "127.0.0.1:{port}": it is in use by another process'
    )
    assert "Traceback" not in serve.said()


def test_a_second_proxy_cannot_share_the_first_ones_port(serve: Serve, tmp_path: Path) -> None:
    serve.configure(workers=2)
    serve.start()
    (tmp_path / "second").mkdir()
    second = Serve(tmp_path / "second")
    second.configure([f"127.0.0.1:{serve.port()}"], workers=2)
    second.start()
    assert second.wait() == 1
    assert "in use by another process" in second.said()


def test_a_worker_that_cannot_start_ends_the_supervisor(serve: Serve) -> None:
    serve.environment["FAIL_AT_START"] = "1"
    serve.configure(workers=2)
    serve.start()
    assert serve.wait() == 1
    assert re.search(r"worker \d failed to start 5 times in a row, the last time with exit status 3", serve.said())
    assert "Traceback" not in serve.said()


# Crashes


def test_a_killed_worker_is_restarted_and_others_are_not_disturbed(serve: Serve) -> None:
    serve.configure(workers=2)
    serve.start()
    before = serve.workers()
    with connect_to(serve, 1) as bystander:
        os.kill(before[0], signal.SIGKILL)
        serve.until(lambda: serve.workers().keys() == {0, 1}, "both are ready again")
        after = serve.workers()
        assert after[1] == before[1]
        assert after[0] != before[0]
        assert ask(bystander)["pid"] == before[1]
    assert "worker 0 ended with killed by SIGKILL; it is restarted" in serve.said()
    assert serve.command(command="stats")["supervisor"]["worker_restarts"] == 1


def test_who_connects_while_the_worker_is_dead_is_served_after_its_restart(serve: Serve) -> None:
    serve.start()
    pid = serve.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    with connect(serve.port()) as client:
        os.kill(pid, signal.SIGKILL)
        with connect(serve.port()) as second:
            assert ask(client)["pid"] != pid
            assert ask(second)["worker"] == 0


def test_pauses_between_restarts_grow(serve: Serve) -> None:
    serve.start()
    for _ in range(4):
        pid = serve.workers()[0]
        os.kill(pid, signal.SIGKILL)
        serve.until(lambda pid=pid: serve.workers().get(0, pid) != pid, "it is ready again")  # type: ignore[misc]
    pauses = re.findall(r"it is restarted \(worker=0 ran_for=\S+ pause=([\d.]+)\)", serve.said())
    assert pauses == ["0.0", "0.1", "0.2", "0.4"]


def test_slots_of_a_dead_worker_come_back_when_their_backends_are_gone(serve: Serve) -> None:
    serve.configure(workers=2)
    serve.start()
    pid = serve.workers()[0]
    with connect_to(serve, 0) as client:
        ask(client, "take 1001 0")
        ask(client, "take 0 50001")
        ask(client, "take 0 0")
    serve.lives("1001 50001")
    killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    serve.until(lambda: serve.budget()["orphans"] == 3, "three slots wait for their backends")
    serve.until(lambda: serve.budget()["orphans"] == 2, "the unknown one is freed after a login's time")
    assert time.monotonic() - killed_at >= 1.0
    assert serve.budget() == {"limit": 4, "used": 2, "orphans": 2}
    serve.lives("1001")
    serve.until(lambda: serve.budget()["orphans"] == 1, "the one known by its port is freed")
    serve.lives("")
    serve.until(lambda: serve.budget()["used"] == 0, "all slots are free")
    with connect_to(serve, 1) as client:
        assert all(ask(client, "take 1 1")["slot"] >= 0 for _ in range(4))
        assert ask(client, "take 1 1")["slot"] == -1


# Reload


def test_reload_moves_listeners_and_keeps_clients(serve: Serve) -> None:
    serve.configure(workers=2)
    serve.start()
    old_port = serve.port()
    new_port = free_port()
    with connect(old_port) as client:
        before = ask(client)
        serve.configure([f"127.0.0.1:{new_port}", str(serve.folder)], workers=2)
        assert serve.command(command="reload") == {"ok": True, "message": "reloaded"}
        assert ask(client) == before
        seen = {ask_new(new_port)["worker"] for _ in range(60)}
        assert seen == {0, 1}
    with pytest.raises(ConnectionRefusedError):
        connect(old_port)
    os.kill(serve.workers()[0], signal.SIGKILL)
    serve.until(lambda: len(serve.workers()) == 2, "the restarted worker is ready")
    assert {ask_new(new_port)["worker"] for _ in range(60)} == {0, 1}


def test_reload_with_a_broken_file_changes_nothing(serve: Serve) -> None:
    serve.start()
    serve.config.write_text("workers = [\n")
    answer = serve.command(command="reload")
    assert answer["ok"] is False
    assert "is not valid TOML" in answer["error"]
    serve.signal(signal.SIGHUP)
    serve.until(lambda: serve.said().count("is not valid TOML") == 2, "the signal's reload says so too")
    assert ask_new(serve.port())["worker"] == 0


def test_reload_that_cannot_listen_changes_nothing(serve: Serve) -> None:
    serve.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serve.configure([f"127.0.0.1:{taken.getsockname()[1]}", str(serve.folder)])
        answer = serve.command(command="reload")
    assert "in use" in answer["error"]
    assert ask_new(serve.port())["worker"] == 0
    assert not (serve.folder / ".s.PGSQL.5432").exists()


def test_reload_says_what_needs_a_restart(serve: Serve) -> None:
    serve.start()
    serve.configure(workers=3)
    answer = serve.command(command="reload")
    assert answer == {"ok": True, "message": "reloaded; workers = 3 needs a restart; it stays 1"}
    assert len(serve.workers()) == 1


def test_reload_tells_what_a_worker_refused(serve: Serve) -> None:
    serve.start()
    serve.configure(extra='init_query = "refuse"')
    answer = serve.command(command="reload")
    assert answer == {"ok": False, "error": "worker 0 could not use it: refused as told"}


# Stopping


def test_stopping_lets_transactions_finish_and_no_one_in(serve: Serve) -> None:
    serve.configure(workers=2)
    serve.start()
    port, workers = serve.port(), serve.workers()
    with connect_to(serve, 0) as busy, connect_to(serve, 1) as idle:
        assert ask(busy, "hold") == {}
        serve.signal(signal.SIGTERM)
        assert idle.recv(1) == b"", "an idle client's worker stops at once"
        serve.until(lambda: refuses(port), "nobody is let in")
        assert serve.pid is not None
        assert is_alive(workers[0])
        assert ask(busy, "end") == {}
        assert serve.wait() == 0
    assert not any(map(is_alive, workers.values()))


def refuses(port: int) -> bool:
    try:
        connect(port).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it came while the listener closed
        return True
    return False


def test_transactions_may_take_shutdown_timeout_and_no_longer(serve: Serve) -> None:
    serve.configure(top="shutdown_timeout = 0.5")
    serve.start()
    with connect(serve.port()) as busy:
        assert ask(busy, "hold") == {}
        began = time.monotonic()
        serve.signal(signal.SIGTERM)
        assert busy.recv(1) == b""
        assert time.monotonic() - began >= 0.5
        assert serve.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_closes_everything_now(serve: Serve, second: signal.Signals) -> None:
    serve.start()
    with connect(serve.port()) as busy:
        assert ask(busy, "hold") == {}
        serve.signal(signal.SIGTERM)
        serve.until(lambda: "transactions may finish for 30 s" in serve.said(), "it stops")
        serve.signal(second)
        assert serve.wait() == 0


def test_an_interrupt_has_less_patience(serve: Serve) -> None:
    serve.start()
    serve.signal(signal.SIGINT)
    assert serve.wait() == 0
    assert "transactions may finish for 5 s" in serve.said()


def test_stop_command(serve: Serve) -> None:
    serve.start()
    assert serve.command(command="stop", mode="later")["ok"] is False
    assert serve.command(command="stop") == {"ok": True, "message": "stopping"}
    assert serve.wait() == 0


def test_a_worker_that_hangs_is_killed(serve: Serve) -> None:
    serve.start()
    pid = serve.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    assert serve.command(command="stop", mode="immediate")["ok"]
    assert serve.wait() == 0
    assert not is_alive(pid)
    assert "worker 0 did not stop and is killed" in serve.said()


# Control socket


def test_statistics_are_merged(serve: Serve) -> None:
    serve.configure(workers=2)
    serve.start()
    connections = [connect(serve.port()) for _ in range(40)]
    by_worker = [ask(one)["worker"] for one in connections]
    stats = serve.command(command="stats")
    most = max(by_worker.count(0), by_worker.count(1))
    assert (stats["ok"], stats["served"], stats["clients_max"]) == (True, 40, most)
    assert stats["pools"] == [{"pool": "p", "servers": 2}]
    assert [one["served"] for one in stats["workers"]] == [by_worker.count(0), by_worker.count(1)]
    assert stats["budgets"] == {"main": {"limit": 4, "used": 0, "orphans": 0}}
    for one in connections:
        one.close()


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b'{"command": "dance"}\n', b"\xff\n", b"[" * 5000 + b"\n"])
def test_nonsense_on_the_control_socket_is_answered(serve: Serve, line: bytes) -> None:
    serve.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT)
        connection.connect(str(serve.control))
        connection.sendall(line + b'{"command": "ping"}\n')
        answers = connection.makefile("rb")
        refusal = json.loads(answers.readline())
        assert refusal["ok"] is False
        assert "NAME one of ping, pins, reload, stats, stop" in refusal["error"]
        assert json.loads(answers.readline())["message"] == "pong"


def test_a_line_without_end_is_refused(serve: Serve) -> None:
    serve.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT)
        connection.connect(str(serve.control))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was written
            connection.sendall(b"x" * 200_000)
        assert json.loads(connection.makefile("rb").readline())["error"].startswith("a request is at most")
    assert serve.command(command="ping")["ok"]
