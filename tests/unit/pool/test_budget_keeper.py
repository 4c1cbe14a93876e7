"""What a dead worker leaves in the budget, and how the supervisor repairs it."""

from __future__ import annotations

import struct

import pytest

from tests.unit.pool.region import make_budgets, make_region, take
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.shared_budget import SharedBudget

LOCK = 64 + 4
"""Offset of the first target's settle lock (layout version 1)."""


def test_a_dead_workers_slots_stay_taken_until_they_are_reclaimed() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=3)
    known, port_only, unknown = take(one, 3)
    one.note(known, 4711, 50_000)
    one.note(port_only, 0, 50_001)
    found = keeper.orphan(0)
    assert sorted(found) == sorted([(0, known, 4711, 50_000), (0, port_only, 0, 50_001), (0, unknown, 0, 0)])
    assert (keeper.used(0), keeper.orphans(0), one.held()) == (3, 3, 0)
    assert other.acquire() == -1
    assert keeper.reclaim(0, known)
    assert other.acquire() == known
    assert not keeper.reclaim(0, known), "a slot taken again is not an orphan any more"
    assert keeper.orphans(0) == 2


def test_an_identity_does_not_outlive_its_slot() -> None:
    keeper, (one, *_) = make_budgets(workers=3, limit=1)
    slot = one.acquire()
    one.note(slot, 4711, 50_000)
    one.free(slot)
    assert one.acquire() == slot
    assert keeper.orphan(0) == [(0, slot, 0, 0)]
    keeper.reclaim(0, slot)
    assert keeper.orphan(0) == []


def test_an_orphan_reclaimed_under_a_lower_limit_is_retired() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=2)
    slots = take(one, 2)
    keeper.orphan(0)
    other.limit = 1
    assert keeper.reclaim(0, slots[0])
    assert other.acquire() == -1
    assert keeper.reclaim(0, slots[1])
    assert other.acquire() >= 0
    assert other.acquire() == -1


@pytest.mark.parametrize("wild", [-1, 0, 63, 64, 2**31 - 1])
def test_only_orphans_can_be_reclaimed(wild: int) -> None:
    keeper, _ = make_budgets(workers=3, limit=3)
    assert not keeper.reclaim(0, wild)


def test_the_lock_of_a_worker_killed_while_it_changed_the_limit_is_broken() -> None:
    memory = make_region()
    keeper, one, other = BudgetKeeper(memory), SharedBudget(memory, 0, 0), SharedBudget(memory, 0, 1)
    keeper.set_limit(0, 2)
    memory[LOCK : LOCK + 4] = struct.pack("=I", one.worker + 1)  # as killed inside settle()
    other.limit = 5
    take(other, 2)
    assert other.acquire() == -1, "nobody mints without the lock"
    keeper.orphan(1)
    assert memory[LOCK : LOCK + 4] == struct.pack("=I", one.worker + 1), "only the dead worker's lock is broken"
    keeper.orphan(0)
    assert memory[LOCK : LOCK + 4] == bytes(4)
    take(one, 3)
    assert one.acquire() == -1


def test_a_limit_lowered_behind_a_dead_holders_lock_lets_no_slot_out() -> None:
    memory = make_region()
    keeper, one, other = BudgetKeeper(memory), SharedBudget(memory, 0, 0), SharedBudget(memory, 0, 1)
    keeper.set_limit(0, 5)
    slots = take(other, 3)
    memory[LOCK : LOCK + 4] = struct.pack("=I", one.worker + 1)
    other.limit = 2
    other.free(slots[0])
    assert other.acquire() == -1
    keeper.orphan(0)
    assert other.acquire() == -1
    other.free(slots[1])
    assert other.acquire() >= 0


def test_a_dead_workers_wishes_are_forgotten() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=2)
    take(other, 2)
    one.report(waiting=5, idle=0)
    assert other.owed(idle=2) > 0
    keeper.orphan(0)
    assert other.owed(idle=2) == 0
    assert other.waiters() == []
