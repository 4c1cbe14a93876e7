"""The targets that the project set itself before measuring, and whether a run meets them.

Owns the limits and the verdicts. Refuses to format anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.results import Results
from bench.stats import Spread, meets, paired_differences, paired_ratios, spread

CPU_RATIO = 1.0
CPU_RATIO_MANY = 0.8
MANY_CLIENTS = 100
CONNECT_CPU_RATIO = 1.0
CONNECT_TIMES_DIRECT = 10.0
LATENCY_RATIO = 1.0
BYTES_PER_CLIENT = 600
ORM_TIMES_SESSION = 2.0
STORM_TIMES = 2.0


@dataclass(frozen=True)
class Verdict:
    """One target: what was measured over the rounds, the limit, and "yes", "no" or "within noise"."""

    what: str
    seen: Spread
    limit: str
    met: str


def cpu_limit(case: str) -> float:
    """The most that CPU per transaction may be of PgBouncer's, for a case such as "simple 100"."""
    return CPU_RATIO_MANY if int(case.split()[1]) >= MANY_CLIENTS else CPU_RATIO


def cpu_ratios(results: Results, workload: str, case: str) -> list[float]:
    """CPU per unit of work, Tidegate to PgBouncer, round by round."""
    ours = results.series(workload, case, "tidegate", "cpu_us")
    return paired_ratios(ours, results.series(workload, case, "pgbouncer", "cpu_us"))


def times_direct(results: Results, case: str, contender: str) -> list[float]:
    """Connections a second as a multiple of the database's own, round by round."""
    ours = results.series("connect", case, contender, "per_second")
    return paired_ratios(ours, results.series("connect", case, "direct", "per_second"))


def added_latency(results: Results, contender: str) -> dict[int, float]:
    """Median latency less the direct one, in microseconds, by round."""
    theirs = results.series("latency", "1", "direct", "p50_us")
    return paired_differences(results.series("latency", "1", contender, "p50_us"), theirs)


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every target for which the run has numbers of Tidegate and of what it is compared with."""
    for case in results.cases("transactions"):
        if ratios := cpu_ratios(results, "transactions", case):
            limit = cpu_limit(case)
            what = f"CPU per transaction, {case.replace(' ', ', ')} client{'s' if not case.endswith(' 1') else ''}"
            yield _verdict(f"{what}, to PgBouncer's", ratios, limit)
    for case in results.cases("connect"):
        if ratios := cpu_ratios(results, "connect", case):
            yield _verdict("CPU per connection with one query, to PgBouncer's", ratios, CONNECT_CPU_RATIO)
        if times := times_direct(results, case, "tidegate"):
            met = meets([1 / one for one in times], 1 / CONNECT_TIMES_DIRECT)
            yield Verdict("connections a second, to the database's", spread(times), f">= {CONNECT_TIMES_DIRECT:g}", met)
    added, peers = added_latency(results, "tidegate"), added_latency(results, "pgbouncer")
    if ratios := paired_ratios(added, peers):
        yield _verdict("added median latency at one client, to PgBouncer's", ratios, LATENCY_RATIO)
    for case in results.cases("orm"):
        if times := paired_ratios(
            *(results.series("orm", case, one, "tps") for one in ("tidegate", "pgbouncer-session"))
        ):
            met = meets([1 / one for one in times], 1 / ORM_TIMES_SESSION)
            what = "transactions a second of an ORM's clients, to PgBouncer's session mode"
            yield Verdict(what, spread(times), f">= {ORM_TIMES_SESSION:g}", met)
        if pins := list(results.series("orm", case, "tidegate", "pins").values()):
            yield _verdict("sessions pinned by an ORM's work", pins, 0.0)
    yield from _encrypted(results)
    if sizes := list(results.series("memory", "0 statements", "tidegate", "bytes_per_client").values()):
        yield _verdict("bytes of memory per idle client", sizes, BYTES_PER_CLIENT)


def _encrypted(results: Results) -> Iterator[Verdict]:
    for case in results.cases("tls"):
        if ratios := cpu_ratios(results, "tls", case):
            what = f"CPU per transaction over TLS, {case.replace(' ', ', ')} clients, to PgBouncer's"
            yield _verdict(what, ratios, CPU_RATIO)
    for case in results.cases("handshakes"):
        ours, theirs = (results.series("handshakes", case, one, "per_second") for one in ("tidegate", "pgbouncer"))
        if times := paired_ratios(ours, theirs):
            met = meets([1 / one for one in times], 1.0)
            yield Verdict("full TLS handshakes a second, to PgBouncer's", spread(times), ">= 1", met)
    for case in results.cases("storm"):
        if times := list(results.series("storm", case, "tidegate", "p99_times").values()):
            yield _verdict("p99 of an open connection amid a storm of handshakes, to that without", times, STORM_TIMES)


def _verdict(what: str, values: list[float], limit: float) -> Verdict:
    return Verdict(what, spread(values), f"<= {limit:g}", meets(values, limit))
