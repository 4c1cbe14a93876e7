"""What a run of the suites came to, in words.

Owns the tables and their wording. Refuses to decide whether it is good (`judgement` is made from `differences`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suites.differences import Entry
from suites.outcomes import Difference, Result, Results, tally
from suites.stage import Figures


@dataclass(frozen=True)
class Verdict:
    """One suite's run: all that was found, and what of it nobody has listed."""

    suite: str
    direct: Results
    proxied: Results
    differences: list[Difference]
    unlisted: list[Difference]
    outlived: list[Entry]
    figures: Figures
    seconds: float

    @property
    def good(self) -> bool:
        """Same results but for what is listed, and by no luck: no audit has findings, nobody got a server twice."""
        return not (self.unlisted or self.outlived or self.figures.missed or self.figures.stays)


HEADER = (
    "| suite | tests | fail directly | skipped | differ | transactions | on another server than the one before "
    "| pins | audits | findings |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def table(verdicts: Iterable[Verdict]) -> str:
    """One row a suite, as docs/transparency.md has it."""
    return "\n".join((*HEADER, *map(_row, verdicts)))


def _row(verdict: Verdict) -> str:
    counted = tally(verdict.direct)
    figures = verdict.figures
    share = 100 * figures.moves / figures.transactions if figures.transactions > 0 else 0
    pins = ", ".join(f"{count} {reason}" for reason, count in figures.pins.items()) or "none"
    return (
        f"| {verdict.suite} | {sum(counted.values())} | {counted['failed'] + counted['error']} | {counted['skipped']} "
        f"| {len(verdict.differences)} | {figures.transactions} | {share:.0f} % | {pins} | {figures.audits} "
        f"| {figures.missed} |"
    )


def details(verdict: Verdict) -> str:
    """Everything about one suite that needs a look, a line each."""
    lines = [f"{verdict.suite}: {verdict.seconds:.0f} s, {'as listed' if verdict.good else 'NOT as listed'}"]
    for difference in verdict.differences:
        mark = "unlisted" if difference in verdict.unlisted else "listed"
        lines.append(f"  {mark}: {difference.test}")
        lines.append(f"    direct:  {_words(difference.direct)}")
        lines.append(f"    proxied: {_words(difference.proxied)}")
    lines += [f"  listed, but does not differ any more: {entry.test}" for entry in verdict.outlived]
    if verdict.figures.stays:
        lines.append(f"  {verdict.figures.stays} transactions ran on the server that their client had last")
    lines += [f"  {line}" for line in verdict.figures.findings[:20]]
    return "\n".join(lines)


def _words(result: Result | None) -> str:
    if result is None:
        return "there is no such test"
    words = " ".join(result.words.split())
    return f"{result.outcome.name.lower()} {words[:300]}".rstrip()
