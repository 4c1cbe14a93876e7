"""CPU per transaction: `pgbench -S` by three protocols at four numbers of clients.

CPU and transactions are taken between pgbench's first and last progress line, so that logging in (with a PBKDF2 in
every one of pgbench's clients) and the end are outside.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from bench import cpu
from bench.contenders import Contender
from bench.contenders.base import ProxyContender
from bench.processes import BenchError
from bench.workloads.base import Bench, Workload, too_many, unprepared

PROTOCOLS = ("simple", "extended", "prepared")
CLIENTS = (1, 20, 100, 500)
_PROGRESS = re.compile(r"progress: [\d.]+ s, (?P<tps>[\d.]+) tps, lat (?P<latency>[\d.]+) ms .*?(?P<failed>\d+) failed")
_LOGIN_SECONDS = 0.006
"""Allowed for one of pgbench's clients to log in, on a machine that is busy with something else too."""
_PATIENCE = 120.0


@dataclass(frozen=True)
class Tick:
    """One progress line: when it arrived (monotonic ns), the rate since the last one, and CPU used so far."""

    at: int
    tps: float
    latency_ms: float
    failed: int
    reading: cpu.Reading | None


def parse_progress(line: str) -> tuple[float, float, int] | None:
    """(transactions a second, mean latency in ms, failed) of a progress line; None for any other line."""
    match = _PROGRESS.match(line)
    return (float(match["tps"]), float(match["latency"]), int(match["failed"])) if match else None


def summarize(ticks: Sequence[Tick]) -> dict[str, float]:
    """Figures between the first and the last tick; ValueError with fewer than two."""
    if len(ticks) < 2:
        raise ValueError("fewer than two progress lines")
    first, last = ticks[0], ticks[-1]
    pairs = [(tick, (tick.at - before.at) / 1e9) for before, tick in pairwise(ticks)]
    transactions = sum(tick.tps * length for tick, length in pairs)
    seconds = (last.at - first.at) / 1e9
    values = {
        "transactions": transactions,
        "tps": transactions / seconds,
        "latency_ms": sum(tick.latency_ms * tick.tps * length for tick, length in pairs) / transactions,
        "failed": float(sum(tick.failed for tick in ticks)),
    }
    if first.reading and last.reading:
        used = cpu.seconds_between(first.reading, last.reading)
        values["cpu_us"] = used / transactions * 1e6
        values["cpu_share"] = used / seconds
    return values


def follow(command: list[str], pids: Sequence[int], limit: float) -> tuple[list[Tick], list[str]]:
    """Run pgbench and read CPU at each of its progress lines; gives these and the other lines.

    BenchError when pgbench fails, reports a failed transaction, or takes longer than `limit` seconds.
    """
    ticks: list[Tick] = []
    words: list[str] = []
    deadline = time.monotonic() + limit
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            progress = parse_progress(line)
            if progress:
                reading = cpu.read(pids) if pids else None
                ticks.append(Tick(time.monotonic_ns(), *progress, reading))
            else:
                words.append(line.strip())
            if time.monotonic() > deadline:
                process.kill()
                raise BenchError(f"pgbench took longer than {limit:.0f} s")
    if process.returncode != 0 or any(tick.failed for tick in ticks):
        errors = [line for line in words if "error" in line] or words[-3:]
        raise BenchError(f"pgbench ended with {process.returncode}: {' / '.join(errors[:3])}")
    return ticks, words


class Transactions(Workload):
    """One case per protocol and number of clients, such as "simple 100"."""

    name = "transactions"
    contenders: ClassVar[tuple[str, ...]] = ("direct", "tidegate", "earlier", "pgbouncer")
    sslmode: ClassVar[str] = "disable"

    def cases(self) -> list[str]:
        """Protocols by numbers of clients."""
        return [f"{protocol} {clients}" for protocol in PROTOCOLS for clients in CLIENTS]

    def obstacle(self, case: str, contender: Contender) -> str | None:
        """More clients than the contender takes, or no prepared statements in it."""
        protocol, clients = case.split()
        return too_many(int(clients), contender) or (unprepared(contender) if protocol == "prepared" else None)

    def measure(self, case: str, contender: Contender, bench: Bench) -> dict[str, float]:
        """`cpu_us` per transaction (proxies only), `tps`, mean `latency_ms`."""
        protocol, clients = case.split()
        is_proxy = isinstance(contender, ProxyContender)
        seconds = bench.seconds(full=5 if is_proxy else 3, quick=3)
        # pgbench's own limit counts from before it connects.
        limit = f"{seconds + int(clients) * _LOGIN_SECONDS:.0f}"
        command = bench.pgbench_command(contender, protocol, int(clients), "-T", limit, sslmode=self.sslmode)
        pids = contender.pids() if is_proxy else []
        ticks, _ = follow(command, pids, seconds + _PATIENCE)
        return summarize(ticks)
