"""What became of each test, and in which of them two runs differ.

Owns reading of results and their comparison. Refuses to judge a difference: that is `differences`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from xml.etree import ElementTree

from suites.errors import SuiteError


class Outcome(IntEnum):
    """How a test ended; of two for one test (its body passed, its end did not) the greater counts."""

    SKIPPED = 0
    PASSED = 1
    FAILED = 2
    ERROR = 3


@dataclass(frozen=True)
class Result:
    """One test's outcome, and the beginning of what it said if it did not pass."""

    outcome: Outcome
    words: str = ""

    @property
    def failure(self) -> str:
        """Of a test that did not pass, the exception's name: what follows may differ by process ids and the like."""
        return self.words.split(":")[0].split("(")[0].strip() if self.outcome >= Outcome.FAILED else ""


Results = Mapping[str, Result]
"""Test id -> result."""

_CHILDREN = {"skipped": Outcome.SKIPPED, "failure": Outcome.FAILED, "error": Outcome.ERROR}
_PASSING = re.compile(r"0x[0-9a-f]{6,}")


def read_junit(path: Path) -> dict[str, Result]:
    """Results from a JUnit file as pytest writes it; SuiteError if there is none or it is broken off."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise SuiteError(f"no results in {path}: {error}") from error
    found: dict[str, Result] = {}
    for case in root.iter("testcase"):
        name = _PASSING.sub("0x", f"{case.get('classname', '')}::{case.get('name', '')}")
        result = Result(Outcome.PASSED)
        for child in case:
            outcome = _CHILDREN.get(child.tag)
            if outcome is not None:
                result = Result(outcome, (child.get("message") or "")[:2000])
        former = found.get(name)
        if former is None or result.outcome > former.outcome:
            found[name] = result
    return found


@dataclass(frozen=True)
class Difference:
    """A test that ended differently through the proxy; None on a side that has no such test."""

    test: str
    direct: Result | None
    proxied: Result | None


def compare(direct: Results, proxied: Results) -> list[Difference]:
    """All tests that ended differently, or failed by another exception, by name."""
    return [
        Difference(test, direct.get(test), proxied.get(test))
        for test in sorted({*direct, *proxied})
        if _end(direct.get(test)) != _end(proxied.get(test))
    ]


def tally(results: Results) -> dict[str, int]:
    """How many ended in which way."""
    counted = Counter(result.outcome for result in results.values())
    return {outcome.name.lower(): counted[outcome] for outcome in Outcome}


def _end(result: Result | None) -> tuple[Outcome, str] | None:
    return None if result is None else (result.outcome, result.failure)
