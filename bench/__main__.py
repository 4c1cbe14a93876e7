"""Command line of the bench: `python -m bench [--quick] [--only NAMES] [--peer PATH] [--out FILE] [--publish]`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from bench import document, run
from bench.processes import BenchError
from bench.report import report
from bench.results import Results
from bench.workloads import WORKLOADS

FOLDER = Path(__file__).parent / "results"
PUBLISHED = FOLDER / "published.json"


def main() -> int:
    """Run, save, print the tables; 1 with one line of words when something is missing."""
    asked = _arguments()
    try:
        if asked.report:
            results = Results.load(Path(asked.report))
        else:
            results = run.run(_plan(asked))
            out = Path(asked.out) if asked.out else FOLDER / f"{datetime.now():%Y%m%d-%H%M%S}.json"
            results.save(out)
            run.say(f"raw results: {out}")
        if asked.publish:
            results.save(PUBLISHED)
            document.publish(results)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(report(results))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="direct, Tidegate and PgBouncer in turn")
    parser.add_argument("--quick", action="store_true", help="one short round (about 4 minutes) in place of five")
    parser.add_argument("--rounds", type=int, help="alternations (default 5, with --quick 1)")
    parser.add_argument("--only", help=f"workloads, with commas: {','.join(WORKLOADS)}")
    parser.add_argument("--cases", help='only these cases, with commas, such as "simple 100,prepared 20"')
    parser.add_argument("--contenders", help=f"with commas: {','.join(run.NAMES)}")
    parser.add_argument(
        "--peer", default=os.environ.get("TIDEGATE_BENCH_PGBOUNCER"), help="path of a PgBouncer of 1.25 or later"
    )
    parser.add_argument("--against", metavar="CHECKOUT", help="another checkout of Tidegate, built, to compare with")
    parser.add_argument("--scale", type=int, default=10, help="pgbench's scale (default 10: a million rows)")
    parser.add_argument("--out", help="file for the raw results (default: bench/results/<time>.json)")
    parser.add_argument("--report", metavar="FILE", help="only print the tables of an earlier run")
    parser.add_argument(
        "--publish", action="store_true", help="keep as bench/results/published.json, rewrite docs/benchmarks.*"
    )
    asked = parser.parse_args()
    for chosen, known in ((asked.only, [*WORKLOADS]), (asked.contenders, [*run.NAMES])):
        unknown = set(chosen.split(",")) - set(known) if chosen else set()
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))} (known: {', '.join(known)})")
    return asked


def _plan(asked: argparse.Namespace) -> run.Plan:
    return run.Plan(
        only=[name for name in WORKLOADS if not asked.only or name in asked.only.split(",")],
        cases=asked.cases.split(",") if asked.cases else (),
        contenders=asked.contenders.split(",") if asked.contenders else run.NAMES,
        rounds=asked.rounds or (1 if asked.quick else 5),
        quick=asked.quick,
        scale=asked.scale,
        peer=asked.peer,
        against=Path(asked.against).resolve() if asked.against else None,
    )


if __name__ == "__main__":
    sys.exit(main())
