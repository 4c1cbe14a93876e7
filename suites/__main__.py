"""Command line: `python -m suites [NAME ...] [--only TESTS]`; the exit status is 1 if anything differs unlisted."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from suites import differences, sources
from suites.catalogue import SUITES, Suite
from suites.errors import SuiteError
from suites.outcomes import Result, compare
from suites.report import Verdict, details, table
from suites.running import run, stop_all
from suites.stage import Figures, directly, through_tidegate


def main() -> int:
    """Run what was asked for, print what it came to."""
    parser = argparse.ArgumentParser(prog="python -m suites", description="published suites, directly and proxied")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of these (default: all): {', '.join(SUITES)}")
    parser.add_argument("--only", default="", help="further arguments for the suite's own runner, such as '-k name'")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(SUITES)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _stop)
    verdicts = []
    for name in asked.names or SUITES:
        try:
            verdict = examine(SUITES[name], asked.only)
        except SuiteError as error:
            print(f"suites: {error}", file=sys.stderr)
            return 1
        verdicts.append(verdict)
        print(details(verdict), flush=True)
    print(table(verdicts))
    return 0 if all(verdict.good for verdict in verdicts) else 1


def _stop(number: int, frame: object) -> None:
    """Databases and proxies are children that nobody else would end."""
    stop_all()
    sys.exit(128 + number)


def examine(suite: Suite, only: str = "") -> Verdict:
    """Run one suite on both sides at the same time, and hold the results against the list."""
    began = time.monotonic()
    sources.environment(suite)
    with ThreadPoolExecutor(2) as both:
        waiting = both.submit(_run_directly, suite, only)
        proxied, figures = _run_proxied(suite, only)
        direct = waiting.result()
    lists = differences.read()
    found = compare(direct, proxied)
    outlived = [] if only else differences.outlived(suite.name, found, lists)
    unlisted = differences.unlisted(suite.name, found, lists)
    return Verdict(suite.name, direct, proxied, found, unlisted, outlived, figures, time.monotonic() - began)


def _run_directly(suite: Suite, only: str) -> dict[str, Result]:
    with directly(suite) as side:
        return run(suite, side, only)


def _run_proxied(suite: Suite, only: str) -> tuple[dict[str, Result], Figures]:
    with through_tidegate(suite) as (side, figures):
        found = run(suite, side, only)
    return found, figures


if __name__ == "__main__":
    sys.exit(main())
