"""What settings need of the limit of open files, and that the limit is raised as far as it goes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tidegate.config.load import from_command_line
from tidegate.config.model import Config
from tidegate.demo import processes
from tidegate.proxy.descriptors import SPARE, needed, shortage


def config(workers: int) -> Config:
    """10,000 clients, which is the default, and 20 server connections."""
    return from_command_line("postgresql://u:p@localhost", ["127.0.0.1:0"], max_connections=20, workers=workers)


@pytest.mark.parametrize(("workers", "wanted"), [(1, 10_020 + SPARE), (3, 3_354 + SPARE)])
def test_clients_are_spread_over_workers_and_servers_are_not(workers: int, wanted: int) -> None:
    assert needed(config(workers)) == wanted


def test_a_shortage_is_told_with_what_to_do_about_it() -> None:
    wanted = needed(config(1))
    assert shortage(config(1), wanted) == ""
    told = shortage(config(1), wanted - 1)
    assert f"is {wanted - 1}, " in told
    assert f"may need {wanted} " in told
    for remedy in ("ulimit -n", "LimitNOFILE=", "max_client_connections"):
        assert remedy in told


@pytest.mark.parametrize(
    "raise_it",
    [
        "from tidegate.proxy.descriptors import raise_limit as up",
        "from tidegate.demo.processes import raise_descriptor_limit as up",
    ],
)
def test_the_soft_limit_becomes_the_hard_one(raise_it: str) -> None:
    program = f"import resource as r; {raise_it}; print(up(), *r.getrlimit(r.RLIMIT_NOFILE))"
    done = subprocess.run(
        ["bash", "-c", 'ulimit -Sn 300; ulimit -Hn 900; exec "$@"', "-", sys.executable, "-c", program],
        env=processes.python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "900 900 900\n"
