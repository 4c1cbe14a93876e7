"""What pgbench says in its closing lines: the whole run's transactions, their rate and latency.

Refuses to say anything of CPU: these lines come when the clients are gone, and count from when they had connected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.processes import BenchError

_LINES = {
    "transactions": re.compile(r"number of transactions actually processed: (\d+)(?:/(\d+))?$"),
    "failed": re.compile(r"number of failed transactions: (\d+) "),
    "latency_ms": re.compile(r"latency average = ([\d.]+) ms$"),
    "tps": re.compile(r"tps = ([\d.]+) \(without initial connection time\)$"),
}


def read_closing(lines: Iterable[str]) -> dict[str, float]:
    """`transactions`, `failed` (0), mean `latency_ms` and `tps` after logging in.

    BenchError if a line is not there, a transaction failed, or fewer were processed than were asked for (pgbench -t).
    """
    found: dict[str, re.Match[str]] = {}
    for line in lines:
        found |= {name: match for name, form in _LINES.items() if (match := form.match(line))}
    missing = _LINES.keys() - found.keys()
    if missing:
        raise BenchError(f"pgbench did not say {', '.join(sorted(missing))}")
    values = {name: float(match[1]) for name, match in found.items()}
    asked = found["transactions"][2]
    if values["failed"] or (asked is not None and float(asked) != values["transactions"]):
        raise BenchError("pgbench did not process every transaction")
    return values
