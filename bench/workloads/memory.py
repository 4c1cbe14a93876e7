"""Memory per idle client: PSS over all of a proxy's processes, with 5,000 clients and without, divided by 5,000."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.contenders import Contender
from bench.memory import pss_bytes
from bench.processes import BenchError, wait_until_idle
from bench.workloads.base import Bench, Workload, too_many, unprepared

CLIENTS = 5000
STATEMENTS = 5
_WARM_UP_CLIENTS = 20
_SETTLE = 1.0


class Memory(Workload):
    """Clients that logged in by SCRAM and ran a query; in the second case also five prepared statements each."""

    name = "memory"
    fresh = True

    def cases(self) -> list[str]:
        """Idle clients without and with prepared statements."""
        return ["0 statements", f"{STATEMENTS} statements"]

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """Too many clients for it, or no prepared statements in it."""
        return too_many(CLIENTS, contender) or (None if case.startswith("0") else unprepared(contender))

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`bytes_per_client`, `base_bytes` before them, and `all_bytes` with them."""
        statements = case.split()[0]
        bench.warm_up(contender)
        with _idle_clients(bench, contender, _WARM_UP_CLIENTS, statements):
            wait_until_idle(contender.pids())
        base = _settled_pss(contender)
        with _idle_clients(bench, contender, CLIENTS, statements):
            loaded = _settled_pss(contender)
        return {"bytes_per_client": (loaded - base) / CLIENTS, "base_bytes": base, "all_bytes": loaded}


def _settled_pss(contender: Contender) -> float:
    wait_until_idle(contender.pids())
    time.sleep(_SETTLE)
    return float(pss_bytes(contender.pids()))


@contextmanager
def _idle_clients(bench: Bench, contender: Contender, clients: int, statements: str) -> Iterator[None]:
    """That many clients, logged in and idle, for the time of the block."""
    command = bench.generator("idle_clients", contender, clients, statements)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline().strip() != f"ready {clients}":
            raise BenchError(f"idle_clients: {process.stderr.read().strip()}")
        yield
        process.stdin.close()
        process.wait(60)
