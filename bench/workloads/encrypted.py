"""TLS between client and proxy: CPU per transaction, full handshakes, and what a storm of them does to others.

The certificate is of P-256, TLS 1.3 is what both ends choose. Between proxy and database nothing is encrypted.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from bench import cpu
from bench.contenders import Contender
from bench.processes import BenchError, run, wait_until_idle
from bench.workloads.base import Bench, Workload
from bench.workloads.transactions import Transactions

THREADS = 8
"""Handshakes in flight."""

SPELLS = 6
"""Alternations of quiet and storm in a round."""

SPELL = 2
"""Seconds of either."""


class Encrypted(Transactions):
    """pgbench -S as in `transactions`, with sslmode=require."""

    name = "tls"
    contenders = ("tidegate", "pgbouncer")
    sslmode = "require"

    def cases(self) -> list[str]:
        """Those that many connections make, in the protocols that drivers use."""
        return [f"{protocol} {clients}" for protocol in ("simple", "extended", "prepared") for clients in (20, 100)]


class _OfHandshakes(Workload):
    """A question about THREADS handshakes at a time, for those who can do any."""

    contenders = ("tidegate", "pgbouncer")

    def cases(self) -> list[str]:
        """One, named after the handshakes in flight."""
        return [str(THREADS)]


class Handshakes(_OfHandshakes):
    """Full handshakes a second from a generator that does nothing else."""

    name = "handshakes"

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`per_second`, `cpu_us` per handshake, quantiles of connect and handshake."""
        storm(contender, bench, 0.3, int(case))
        wait_until_idle(contender.pids())
        before = cpu.read(contender.pids())
        values = storm(contender, bench, bench.seconds(5, 2), int(case))
        wait_until_idle(contender.pids())
        after = cpu.read(contender.pids())
        values["cpu_us"] = cpu.seconds_between(before, after) / values["handshakes"] * 1e6
        return values


class Storm(_OfHandshakes):
    """The latency of a connection that is open already, with and without a storm of handshakes beside it.

    The generator of the storm runs at the lowest priority: it is the proxy's work that is to disturb, not the
    generator's on the same two cores. A round alternates SPELLS times and takes the medians: others on the same
    hardware disturb a p99 for seconds on end, and what lies next to each other they disturb alike.
    """

    name = "storm"

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`p50_times` and `p99_times`: quantiles amid the storm as multiples of those before it; `longest_us`: the
        longest round trip amid all of the round's storms.
        """
        spells = [self._spell(int(case), contender, bench) for _ in range(1 if bench.quick else SPELLS)]
        values = {name: statistics.median(spell[name] for spell in spells) for name in spells[0]}
        values["longest_us"] = max(spell["longest_us"] for spell in spells)
        return values

    @staticmethod
    def _spell(threads: int, contender: Contender, bench: Bench) -> dict[str, float]:
        quiet = bench.run_generator("query_latency", contender, SPELL, timeout=SPELL + 30)
        command = ["nice", "-n", "19", *_command(contender, bench, SPELL + 1, threads)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as beside:
            yield_to_others(beside.pid)
            amid = bench.run_generator("query_latency", contender, SPELL, timeout=SPELL + 30)
            told, _ = beside.communicate(timeout=60)
        values = {"per_second": _checked(told)["per_second"], "longest_us": float(amid["max_us"])}
        for quantile in ("p50", "p99"):
            before, during = float(quiet[f"{quantile}_us"]), float(amid[f"{quantile}_us"])
            values |= {f"{quantile}_quiet_us": before, f"{quantile}_us": during, f"{quantile}_times": during / before}
        return values


def yield_to_others(session: int) -> None:
    """Give the session of this leader the least share of CPU: niceness counts within a session only, where the kernel
    groups by sessions (sched(7), "The autogroup feature").
    """
    group = Path(f"/proc/{session}/autogroup")
    if group.exists():
        group.write_text("19")


def storm(contender: Contender, bench: Bench, seconds: float, threads: int) -> dict[str, float]:
    """Run the generator; BenchError if a handshake failed."""
    return _checked(run(_command(contender, bench, seconds, threads), timeout=seconds + 60))


def _command(contender: Contender, bench: Bench, seconds: float, threads: int) -> list[str]:
    return [str(bench.generators / "tls_storm"), "127.0.0.1", str(contender.port), str(threads), str(seconds)]


def _checked(text: str) -> dict[str, float]:
    values = {name: float(value) for name, value in json.loads(text).items()}
    if values["errors"] or not values["handshakes"]:
        raise BenchError(f"{values['errors']:.0f} handshakes failed of {values['handshakes']:.0f}")
    values["per_second"] = values["handshakes"] / values["seconds"]
    return values
