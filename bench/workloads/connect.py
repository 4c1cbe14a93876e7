"""A storm of short connections: connect, SCRAM, one query, close; CPU per connection and connections a second."""

from __future__ import annotations

from bench import cpu
from bench.contenders import Contender
from bench.processes import BenchError, wait_until_idle
from bench.workloads.base import Bench, Workload, too_many

IN_FLIGHT = 64


class Connect(Workload):
    """A number of connections always in flight, from a generator that has computed SaltedPassword once."""

    name = "connect"

    def cases(self) -> list[str]:
        """One case, named after the connections in flight."""
        return [str(IN_FLIGHT)]

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """More in flight than the contender takes."""
        return too_many(int(case), contender)

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`cpu_us` per connection, `per_second`, latencies, and how busy the generator itself was.

        For the direct case the CPU is that of all PostgreSQL's processes, which also run the query; a proxy's CPU does
        not contain what the database spends behind it.
        """
        bench.run_generator("connect_storm", contender, case, 0.3, timeout=60)
        wait_until_idle(contender.pids())
        before = cpu.read(contender.pids())
        answer = bench.run_generator("connect_storm", contender, case, bench.seconds(5, 2), timeout=60)
        wait_until_idle(contender.pids())
        after = cpu.read(contender.pids())
        if answer["errors"] or answer["stuck"] or not answer["connections"]:
            raise BenchError(
                f"{answer['errors']} of the connections failed and {answer['stuck']} hung: {answer['first_error']}"
            )
        values = {name: float(value) for name, value in answer.items() if name != "first_error"}
        values["cpu_us"] = cpu.seconds_between(before, after) / values["connections"] * 1e6
        values["per_second"] = values["connections"] / values["seconds"]
        values["generator_share"] = values["generator_cpu_seconds"] / values["seconds"]
        return values
