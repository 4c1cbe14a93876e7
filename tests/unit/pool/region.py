"""Budgets of several workers in the memory of one process."""

from __future__ import annotations

import mmap

from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.slot_table import format_region, region_size


def make_region(targets: int = 1, workers: int = 3, slots: int = 64) -> mmap.mmap:
    memory = mmap.mmap(-1, region_size(targets, workers, slots))
    format_region(memory, targets, workers, slots)
    return memory


def make_budgets(workers: int, limit: int, slots: int = 64) -> tuple[BudgetKeeper, list[SharedBudget]]:
    memory = make_region(workers=workers, slots=slots)
    keeper = BudgetKeeper(memory)
    keeper.set_limit(0, limit)
    return keeper, [SharedBudget(memory, 0, worker) for worker in range(workers)]


def take(budget: SharedBudget, count: int) -> list[int]:
    slots = [budget.acquire() for _ in range(count)]
    assert -1 not in slots
    return slots
