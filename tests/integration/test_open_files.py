"""The limit of open files: raised by those who need it, told of where it is short, and survived where it is hit."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tidegate.demo import processes

FILES = resource.RLIMIT_NOFILE
HARD = resource.getrlimit(FILES)[1]


@contextmanager
def lowered(soft: int) -> Iterator[None]:
    """A lower soft limit of this process, for those that it starts."""
    before = resource.getrlimit(FILES)
    resource.setrlimit(FILES, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(FILES, before)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_workers_may_open_as_many_as_the_hard_limit_allows(postgres: Postgres) -> None:
    with lowered(600), Proxy(postgres, proxy={"max_client_connections": 10}) as proxy:
        assert [resource.prlimit(pid, FILES) for pid in (proxy.pid, *proxy.workers())] == [(HARD, HARD)] * 2
        assert "open files" not in proxy.stderr()


def test_a_limit_that_is_too_low_is_told_at_the_start_and_at_a_reload(postgres: Postgres) -> None:
    with Proxy(postgres, proxy={"max_client_connections": HARD}) as proxy:
        told = f"WARNING supervisor: the limit of open files is {HARD}, and max_client_connections"
        assert proxy.stderr().count(told) == 1
        proxy.reload()
        assert proxy.stderr().count(told) == 2


def test_clients_past_the_limit_wait_and_the_log_says_so_once(postgres: Postgres) -> None:
    with Proxy(postgres, target={"max_connections": 2}) as proxy, ExitStack() as stack:
        with psycopg.connect(proxy.dsn("app", "app")) as client:  # so that all is open that needs to be
            client.execute("SELECT 1")
        (worker,) = proxy.workers()
        resource.prlimit(worker, FILES, (open_files(worker) + 5, HARD))
        for _ in range(8):
            stack.enter_context(socket.create_connection((proxy.host, proxy.port)))
        wait_until(lambda: "Too many open files" in proxy.stderr(), "a line in the log")
        time.sleep(1.0)  # ten pauses of the listener
        lines = [line for line in proxy.stderr().splitlines() if "Too many open files" in line]
        assert len(lines) == 1
        assert "ulimit -n" in lines[0] and "max_client_connections" in lines[0]
        stack.close()
        with psycopg.connect(proxy.dsn("app", "app")) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)


def run_demo(hard: int, soft: int, clients: int) -> subprocess.CompletedProcess[str]:
    demo = [sys.executable, "-m", "tidegate", "demo", "--clients", str(clients)]
    return subprocess.run(
        ["bash", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$@"', "-", *demo],
        env=processes.python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_raises_its_limit() -> None:
    done = run_demo(hard=1000, soft=40, clients=100)
    assert done.returncode == 0, done.stderr
    assert "300 of 300" in done.stdout


def test_a_demo_with_more_clients_than_files_says_so() -> None:
    done = run_demo(hard=500, soft=500, clients=400)
    assert done.returncode == 1
    assert done.stderr == (
        "tidegate demo: 400 clients take up to 600 open files in one process, and the limit is 500: raise it"
        " (ulimit -Hn) or ask for fewer: --clients 300\n"
    )
