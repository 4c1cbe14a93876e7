"""The closing table, and the transcripts of differences.

Owns the wording and the folder `build/soak`. Refuses to decide what a difference is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from soak.run import Outcome, Plan

FOLDER = Path(__file__).resolve().parents[1] / "build" / "soak"
COLUMNS = 3
LOG_LINES = 10


def show(plan: Plan, outcome: Outcome) -> bool:
    """Print it; whether the run has failed."""
    operations: Counter[str] = Counter()
    for count in outcome.counts:
        operations.update(count.operations)
    print(f"\noperations by kind ({operations.total()}; indented: among others in one message)")
    for line in in_columns(operations):
        print(line)
    counts = outcome.counts
    transactions = sum(count.transactions for count in counts)
    moves, possible = sum(count.moves for count in counts), sum(count.moves_possible for count in counts)
    rows: list[tuple[str, object]] = [
        ("seconds", f"{outcome.seconds:.0f}"),
        ("sessions", sum(count.sessions for count in counts)),
        ("statements", sum(count.statements for count in counts)),
        ("transactions", f"{transactions} ({transactions / outcome.seconds:.0f} a second)"),
        ("notifications received", outcome.delivered),
        ("borrow timeouts", outcome.starved),
    ]
    findings = 0
    if not plan.direct:
        stats = outcome.stats
        findings = stats["audit_findings"]
        rows += [
            ("looked at server again on another one", f"{moves} of {possible} ({moves / max(possible, 1):.0%})"),
            *((name, stats[name]) for name in ("borrows", "replays", "probes", "looks", "pins", "unpins", "audits")),
            *((f"pins: {reason}", count) for reason, count in by_reason(stats, "pins")),
            *((f"unpins: {reason}", count) for reason, count in by_reason(stats, "unpins")),
            ("audit findings", findings),
        ]
    rows.append(("differences", len(outcome.differences)))
    print()
    for name, value in rows:
        print(f"{name:40} {value}")
    for line in outcome.log[:LOG_LINES]:
        print(line[:400])
    keep(plan, outcome.differences)
    if outcome.log:
        print(f"  in full: {write(plan, 'log', outcome.log)}")
    return bool(outcome.differences or findings or outcome.log)


def in_columns(operations: Counter[str]) -> Iterable[str]:
    """Names and counts, a few to a line."""
    cells = [f"{name.replace(' among others', ' +'):34} {count:7}" for name, count in sorted(operations.items())]
    for at in range(0, len(cells), COLUMNS):
        yield "  ".join(cells[at : at + COLUMNS])


def by_reason(stats: Mapping[str, Any], name: str) -> list[tuple[str, int]]:
    """A counter by pin reason, if the statistics have any of it."""
    return sorted((key.removeprefix(f"{name}_"), value) for key, value in stats.items() if key.startswith(f"{name}_"))


def keep(plan: Plan, differences: list[str]) -> None:
    """Write each difference with its transcript to a file of its own, and say where."""
    for number, words in enumerate(differences):
        print(f"{words.splitlines()[0][:300]}\n  transcript: {write(plan, str(number), [words])}")


def write(plan: Plan, name: str, lines: list[str]) -> Path:
    """A file of the run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"seed-{plan.seed}-{name}.txt"
    path.write_text("\n".join(lines) + "\n")
    return path
