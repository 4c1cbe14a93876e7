"""Medians, spreads and paired ratios of `bench.stats`."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import meets, paired_differences, paired_ratios, quantile, spread

numbers = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
series = st.lists(numbers, min_size=1, max_size=30)


@given(series)
def test_the_half_quantile_is_the_median(values: list[float]) -> None:
    assert quantile(values, 0.5) == pytest.approx(statistics.median(values))


@given(st.lists(numbers, min_size=2, max_size=30))
def test_quartiles_are_those_of_the_inclusive_method(values: list[float]) -> None:
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    seen = spread(values)
    assert (seen.lower, seen.upper) == (pytest.approx(lower, abs=1e-6), pytest.approx(upper, abs=1e-6))


@given(series.flatmap(lambda values: st.tuples(st.just(values), st.permutations(values))))
def test_spread_does_not_depend_on_the_order(pair: tuple[list[float], list[float]]) -> None:
    values, shuffled = pair
    assert spread(shuffled) == spread(values)


@given(series)
def test_a_spread_is_ordered_and_within_its_values(values: list[float]) -> None:
    seen = spread(values)
    ordered = [seen.least, seen.lower, seen.median, seen.upper, seen.most]
    assert ordered == pytest.approx(sorted(ordered))
    assert (seen.least, seen.most, seen.count) == (min(values), max(values), len(values))


def test_an_empty_series_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_ratios_pair_within_a_round_and_not_by_position() -> None:
    ours = {0: 10.0, 2: 30.0, 3: 8.0}
    theirs = {0: 20.0, 1: 1.0, 2: 10.0}
    assert paired_ratios(ours, theirs) == [0.5, 3.0]


def test_a_round_in_which_the_peer_did_nothing_gives_no_ratio() -> None:
    assert paired_ratios({0: 1.0, 1: 1.0}, {0: 0.0, 1: 4.0}) == [0.25]


@given(st.dictionaries(st.integers(0, 9), st.floats(1, 1e6), min_size=1), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_slow_round_that_hits_both_sides_does_not_move_the_ratio(
    rounds: dict[int, float], ours: float, theirs: float
) -> None:
    """Whatever a round's slowness, it cancels: that is why ratios are taken within rounds."""
    found = paired_ratios(
        {number: slow * ours for number, slow in rounds.items()},
        {number: slow * theirs for number, slow in rounds.items()},
    )
    assert found == pytest.approx([ours / theirs] * len(rounds))


def test_differences_pair_within_a_round() -> None:
    assert paired_differences({0: 65.0, 1: 70.0, 5: 1.0}, {0: 34.0, 1: 35.0}) == {0: 31.0, 1: 35.0}


@pytest.mark.parametrize(
    ("ratios", "limit", "verdict"),
    [
        ([0.7, 0.72, 0.74, 0.76, 0.78], 0.8, "yes"),
        ([0.9, 0.92, 0.94, 0.96, 0.98], 0.8, "no"),
        ([0.7, 0.75, 0.79, 0.85, 0.9], 0.8, "within noise"),
        ([0.7, 0.71, 0.72, 0.73, 0.95], 0.8, "yes"),
        ([0.8], 0.8, "yes"),
        ([0.81], 0.8, "no"),
    ],
)
def test_a_verdict_says_when_the_middle_half_straddles_the_limit(
    ratios: list[float], limit: float, verdict: str
) -> None:
    assert meets(ratios, limit) == verdict
