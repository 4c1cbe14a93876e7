"""What the demo's table and sentence say of given results."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tidegate.demo.generator import Report as ClientReport
from tidegate.demo.report import Report, latency, percentile, rows, shown_errors, verdict
from tidegate.demo.storm import StormResult

FULL = "53300 sorry, too many clients already"


def result(served: int, failed: int, peak: int, cpu: float, error: str = FULL, seconds: float = 0.5) -> StormResult:
    reports: list[ClientReport] = [(seconds / 2, seconds, "")] * served + [(None, None, error)] * failed
    return StormResult(clients=served + failed, waves=1, reports=reports, peak_connections=peak, database_cpu=cpu)


def test_the_table_has_every_measure_of_both_sides() -> None:
    table = {label.strip(): cells for label, *cells in rows(result(100, 200, 17, 2.0), result(300, 0, 15, 1.5))}
    assert table == {
        "Clients served": ["100 of 300", "300 of 300"],
        "Clients failed": ["200", "0"],
        FULL: ["200", "0"],
        "Connect and log in, p50 / p99": ["250 / 250 ms", "250 / 250 ms"],
        "Connect to COMMIT, p50 / p99": ["500 / 500 ms", "500 / 500 ms"],
        "Peak connections at the database": ["17", "15"],
        "CPU of the database": ["2.00 s", "1.50 s"],
        "for each client served": ["20.00 ms", "5.00 ms"],
    }


def test_the_most_frequent_errors_are_shown_first() -> None:
    direct, proxied = result(0, 2, 1, 0.1, "a"), result(0, 3, 1, 0.1, "b")
    assert shown_errors(direct, proxied) == ["b", "a"]


def test_the_sentence_when_the_database_alone_fails() -> None:
    said = verdict(result(100, 200, 17, 2.0), result(300, 0, 15, 1.5, seconds=0.04), 20)
    assert said == (
        "300 clients at once on a database of 20 connections: straight at it, 200 of 300 failed (half of the served "
        "waited over 500 ms); through Tidegate, all 300 were served (half of the served waited over 40 ms), on at most "
        "15 connections, each for 25% of the database's CPU."
    )


def test_the_sentence_does_not_hide_failures_through_the_proxy() -> None:
    assert "1 of 300 failed" in verdict(result(300, 0, 17, 2.0), result(299, 1, 15, 1.5), 20)


def test_the_sentence_when_nobody_was_served() -> None:
    assert "straight at it, 300 of 300 failed;" in verdict(result(0, 300, 0, 0.0), result(300, 0, 15, 1.5), 20)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4), (0.01, 1), (0.25, 1)])
def test_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], share) == value


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50), st.floats(0.01, 1))
def test_percentile_covers_its_share(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


def test_latency_of_nobody() -> None:
    assert latency([]) == "-"


def test_progress_counts_served_and_failed() -> None:
    shown = io.StringIO()
    report = Report(Console(file=shown, width=120, force_terminal=True))
    with report.progress("Through Tidegate", 3) as on_report:
        on_report((0.1, 0.2, ""))
        on_report((0.1, 0.2, ""))
        on_report((None, None, FULL))
    assert "2 served" in shown.getvalue()
    assert "1 failed" in shown.getvalue()


def test_the_table_prints() -> None:
    shown = io.StringIO()
    Report(Console(file=shown, width=120)).table(result(100, 200, 17, 2.0), result(300, 0, 15, 1.5))
    assert "300 of 300" in shown.getvalue()
    assert FULL in shown.getvalue()
