"""What the demo shows: live progress, the closing table, and what it means in one sentence.

Owns the words and the layout. Refuses to measure; its numbers come from `storm`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidegate.demo.generator import Report as ClientReport
from tidegate.demo.storm import StormResult

ERRORS_SHOWN = 4


class Report:
    """Prints to one console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()

    def step(self, text: str) -> None:
        """One line of what happens."""
        self.console.print(text, markup=False, highlight=False)

    @contextmanager
    def progress(self, title: str, attempts: int) -> Iterator[Callable[[ClientReport], None]]:
        """A live bar; yields what must be called for each client that has ended."""
        columns = (
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[green]{task.fields[served]} served[/]  [red]{task.fields[failed]} failed[/]"),
            TimeElapsedColumn(),
        )
        served = failed = 0
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(title, total=attempts, served=0, failed=0)

            def on_report(report: ClientReport) -> None:
                nonlocal served, failed
                served += not report[2]
                failed += bool(report[2])
                bars.update(task, advance=1, served=served, failed=failed)

            yield on_report

    def table(self, direct: StormResult, proxied: StormResult) -> None:
        """The closing table."""
        table = Table("", "Straight at the database", "Through Tidegate", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for label, *cells in rows(direct, proxied):
            table.add_row(label, *cells)
        self.console.print(table)


def rows(direct: StormResult, proxied: StormResult) -> list[tuple[str, str, str]]:
    """The table's rows as text: label, direct, proxied."""
    measures: list[tuple[str, Callable[[StormResult], str]]] = [
        ("Clients served", lambda result: f"{result.successes} of {result.attempts}"),
        ("Clients failed", lambda result: str(result.attempts - result.successes)),
        *((f"  {error}", partial(count_of, error)) for error in shown_errors(direct, proxied)),
        ("Connect and log in, p50 / p99", lambda result: latency(result.connect_times())),
        ("Connect to COMMIT, p50 / p99", lambda result: latency(result.total_times())),
        ("Peak connections at the database", lambda result: str(result.peak_connections)),
        ("CPU of the database", lambda result: f"{result.database_cpu:.2f} s"),
        ("  for each client served", cpu_each),
    ]
    return [(label, measure(direct), measure(proxied)) for label, measure in measures]


def count_of(error: str, result: StormResult) -> str:
    """How many clients met one error."""
    return str(result.failures[error])


def shown_errors(*results: StormResult) -> list[str]:
    """The most frequent errors of all results together."""
    counted = sum((result.failures for result in results), start=Counter[str]())
    return [error for error, _ in counted.most_common(ERRORS_SHOWN)]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted values don't exceed (nearest rank)."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def latency(ordered: Sequence[float]) -> str:
    """p50 / p99 of sorted seconds, in milliseconds."""
    if not ordered:
        return "-"
    return f"{percentile(ordered, 0.5) * 1000:.0f} / {percentile(ordered, 0.99) * 1000:.0f} ms"


def cpu_each(result: StormResult) -> str:
    """Milliseconds of the database's CPU for each client served."""
    return f"{result.database_cpu / result.successes * 1000:.2f} ms" if result.successes else "-"


def verdict(direct: StormResult, proxied: StormResult, max_connections: int) -> str:
    """What the numbers mean, in plain words."""
    cost = ""
    if direct.successes and proxied.successes and direct.database_cpu > 0:
        ratio = proxied.database_cpu / proxied.successes / (direct.database_cpu / direct.successes)
        cost = f", each for {ratio:.0%} of the database's CPU"
    return (
        f"{direct.clients} clients at once on a database of {max_connections} connections: "
        f"straight at it, {fate(direct)}; through Tidegate, {fate(proxied)}, "
        f"on at most {proxied.peak_connections} connections{cost}."
    )


def fate(result: StormResult) -> str:
    """What became of the clients: how many failed, how long the median of the others took."""
    failed = result.attempts - result.successes
    who = f"{failed} of {result.attempts} failed" if failed else f"all {result.attempts} were served"
    times = result.total_times()
    return f"{who} (half of the served waited over {percentile(times, 0.5) * 1000:.0f} ms)" if times else who
