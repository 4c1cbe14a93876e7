"""Results as files, tables and verdicts."""

from pathlib import Path

import pytest

from bench.contenders.pgbouncer import parse_version
from bench.document import BEGIN, END, with_results
from bench.processes import BenchError
from bench.report import report, with_spread
from bench.results import Note, Results, Sample
from bench.run import turns
from bench.targets import added_latency, verdicts

_FACTS = ("processor", "cores", "memory", "kernel", "distribution", "python", "hypervisor", "load_before")


@pytest.fixture
def results() -> Results:
    """Three rounds: CPU ratio 0.5, 0.6, 0.7 at 100 clients; 12, 8 and 9 times the direct connects; 40 us against 50."""
    made = Results(
        date="2026-01-02",
        machine=dict.fromkeys(_FACTS, "1"),
        settings={"rounds": 3, "quick": False, "pool_size": 20, "max_connections": 300, "scale": 1},
        contenders={"direct": "PostgreSQL 17", "tidegate": "Tidegate 0", "pgbouncer": "PgBouncer 1.26"},
        notes=[Note("transactions", "simple 500", "direct", "takes at most 200 connections")],
    )
    for number, (ours, times) in enumerate([(5.0, 12.0), (6.0, 8.0), (7.0, 9.0)]):
        for workload, case, contender, values in [
            ("transactions", "simple 100", "tidegate", {"cpu_us": ours, "tps": 1.0}),
            ("transactions", "simple 100", "pgbouncer", {"cpu_us": 10.0, "tps": 1.0}),
            ("connect", "64", "direct", {"per_second": 500.0}),
            ("connect", "64", "tidegate", {"per_second": 500.0 * times}),
            ("latency", "1", "direct", {"p50_us": 30.0}),
            ("latency", "1", "tidegate", {"p50_us": 70.0}),
            ("latency", "1", "pgbouncer", {"p50_us": 80.0}),
            ("memory", "0 statements", "tidegate", {"bytes_per_client": 700.0, "base_bytes": 2.0**20}),
        ]:
            made.samples.append(Sample(workload, case, number, contender, values))
    return made


def test_a_saved_run_reads_back_the_same(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    results.save(path)
    assert Results.load(path) == results


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"form": 0}')
    with pytest.raises(ValueError, match="not a result file"):
        Results.load(path)


def test_verdicts_name_what_is_met_and_what_is_missed(results: Results) -> None:
    assert [(one.met, round(one.seen.median, 2), one.limit) for one in verdicts(results)] == [
        ("yes", 0.6, "<= 0.8"),
        ("within noise", 9.0, ">= 10"),
        ("yes", 0.8, "<= 1"),
        ("no", 700.0, "<= 600"),
    ]


def test_added_latency_is_the_median_less_the_direct_one(results: Results) -> None:
    assert added_latency(results, "tidegate") == {0: 40.0, 1: 40.0, 2: 40.0}


def test_the_report_shows_ratio_missed_target_and_what_did_not_run(results: Results) -> None:
    text = report(results)
    assert "| simple, 100 | 6.0 (5.0-7.0) | 10.0 (10.0-10.0) | 0.60 (0.50-0.70) | <= 0.8 |" in text
    assert "| bytes of memory per idle client | 700.00 (700.00-700.00) | <= 600 | **missed** |" in text
    assert "- transactions, simple 500, direct: takes at most 200 connections" in text


def test_the_report_begins_with_what_is_missed_or_decided_by_noise(results: Results) -> None:
    head = report(results).partition("###")[0]
    assert "- Missed: bytes of memory per idle client (700.00, limit 600)." in head
    assert "- Within noise of the limit: connections a second, to the database's (9.00, limit 10)." in head
    assert "CPU per transaction" not in head


def test_a_run_that_meets_every_target_says_so(results: Results) -> None:
    results.samples = [one for one in results.samples if one.workload == "transactions"]
    assert "- Every target is met." in report(results)
    results.samples.clear()
    assert "target is met" not in report(results)


def test_what_an_earlier_build_took_is_set_against_this_one(results: Results) -> None:
    assert "earlier" not in report(results)
    for number, taken in enumerate([5.0, 5.0, 7.0]):
        results.samples.append(Sample("transactions", "simple 100", number, "earlier", {"cpu_us": taken}))
    assert "| simple, 100 | 6.0 (5.0-7.0) | 5.0 (5.0-7.0) | 1.000 | 1.000-1.100 | 3 |" in report(results)


def test_a_contender_without_a_number_gets_a_dash() -> None:
    assert with_spread([]) == "-"
    assert with_spread([1.234]) == "1.23"


def test_each_round_begins_with_another_contender() -> None:
    names = ["direct", "tidegate", "pgbouncer"]
    orders = [turns(names, number) for number in range(3)]
    assert sorted(order[0] for order in orders) == sorted(names)
    assert all(sorted(order) == sorted(names) for order in orders)


def test_only_the_part_between_the_markers_of_a_page_is_replaced() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nprose\n"
    assert with_results(page, "new") == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nprose\n"


@pytest.mark.parametrize("page", ["no markers", f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_with_wrong_markers_is_refused(page: str) -> None:
    with pytest.raises(BenchError):
        with_results(page, "new")


@pytest.mark.parametrize(
    ("text", "version"),
    [("PgBouncer 1.18.0\nlibevent 2.1", (1, 18)), ("PgBouncer 1.26.1\nlibevent 2.1.13-stable", (1, 26))],
)
def test_pgbouncers_version_is_read_from_its_output(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_another_program_is_no_pgbouncer() -> None:
    with pytest.raises(BenchError, match="not a PgBouncer"):
        parse_version("GNU coreutils")
