"""Latency of one query of one client, simple protocol; what a proxy adds is its median less the direct one."""

from __future__ import annotations

from bench.contenders import Contender
from bench.workloads.base import Bench, Workload


class Latency(Workload):
    """One client that waits for each reply: no queueing anywhere, only the path."""

    name = "latency"

    def cases(self) -> list[str]:
        """One case."""
        return ["1"]

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """Quantiles of the round trip in microseconds."""
        seconds = bench.seconds(4, 2)
        answer = bench.run_generator("query_latency", contender, seconds, timeout=seconds + 30)
        return {name: float(value) for name, value in answer.items()}
