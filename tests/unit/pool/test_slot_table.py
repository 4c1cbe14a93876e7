"""The table of slots in one process: its states, its limit, the memory that it accepts."""

from __future__ import annotations

import mmap
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.pool.region import make_budgets, make_region, take
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.slot_table import MAX_SLOTS, MAX_TARGETS, MAX_WORKERS, format_region, region_size


def test_hands_out_as_many_slots_as_the_limit_says_over_all_workers() -> None:
    keeper, budgets = make_budgets(workers=3, limit=7)
    slots = [budget.acquire() for _ in range(4) for budget in budgets]
    assert slots.count(-1) == 5
    assert len({slot for slot in slots if slot >= 0}) == 7
    assert keeper.used(0) == budgets[0].used() == sum(budget.held() for budget in budgets) == 7


def test_a_freed_slot_can_be_taken_by_another_worker() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=1)
    slot = one.acquire()
    assert other.acquire() == -1
    one.free(slot)
    assert other.acquire() == slot
    assert (one.held(), other.held()) == (0, 1)


def test_only_the_holder_frees_a_slot_and_only_once() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=2)
    slot = one.acquire()
    with pytest.raises(ValueError, match="is not held by worker 1"):
        other.free(slot)
    with pytest.raises(ValueError, match="is not held by worker 1"):
        other.note(slot, 1, 1)
    one.free(slot)
    with pytest.raises(ValueError, match="is not held by worker 0"):
        one.free(slot)
    for wild in (-1, 64, 2**31 - 1):
        with pytest.raises(ValueError, match="is not held"):
            one.free(wild)


def test_targets_do_not_share_slots() -> None:
    memory = make_region(targets=2)
    keeper = BudgetKeeper(memory)
    keeper.set_limit(0, 1)
    first, second = SharedBudget(memory, 0, 0), SharedBudget(memory, 1, 0)
    assert (first.acquire(), second.acquire()) == (0, -1)
    second.limit = 2
    assert second.acquire() >= 0
    assert (keeper.used(0), keeper.used(1), keeper.limit(0), keeper.limit(1)) == (1, 1, 1, 2)


def test_no_limit_yet_means_no_slot() -> None:
    _, budgets = make_budgets(workers=1, limit=0)
    assert budgets[0].acquire() == -1
    budgets[0].limit = 1
    assert budgets[0].acquire() == 0


def test_a_lower_limit_waits_for_slots_to_come_back_and_lets_none_out_before() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=10)
    slots = take(one, 10)
    other.limit = 4
    assert one.limit == 4
    for slot in slots[:6]:
        one.free(slot)
        assert one.acquire() == other.acquire() == -1
    one.free(slots[6])
    assert other.acquire() >= 0
    assert other.acquire() == -1
    assert keeper.used(0) == 4


def test_a_limit_lowered_and_raised_again_gives_all_of_it() -> None:
    keeper, (one, *_) = make_budgets(workers=3, limit=10)
    slots = take(one, 8)
    one.limit = 3
    for slot in slots[:2]:
        one.free(slot)
    one.limit = 20
    take(one, 14)
    assert one.acquire() == -1
    assert keeper.used(0) == 20


def test_a_limit_beyond_the_table_is_cut_to_it() -> None:
    _, (one, *_) = make_budgets(workers=3, limit=1000, slots=64)
    assert one.limit == 64
    take(one, 64)
    assert one.acquire() == -1


def test_a_negative_limit_is_refused() -> None:
    keeper, (one, *_) = make_budgets(workers=3, limit=1)
    with pytest.raises(ValueError, match="negative"):
        one.limit = -1
    with pytest.raises(ValueError, match="negative"):
        keeper.set_limit(0, -1)


@pytest.mark.parametrize(
    ("targets", "workers", "slots"),
    [(0, 1, 1), (MAX_TARGETS + 1, 1, 1), (1, 0, 1), (1, MAX_WORKERS + 1, 1), (1, 1, 0), (1, 1, MAX_SLOTS + 1)],
)
def test_shapes_outside_the_bounds_are_refused(targets: int, workers: int, slots: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        region_size(targets, workers, slots)


def test_memory_that_is_no_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="no budget"):
        SharedBudget(mmap.mmap(-1, 4096), 0, 0)
    with pytest.raises(ValueError, match="needs"):
        format_region(mmap.mmap(-1, 4096), 1, 1)
    memory = make_region()
    with pytest.raises(ValueError, match="shorter than its header"):
        SharedBudget(memoryview(memory)[:-64], 0, 0)
    with pytest.raises(ValueError, match="aligned"):
        BudgetKeeper(memoryview(memory)[4:])
    with pytest.raises(ValueError, match="no target 1"):
        SharedBudget(memory, 1, 0)
    with pytest.raises(ValueError, match="no worker 3"):
        SharedBudget(memory, 0, 3)
    with pytest.raises(ValueError, match="no worker 3"):
        BudgetKeeper(memory).orphan(3)


class BudgetMachine(RuleBasedStateMachine):
    """Any order of taking, freeing, dying, reclaiming and changing limits, against plain sets."""

    held = Bundle("held")

    @initialize(limit=st.integers(0, 12))
    def start(self, limit: int) -> None:
        self.keeper, self.budgets = make_budgets(workers=3, limit=limit, slots=16)
        self.limit = limit
        self.owner: dict[int, int] = {}
        self.orphaned: set[int] = set()

    @rule(target=held, worker=st.integers(0, 2))
    def acquire(self, worker: int) -> tuple[int, int]:
        slot = self.budgets[worker].acquire()
        if len(self.owner) + len(self.orphaned) < self.limit:
            assert slot not in self.owner and slot not in self.orphaned and 0 <= slot < 16
            self.owner[slot] = worker
        else:
            assert slot == -1
        return worker, slot

    @rule(one=held)
    def free(self, one: tuple[int, int]) -> None:
        worker, slot = one
        if self.owner.get(slot) == worker:
            self.budgets[worker].free(slot)
            del self.owner[slot]
        else:
            with pytest.raises(ValueError, match="not held"):
                self.budgets[worker].free(slot)

    @rule(worker=st.integers(0, 2))
    def die(self, worker: int) -> None:
        mine = {slot for slot, owner in self.owner.items() if owner == worker}
        assert {slot for _, slot, _, _ in self.keeper.orphan(worker)} == mine
        self.orphaned |= mine
        self.owner = {slot: owner for slot, owner in self.owner.items() if owner != worker}

    @precondition(lambda self: self.orphaned)
    @rule(pick=st.randoms(use_true_random=False))
    def reclaim(self, pick: random.Random) -> None:
        slot = pick.choice(sorted(self.orphaned))
        assert self.keeper.reclaim(0, slot)
        self.orphaned.remove(slot)

    @rule(worker=st.integers(0, 2), limit=st.integers(0, 20))
    def change_limit(self, worker: int, limit: int) -> None:
        self.budgets[worker].limit = limit
        self.limit = min(limit, 16)

    @invariant()
    def agrees(self) -> None:
        assert self.keeper.used(0) == len(self.owner) + len(self.orphaned)
        assert self.keeper.orphans(0) == len(self.orphaned)
        assert self.keeper.limit(0) == self.limit


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
