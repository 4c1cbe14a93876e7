"""The run itself: contenders in turn, round after round, workload by workload.

Owns order and failure handling. A failed measurement becomes a note in the results, the run goes on: an hour of numbers
is not thrown away for one, and a failure is itself a result.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from bench import certificate, machine, native
from bench.contenders import Contender, Direct, EarlierTidegate, PgBouncer, SessionPgBouncer, Setup, Tidegate
from bench.contenders.pgbouncer import find
from bench.cpu import LostThread
from bench.database import MAX_CONNECTIONS, Database
from bench.processes import BenchError
from bench.results import Note, Results, Sample
from bench.workloads import WORKLOADS, Bench, Workload
from tidegate.demo.processes import raise_descriptor_limit

POOL_SIZE = 20
MAX_CLIENTS = 6000
DIRECT_CLIENTS = MAX_CONNECTIONS - 100
"""Of max_connections, what is left beside both proxies' pools and connections that are still ending."""
SPARE_DESCRIPTORS = 500
NO_PEER = (
    "no PgBouncer on this machine, so there are no ratios: bench/get_pgbouncer.sh fetches one, or give --peer PATH"
)
_Any = TypeVar("_Any")
NAMES = ("direct", "tidegate", "earlier", "pgbouncer", "pgbouncer-session")


@dataclass(frozen=True)
class Plan:
    """What to run, as asked for on the command line."""

    only: Sequence[str]
    cases: Sequence[str]
    """Cases to run, of whatever workload has them; empty = all."""
    contenders: Sequence[str]
    rounds: int
    quick: bool
    scale: int
    peer: str | None
    against: Path | None = None
    """Another checkout of Tidegate, to be measured as "earlier"."""


def run(plan: Plan) -> Results:
    """Set everything up, run the plan, take everything down; BenchError when the set-up fails."""
    if raise_descriptor_limit() < MAX_CLIENTS + SPARE_DESCRIPTORS:
        raise BenchError(f"the limit of open files must be at least {MAX_CLIENTS + SPARE_DESCRIPTORS} (ulimit -Hn)")
    facts = machine.facts()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-bench-")))
        folder.chmod(0o755)
        native.build(folder)
        say(f"PostgreSQL with pgbench's tables at scale {plan.scale} ...")
        database = Database(plan.scale)
        stack.callback(database.close)
        sides, missing = contenders(plan, folder, database)
        bench = Bench(database.program("pgbench"), folder, database.login, plan.quick)
        results = Results(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=facts,
            settings={
                "rounds": plan.rounds,
                "quick": plan.quick,
                "scale": plan.scale,
                "pool_size": POOL_SIZE,
                "max_connections": MAX_CONNECTIONS,
            },
            contenders={one.name: one.label for one in sides},
            notes=missing,
        )
        for one in sides:
            stack.callback(one.stop)
            one.start()
            bench.warm_up(one)
            say(f"{one.name}: {one.label}, port {one.port}")
        try:
            for name in plan.only:
                _run_workload(WORKLOADS[name](), sides, plan, bench, results)
        except BenchError as error:
            results.notes.append(Note("run", "all", "-", f"ended early: {error}"))
            say(f"ended early: {error}")
    return results


def contenders(plan: Plan, folder: Path, database: Database) -> tuple[list[Contender], list[Note]]:
    """Those that were asked for and can be had, and a note on the one that cannot; BenchError if that leaves nobody."""
    wanted = {name for workload in plan.only for name in WORKLOADS[workload].contenders}
    names = [name for name in NAMES if name in plan.contenders and name in wanted]
    if plan.against is None and "earlier" in names:
        names.remove("earlier")
    peers = [name for name in names if name.startswith("pgbouncer")]
    peer = find(plan.peer) if peers else None
    missing = []
    if peers and peer is None:
        say(NO_PEER)
        names = [name for name in names if name not in peers]
        missing.append(Note("all", "all", "pgbouncer", NO_PEER))
    if not names:
        raise BenchError("nobody to measure")
    shown, key = certificate.make(folder)
    setup = Setup(
        folder=folder,
        database_port=database.port,
        login=database.login,
        superuser=database.superuser,
        superuser_password=database.superuser_password,
        pool_size=POOL_SIZE,
        max_clients=MAX_CLIENTS,
        certificate=shown,
        key=key,
    )
    makers: dict[str, Callable[[], Contender]] = {
        "direct": lambda: Direct(database, DIRECT_CLIENTS),
        "tidegate": lambda: Tidegate(setup),
    }
    if plan.against is not None:
        checkout = plan.against
        makers["earlier"] = lambda: EarlierTidegate(setup, checkout)
    if peer is not None:
        makers["pgbouncer"] = lambda: PgBouncer(setup, peer)
        makers["pgbouncer-session"] = lambda: SessionPgBouncer(setup, peer)
    return [makers[name]() for name in names], missing


def turns(contenders: Sequence[_Any], number: int) -> list[_Any]:
    """The order of one round: each round another one begins, so that no place in the order favours one."""
    shift = number % len(contenders)
    return [*contenders[shift:], *contenders[:shift]]


def _run_workload(
    workload: Workload, contenders: Sequence[Contender], plan: Plan, bench: Bench, results: Results
) -> None:
    able: dict[str, list[Contender]] = {}
    asked = [one for one in contenders if one.name in workload.contenders]
    for case in (one for one in workload.cases() if not plan.cases or one in plan.cases):
        able[case] = []
        for one in asked:
            if obstacle := workload.obstacle(case, one):
                results.notes.append(Note(workload.name, case, one.name, obstacle))
            else:
                able[case].append(one)
    for number in range(1 if workload.once else plan.rounds):
        for case, ones in able.items():
            for one in turns(ones, number) if ones else []:
                _measure(workload, case, number, one, bench, results)


def _measure(workload: Workload, case: str, number: int, contender: Contender, bench: Bench, results: Results) -> None:
    began = time.monotonic()
    where = f"{workload.name} {case}, round {number + 1}, {contender.name}"
    try:
        if workload.fresh:
            contender.stop()
            contender.start()
        values = workload.measure(case, contender, bench)
    except (BenchError, LostThread, ValueError) as error:
        say(f"{where}: FAILED: {error}")
        results.notes.append(Note(workload.name, case, contender.name, f"round {number + 1}: {error}"))
        _revive(contender)
        return
    results.samples.append(Sample(workload.name, case, number, contender.name, values))
    shown = "  ".join(f"{name} {value:,.1f}" for name, value in list(values.items())[:8])
    say(f"{where} ({time.monotonic() - began:.1f} s): {shown}")


def _revive(contender: Contender) -> None:
    """A contender that failed starts anew, so that the next measurement meets a whole one."""
    contender.stop()
    contender.start()


def say(text: str) -> None:
    """A line of progress for the person who watches."""
    print(text, file=sys.stderr, flush=True)
