"""How workers come down to a lower limit: each by its part, together to the limit and no further."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pool.region import make_budgets, take
from tidegate.pool.shared_budget import SharedBudget


def lower(limit: int, rows: list[tuple[int, int]]) -> list[SharedBudget]:
    """Workers that hold so many servers, so many of them idle, under a limit that has just been lowered."""
    _, budgets = make_budgets(workers=len(rows), limit=64)
    for budget, (held, idle) in zip(budgets, rows, strict=True):
        take(budget, held)
        assert budget.excess(idle, closing=0) == 0, "the limit is not lowered yet"
    budgets[0].limit = limit
    for budget, (_, idle) in zip(budgets, rows, strict=True):
        assert budget.excess(idle, closing=0) == 0, "the others may not have said how they stand"
    return budgets


def excesses(budgets: list[SharedBudget], rows: list[tuple[int, int]]) -> list[int]:
    return [budget.excess(idle, 0) for budget, (_, idle) in zip(budgets, rows, strict=True)]


@pytest.mark.parametrize(
    ("limit", "rows", "expected"),
    [
        (20, [(10, 10), (10, 0)], [0, 0]),
        (10, [(10, 10), (10, 10)], [5, 5]),
        (10, [(10, 0), (10, 0)], [5, 5]),
        (11, [(10, 10), (10, 10)], [4, 5]),
        (10, [(16, 16), (4, 4)], [10, 0]),
        (10, [(10, 10), (10, 0)], [10, 0]),
        (12, [(10, 10), (10, 2)], [6, 2]),
        (8, [(10, 10), (10, 0)], [10, 2]),
        (9, [(2, 0), (8, 0), (8, 3)], [0, 4, 5]),
        (0, [(3, 3), (3, 0)], [3, 3]),
    ],
    ids=[
        "fits",
        "all idle",
        "all in use",
        "an odd one",
        "the larger first",
        "idle before in use",
        "no more idle ones than needed",
        "all idle ones and some in use",
        "the small one keeps what it has",
        "nothing is left",
    ],
)
def test_a_lower_limit_is_shared_out(limit: int, rows: list[tuple[int, int]], expected: list[int]) -> None:
    assert excesses(lower(limit, rows), rows) == expected


def test_what_is_being_closed_is_not_asked_for_again() -> None:
    rows = [(10, 10), (10, 10)]
    one, other = lower(10, rows)
    assert one.excess(idle=7, closing=3) == 2
    assert one.excess(idle=5, closing=5) == 0
    assert other.excess(idle=10, closing=0) == 5, "the part of one does not depend on how far the other is"
    for slot in range(5):
        one.free(slot)
    assert one.excess(idle=5, closing=0) == 0
    assert other.excess(idle=10, closing=0) == 5


def test_nobody_reckons_with_what_another_had_in_use_before() -> None:
    """One looks again and again before the other, all of whose servers have come back since it was last asked."""
    _, (one, other) = make_budgets(workers=2, limit=12)
    take(one, 6)
    take(other, 6)
    assert other.excess(idle=0, closing=0) == 0
    one.limit = 4
    assert [one.excess(idle=6, closing=0) for _ in range(5)] == [0] * 5
    assert other.excess(idle=6, closing=0) == 0
    assert other.excess(idle=6, closing=0) == 4
    assert one.excess(idle=6, closing=0) == 4


def test_who_does_not_answer_is_not_waited_for_without_end() -> None:
    _, (one, other) = make_budgets(workers=2, limit=12)
    take(one, 6)
    take(other, 6)
    one.limit = 4
    answers = [one.excess(idle=6, closing=0) for _ in range(300)]
    assert answers[:100] == [0] * 100
    assert answers[-1] == 4


def test_a_dead_workers_slots_are_nobodys_excess() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=20)
    take(one, 10)
    take(other, 10)
    keeper.orphan(1)
    one.limit = 10
    assert [one.excess(idle=10, closing=0) for _ in range(2)] == [0, 0]
    one.limit = 8
    assert [one.excess(idle=10, closing=0) for _ in range(2)] == [0, 2]


def test_what_others_give_beyond_their_part_is_not_given_again() -> None:
    """The rows were old when the other worked out its part: the limit is met all the same, and not undercut."""
    one, other = lower(4, [(6, 6), (6, 6)])
    one.excess(idle=0, closing=0)  # in use, it said
    assert other.excess(idle=6, closing=0) == 6
    assert one.excess(idle=6, closing=0) == 2


@given(
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=5),
    st.integers(0, 10_000),
)
def test_workers_come_down_to_the_limit_in_any_order(limit: int, shapes: list[tuple[int, int]], seed: int) -> None:
    """Each closes and frees as it likes: all meet at the limit, and nobody goes below what it was to keep."""
    rows = [(held, min(held, idle)) for held, idle in shapes]
    total = sum(held for held, _ in rows)
    budgets = lower(limit, rows)
    first = excesses(budgets, rows)
    numbers = iter(range(total))
    slots = [[next(numbers) for _ in range(held)] for held, _ in rows]
    pick = random.Random(seed)
    idle = [row[1] for row in rows]
    closing = [0] * len(rows)
    for _ in range(400):
        at = pick.randrange(len(rows))
        if pick.random() < 0.5:
            asked = budgets[at].excess(idle[at], closing[at])
            closing[at] += asked
            idle[at] = max(0, idle[at] - asked)
        elif closing[at]:
            budgets[at].free(slots[at].pop())
            closing[at] -= 1
    for at, budget in enumerate(budgets):
        assert budget.excess(idle[at], closing[at]) == 0
        while closing[at]:
            budget.free(slots[at].pop())
            closing[at] -= 1
    kept = [budget.held() for budget in budgets]
    assert sum(kept) == min(total, limit)
    assert kept == [held - gone for (held, _), gone in zip(rows, first, strict=True)]
