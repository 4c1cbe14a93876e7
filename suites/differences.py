"""The differences that are known: the table "Published suites" of docs/transparency.md.

Owns reading that table and holding a run's findings against it. Refuses to excuse anything that is not in it, and to
keep what no longer differs.

A row names a suite, a test (as the run reports it; `*` stands for any characters) and the reason. Rows under "Unsteady
tests" are those that end now so, now so directly, too: they may differ and need not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from suites.outcomes import Difference

PAGE = Path(__file__).resolve().parents[1] / "docs" / "transparency.md"
SECTION = "Published suites"
KNOWN = "Known differences"
UNSTEADY = "Unsteady tests"
_ROW = re.compile(r"^\| `(?P<suite>[^`]+)` \| `(?P<test>[^`]+)` \| (?P<reason>.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One row: in which suites (`*` allowed), which tests, and why."""

    suite: str
    test: str
    reason: str

    def covers(self, suite: str, test: str) -> bool:
        return matches(self.suite, suite) and matches(self.test, test)


@dataclass(frozen=True)
class Lists:
    """What may differ: `known` always does, `unsteady` may."""

    known: tuple[Entry, ...]
    unsteady: tuple[Entry, ...]


def matches(pattern: str, text: str) -> bool:
    """Whether it is the same but for what `*` stands for; brackets, which test ids have, mean themselves."""
    return fnmatchcase(text, re.sub(r"[\[?]", lambda found: f"[{found[0]}]", pattern))


def read(page: Path = PAGE) -> Lists:
    """The two tables as they stand in the page."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {SECTION}\n")
    section = rest.split("\n## ")[0]
    return Lists(_entries(section, KNOWN), _entries(section, UNSTEADY))


def _entries(section: str, title: str) -> tuple[Entry, ...]:
    _, _, rest = section.partition(f"\n### {title}\n")
    return tuple(Entry(**row.groupdict()) for row in _ROW.finditer(rest.split("\n### ")[0]))


def unlisted(suite: str, found: Iterable[Difference], lists: Lists) -> list[Difference]:
    """Differences that no row covers."""
    entries = (*lists.known, *lists.unsteady)
    return [one for one in found if not any(entry.covers(suite, one.test) for entry in entries)]


def outlived(suite: str, found: Iterable[Difference], lists: Lists) -> list[Entry]:
    """Rows of this suite that cover nothing any more."""
    tests = [one.test for one in found]
    return [
        entry
        for entry in lists.known
        if matches(entry.suite, suite) and not any(entry.covers(suite, test) for test in tests)
    ]
