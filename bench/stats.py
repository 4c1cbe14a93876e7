"""Statistics of noisy, paired runs: medians, quartiles, and ratios within a round.

Owns numbers only. All contenders are measured in turn within a round, so a slow minute of the machine hits them alike:
the ratio of two contenders is taken within each round, and the median and spread are over the rounds' ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median and spread of a series: smallest, lower and upper quartile, largest."""

    median: float
    least: float
    lower: float
    upper: float
    most: float
    count: int


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value at `fraction` (0..1) of the sorted series, linear between neighbours; ValueError if it is empty."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> Spread:
    """Median and spread; ValueError if the series is empty."""
    return Spread(
        median=quantile(values, 0.5),
        least=min(values, default=0.0),
        lower=quantile(values, 0.25),
        upper=quantile(values, 0.75),
        most=max(values, default=0.0),
        count=len(values),
    )


def paired_ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """ours/theirs for each round that has both, in the order of rounds; rounds where theirs is 0 are left out."""
    return [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys()) if theirs[number] > 0]


def paired_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    """ours - theirs for each round that has both."""
    return {number: ours[number] - theirs[number] for number in sorted(ours.keys() & theirs.keys())}


def meets(ratios: Sequence[float], limit: float) -> str:
    """Whether a target "at most `limit`" is met, given the spread: "yes", "no", or "within noise".

    "Within noise" means that the interquartile range of the rounds' ratios contains the limit: repeating the run may
    move the median to the other side.
    """
    seen = spread(ratios)
    if seen.lower <= limit <= seen.upper and seen.lower < seen.upper:
        return "within noise"
    return "yes" if seen.median <= limit else "no"
