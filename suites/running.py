"""One run of a suite on one side, in processes of its own.

Owns starting it and reading what it found. Refuses to compare.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from suites import sources
from suites.catalogue import Run, Suite
from suites.errors import SuiteError
from suites.outcomes import Outcome, Result, read_junit
from tests.support.sides import Side

LONGEST = 3600  # seconds

_running: set[subprocess.Popen[bytes]] = set()


def stop_all() -> None:
    """End what runs now, so that whoever waits for it goes on, and clears away what was started around it."""
    for process in list(_running):
        process.terminate()


def run(suite: Suite, side: Side, only: str = "") -> dict[str, Result]:
    """Every test's result; SuiteError if the suite does not come to its end."""
    python = sources.environment(suite)
    folder = sources.unpacked(suite, side.name)
    results = sources.CACHE / "results" / f"{suite.name}-{side.name}"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    one = Run(python, folder, side, results)
    log = results.with_suffix(".log")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PYTHON"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*suite.command(one), *only.split()],
            cwd=folder,
            env={**environment, **suite.environment(one)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _running.add(process)
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired as error:
            raise SuiteError(f"{suite.name} ({side.name}) has not ended after {LONGEST} s; see {log}") from error
        finally:
            process.kill()
            _running.discard(process)
    found = _read_lines(results) if _is_lines(results) else read_junit(results)
    if not found:
        raise SuiteError(f"{suite.name} ({side.name}) has run no test; see {log}")
    return found


def _is_lines(results: Path) -> bool:
    return results.exists() and not results.read_text(errors="replace").startswith("<")


def _read_lines(results: Path) -> dict[str, Result]:
    """Results as `django_runner` writes them, one JSON list a line; the last says that the run came to its end."""
    *lines, last = results.read_text().splitlines() or [""]
    if last != '["end"]':
        raise SuiteError(f"the run that wrote {results} was broken off")
    found: dict[str, Result] = {}
    for line in lines:
        test, name, words = json.loads(line)
        result = Result(Outcome[name], words)
        if test not in found or result.outcome > found[test].outcome:
            found[test] = result
    return found
