"""Reading pgbench's progress lines and summing them up."""

import pytest

from bench.cpu import Reading
from bench.workloads.transactions import Tick, parse_progress, summarize

SECOND = 1_000_000_000


def tick(at: float, tps: float, latency: float = 1.0, cpu: float | None = None) -> Tick:
    reading = None if cpu is None else Reading(int(at * SECOND), {1: {1: int(cpu * SECOND)}}, 0)
    return Tick(int(at * SECOND), tps, latency, 0, reading)


def test_a_progress_line_of_postgresql_17() -> None:
    line = "progress: 2.0 s, 25820.7 tps, lat 0.774 ms stddev 0.251, 3 failed\n"
    assert parse_progress(line) == (25820.7, 0.774, 3)


@pytest.mark.parametrize("line", ["", "pgbench (17.10)", "tps = 25820.700000 (without initial connection time)"])
def test_other_lines_are_no_progress(line: str) -> None:
    assert parse_progress(line) is None


def test_what_came_before_the_first_tick_is_left_out() -> None:
    """The first tick covers logging in: neither its rate nor the CPU until then may count."""
    values = summarize([tick(1, 1.0, cpu=9.0), tick(2, 1000, cpu=9.2), tick(4, 2000, cpu=9.6)])
    assert values["transactions"] == pytest.approx(5000)
    assert values["tps"] == pytest.approx(5000 / 3)
    assert values["cpu_us"] == pytest.approx(0.6 / 5000 * 1e6)
    assert values["cpu_share"] == pytest.approx(0.2)


def test_latency_is_weighted_by_transactions() -> None:
    values = summarize([tick(0, 1), tick(1, 100, latency=1.0), tick(2, 300, latency=2.0)])
    assert values["latency_ms"] == pytest.approx(1.75)
    assert "cpu_us" not in values


def test_one_tick_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        summarize([tick(1, 1000)])
