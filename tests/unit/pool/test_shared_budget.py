"""The shared budget in one process: its states, what a crash leaves, how slots are shared out."""

from __future__ import annotations

import mmap
import random
import struct
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.pool.shared_budget import (
    MAX_SLOTS,
    MAX_TARGETS,
    MAX_WORKERS,
    BudgetKeeper,
    SharedBudget,
    format_region,
    region_size,
)

HEADER = 64
LOCK = HEADER + 4
"""Offset of the first target's settle lock (layout version 1)."""


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


# What a dead worker leaves


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


# Sharing


def test_nothing_is_owed_while_nobody_waits() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=10)
    take(one, 10)
    other.report(waiting=0, idle=0)
    assert one.owed(idle=10) == 0
    assert other.wakeable() == []


def test_idle_servers_go_to_another_workers_clients() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=10)
    take(one, 10)
    one.report(waiting=0, idle=6)
    other.report(waiting=3, idle=0)
    assert other.wakeable() == [0]
    assert one.owed(idle=6) == 3
    assert one.wakeable() == [1]


def test_free_slots_are_used_before_idle_servers_are_closed() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=10)
    take(one, 8)
    one.report(waiting=0, idle=8)
    other.report(waiting=2, idle=0)
    assert one.owed(idle=8) == 0
    other.report(waiting=5, idle=0)
    assert one.owed(idle=8) == 3


def test_two_workers_with_idle_servers_do_not_both_give_for_one_client() -> None:
    _, (one, other, third) = make_budgets(workers=3, limit=10)
    take(one, 6)
    take(other, 4)
    one.report(waiting=0, idle=6)
    other.report(waiting=0, idle=4)
    third.report(waiting=7, idle=0)
    assert third.givers() == [0, 1]
    assert (one.owed(idle=6), other.owed(idle=4)) == (6, 1)


def test_a_busy_worker_owes_what_is_beyond_its_fair_share() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=20)
    take(one, 20)
    one.report(waiting=30, idle=0)
    other.report(waiting=4, idle=0)
    assert one.owed(idle=0) == 4
    other.report(waiting=40, idle=0)
    assert one.owed(idle=0) == 10


def test_orphans_are_no_room_to_share() -> None:
    keeper, (one, other, third) = make_budgets(workers=3, limit=20)
    take(third, 10)
    keeper.orphan(2)
    take(one, 10)
    one.report(waiting=30, idle=0)
    other.report(waiting=30, idle=0)
    assert one.owed(idle=0) == 5


def test_a_slot_that_was_given_is_not_taken_back() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=4)
    slots = take(one, 4)
    one.report(waiting=10, idle=0)
    other.report(waiting=10, idle=0)
    assert one.owed(idle=0) == 2
    one.free(slots[0])
    assert one.acquire() == -1
    assert other.acquire() == slots[0]


def test_an_odd_slot_stays_where_it_is() -> None:
    _, (one, other, _) = make_budgets(workers=3, limit=5)
    take(one, 3)
    take(other, 2)
    one.report(waiting=10, idle=0)
    other.report(waiting=10, idle=0)
    assert (one.owed(idle=0), other.owed(idle=0)) == (0, 0)


@given(
    limit=st.integers(1, 30),
    rows=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 30)), min_size=2, max_size=5),
)
@settings(deadline=None)
def test_what_is_owed_is_never_more_than_is_held_or_wanted(limit: int, rows: list[tuple[int, int, int]]) -> None:
    _, budgets = make_budgets(workers=len(rows), limit=limit)
    for budget, (held, waiting, idle) in zip(budgets, rows, strict=True):
        for _ in range(held):
            budget.acquire()
        budget.report(waiting, min(idle, budget.held()))
    wanted = sum(waiting for _, waiting, _ in rows)
    owed = [budget.owed(min(idle, budget.held())) for budget, (_, _, idle) in zip(budgets, rows, strict=True)]
    assert all(0 <= one <= budget.held() for one, budget in zip(owed, budgets, strict=True))
    assert sum(owed) <= wanted


class Relay:
    """A worker in miniature: clients that each use a server for some ticks, and the rules of asking and giving."""

    def __init__(self, budget: SharedBudget, load: int) -> None:
        self.budget = budget
        self.waiting = load
        self.busy: deque[int] = deque()
        self.idle: list[int] = []
        self.served = 0
        self.given = 0

    def tick(self, pick: random.Random) -> None:
        for _ in range(len(self.busy)):
            slot = self.busy.popleft()
            if pick.random() < 0.3:
                self.served += 1
                self.waiting += 1
                self.give_or_keep(slot)
            else:
                self.busy.append(slot)
        self.report()
        while self.waiting and (slot := self.idle.pop() if self.idle else self.budget.acquire()) >= 0:
            self.waiting -= 1
            self.busy.append(slot)
            self.report()
        for _ in range(min(len(self.idle), self.budget.owed(len(self.idle)))):
            self.budget.free(self.idle.pop())
        self.report()

    def give_or_keep(self, slot: int) -> None:
        self.report()
        if self.budget.owed(len(self.idle)) > 0:
            self.given += 1
            self.budget.free(slot)
        else:
            self.idle.append(slot)

    def report(self) -> None:
        self.budget.report(max(0, self.waiting - len(self.idle)), len(self.idle))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7, 20])
@pytest.mark.parametrize("loads", [[50, 50], [50, 50, 50, 50], [1, 100, 3], [1, 1, 1, 200]])
def test_every_worker_is_served_its_share(limit: int, loads: list[int]) -> None:
    keeper, budgets = make_budgets(workers=len(loads), limit=limit)
    relays = [Relay(budget, load) for budget, load in zip(budgets, loads, strict=True)]
    pick = random.Random(1)
    relays[0].tick(pick)
    for _ in range(4000):
        pick.choice(relays).tick(pick)
        assert keeper.used(0) <= limit
    per_client = sorted(
        (relay.served, min(load, max(1, limit // len(loads)))) for relay, load in zip(relays, loads, strict=True)
    )
    total = sum(relay.served for relay in relays)
    for served, share in per_client:
        fair = total * share / max(limit, len(loads))
        assert served > 0.5 * fair, f"served {[relay.served for relay in relays]} of limit {limit}"


@pytest.mark.parametrize("limit", [4, 5, 7, 20])
def test_saturated_workers_settle_and_stop_moving_slots(limit: int) -> None:
    _, budgets = make_budgets(workers=4, limit=limit)
    relays = [Relay(budget, 100) for budget in budgets]
    pick = random.Random(2)
    for _ in range(1000):
        pick.choice(relays).tick(pick)
    before = [relay.given for relay in relays]
    for _ in range(1000):
        pick.choice(relays).tick(pick)
    assert [relay.given for relay in relays] == before
    held = sorted(budget.held() for budget in budgets)
    assert sum(held) == limit
    assert held[-1] - held[0] <= 1
