"""pgbench with 2,000 clients: does it run without an error?"""

from __future__ import annotations

from bench.contenders import Contender
from bench.contenders.base import ProxyContender
from bench.workloads.base import Bench, Workload, too_many
from bench.workloads.closing import read_closing
from bench.workloads.transactions import follow

CLIENTS = 2000
_LIMIT = 240.0


class Crowd(Workload):
    """2,000 clients on the pool of 20, each a fixed number of transactions; any failure of any client fails it."""

    name = "crowd"
    once = True

    def cases(self) -> list[str]:
        """One case, named after the number of clients."""
        return [f"simple {CLIENTS}"]

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """Fewer connections than clients."""
        return too_many(CLIENTS, contender)

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`transactions` done by all clients together, and their rate after logging in; BenchError on any failure."""
        command = bench.pgbench_command(contender, "simple", CLIENTS, "-t", f"{bench.seconds(100, 30):.0f}")
        pids = contender.pids() if isinstance(contender, ProxyContender) else []
        _, lines = follow(command, pids, _LIMIT)
        closing = read_closing(lines)
        return {name: closing[name] for name in ("transactions", "tps")}
