"""The budget of a lone process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.pool.budget import LocalBudget


def test_hands_out_as_many_as_the_limit() -> None:
    budget = LocalBudget(2)
    assert {budget.acquire(), budget.acquire()} == {0, 1}
    assert budget.acquire() == -1
    budget.free(0)
    assert budget.acquire() == 0
    assert budget.held() == 2


def test_a_slot_is_freed_once() -> None:
    budget = LocalBudget(1)
    slot = budget.acquire()
    budget.free(slot)
    for wrong in (slot, 7, -1):
        with pytest.raises(ValueError):
            budget.free(wrong)


def test_shrinks_as_slots_come_back_and_grows_at_once() -> None:
    budget = LocalBudget(3)
    for _ in range(3):
        budget.acquire()
    budget.limit = 1
    budget.free(1)
    assert budget.acquire() == -1
    budget.free(0)
    assert budget.acquire() == -1
    budget.limit = 2
    assert budget.acquire() in (0, 1)


def test_owes_nobody() -> None:
    budget = LocalBudget(3)
    budget.report(5, 5)
    assert budget.owed(5) == 0


@given(st.lists(st.integers(-1, 9)))
def test_ids_are_never_shared(steps: list[int]) -> None:
    budget, held = LocalBudget(4), list[int]()
    for step in steps:
        if step < 0 or not held:
            slot = budget.acquire()
            assert (slot == -1) == (len(held) == 4)
            assert slot not in held
            if slot >= 0:
                held.append(slot)
        else:
            budget.free(held.pop(step % len(held)))
        assert budget.held() == len(held)
