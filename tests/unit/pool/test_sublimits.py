"""Limits on parts of the slots, over all workers: the labels are the truth, and places are shared by need."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pool.region import make_budgets
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.sublimits import DATABASE, POOL, USER, Part, Sublimits, key_of

APP = key_of(POOL, "app", "app")
LABELS = (APP, key_of(DATABASE, "app"), key_of(USER, "app"))


class Desk:
    """One worker: its slots of the budget, and its view of one part."""

    def __init__(self, budget: SharedBudget, limit: int) -> None:
        self.budget = budget
        self.sublimits: Sublimits = budget.sublimits()
        self.part = Part(POOL, APP, limit)
        self.held: list[int] = []

    def open(self) -> bool:
        slot = self.budget.acquire()
        if slot < 0:
            return False
        if not self.sublimits.admit(slot, self.part):
            self.budget.free(slot)
            return False
        self.sublimits.label(slot, LABELS)
        self.held.append(slot)
        return True

    def close(self) -> None:
        self.budget.free(self.held.pop())

    def want(self, waiting: int, idle: int = 0) -> None:
        self.sublimits.queue_up(self.part, waiting > 0 and not self.held)
        self.sublimits.publish([(self.part, waiting, idle)] if waiting or idle else [])

    def allowance(self, waiting: int = 0, idle: int = 0, turn_over: bool = False) -> int:
        self.want(waiting, idle)
        return self.sublimits.allowance(self.part, waiting, idle, turn_over)


def desks(workers: int, limit: int, of: int = 20) -> tuple[BudgetKeeper, list[Desk]]:
    keeper, budgets = make_budgets(workers=workers, limit=of)
    return keeper, [Desk(budget, limit) for budget in budgets]


def test_places_are_counted_over_all_workers() -> None:
    _, (one, other) = desks(2, limit=3)
    assert [one.open(), other.open(), one.open(), other.open(), one.open()] == [True, True, True, False, False]
    assert one.sublimits.used(one.part) == 3
    other.close()
    assert one.open()


def test_other_parts_have_places_of_their_own() -> None:
    _, (one, other) = desks(2, limit=1)
    assert one.open()
    other.part = Part(POOL, key_of(POOL, "app", "somebody"), 1)
    assert other.open()


def test_keys_tell_kinds_and_names_apart() -> None:
    keys = {
        key_of(POOL, "a", "b"), key_of(POOL, "ab", ""), key_of(POOL, "b", "a"),
        key_of(DATABASE, "a"), key_of(USER, "a"), key_of(USER, "\udcff"),
    }  # fmt: skip
    assert len(keys) == 6
    assert all(0 < key < 1 << 63 for key in keys)


def test_a_place_is_taken_until_its_slot_is_given_back() -> None:
    """Also while the server is on its way out; only as a live one it counts no more."""
    _, (one, other) = desks(2, limit=2)
    assert one.open() and one.open()
    one.sublimits.closing(one.held[0])
    assert (other.sublimits.used(other.part), other.sublimits.live(other.part)) == (2, 1)
    assert not other.open()
    one.sublimits.closing(one.held[0])
    assert other.sublimits.live(other.part) == 1


def test_a_dead_workers_places_come_free_with_its_slots() -> None:
    keeper, (one, other) = desks(2, limit=2)
    assert one.open() and one.open()
    one.want(waiting=3)
    slots = [slot for _, slot, _, _ in keeper.orphan(0)]
    assert len(slots) == 2
    assert other.sublimits.wanted() == [], "the dead wait for nothing"
    assert not other.open()
    assert other.allowance(waiting=2) == 0
    assert keeper.reclaim(0, slots[0])
    assert other.allowance(waiting=2) == 1
    assert other.open() and not other.open()


def test_a_worker_that_died_before_it_labelled_its_slot_has_no_place() -> None:
    keeper, (one, other) = desks(2, limit=1)
    slot = one.budget.acquire()
    keeper.orphan(0)
    assert other.open()
    assert keeper.reclaim(0, slot)


def test_a_slot_taken_again_counts_for_nothing_before_it_is_labelled() -> None:
    _, (one, other) = desks(2, limit=1, of=1)
    assert one.open()
    one.close()
    slot = other.budget.acquire()
    assert one.sublimits.used(one.part) == 0
    other.budget.free(slot)


def test_only_held_slots_are_labelled() -> None:
    _, (one, other) = desks(2, limit=1)
    assert one.open()
    for slot in (one.held[0], -1, 63, 64):
        with pytest.raises(ValueError, match="not held by worker 1"):
            other.sublimits.label(slot, LABELS)
        with pytest.raises(ValueError, match="not held by worker 1"):
            other.sublimits.admit(slot, other.part)
        with pytest.raises(ValueError, match="not held by worker 1"):
            other.sublimits.closing(slot)


def test_all_free_places_while_nobody_else_wants_one() -> None:
    _, (one, other) = desks(2, limit=5)
    assert other.open()
    assert one.allowance(waiting=9) == 4


def test_idle_servers_go_to_another_workers_clients() -> None:
    _, (one, other) = desks(2, limit=4)
    for _ in range(4):
        assert one.open()
    other.want(waiting=3)
    assert other.sublimits.holders(other.part) == {0}
    assert one.sublimits.wanted() == [APP]
    assert one.allowance(idle=4) == 1
    assert one.sublimits.waiters() == {1}


def test_two_workers_with_idle_servers_do_not_both_give_for_one_client() -> None:
    _, (one, other, third) = desks(3, limit=6)
    for desk in (one, one, one, other, other, other):
        assert desk.open()
    one.want(waiting=0, idle=3)
    other.want(waiting=0, idle=3)
    third.want(waiting=1)
    assert (one.allowance(idle=3), other.allowance(idle=3)) == (2, 3)


def test_busy_workers_come_to_equal_parts() -> None:
    _, (one, other) = desks(2, limit=6)
    for _ in range(6):
        assert one.open()
    other.want(waiting=10)
    assert one.allowance(waiting=10) == 3
    for _ in range(3):
        one.close()
    assert one.allowance(waiting=10) == 3
    assert other.allowance(waiting=10) == 3


def test_fewer_places_than_workers_are_lent_in_turns() -> None:
    """The first that began to wait comes first, and whoever has given its place up goes to the end."""
    _, group = desks(3, limit=1)
    one, other, third = group
    assert one.open()
    third.want(waiting=1)
    other.want(waiting=1)
    assert one.allowance(waiting=1) == 1
    assert one.allowance(waiting=1, turn_over=True) == 0
    one.close()
    assert one.allowance(waiting=1) == 0
    assert (other.allowance(waiting=1), third.allowance(waiting=1)) == (0, 1)
    assert third.open()
    third.want(waiting=0)
    third.close()
    assert (one.allowance(waiting=1), other.allowance(waiting=1)) == (0, 1)


def test_a_lowered_limit_is_met_by_all_together() -> None:
    _, group = desks(2, limit=8)
    one, other = group
    for desk in (one, one, one, one, one, other, other, other):
        assert desk.open()
    one.part.limit = other.part.limit = 5
    assert (one.allowance(), other.allowance()) == (3, 2)


def test_more_wants_than_the_list_has_room_for() -> None:
    _, (one, other) = desks(2, limit=1)
    wants = [(Part(POOL, number + 1, 1), 1, 0) for number in range(3000)]
    one.sublimits.publish(wants)
    assert other.sublimits.wanted() == list(range(1, 1025))


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["open", "close", "die"]), st.integers(0, 4))),
)
def test_never_more_than_the_limit_and_no_place_is_lost(limit: int, steps: list[tuple[int, str, int]]) -> None:
    keeper, group = desks(3, limit, of=8)
    orphans: dict[int, list[int]] = defaultdict(list)
    for worker, what, waiting in steps:
        desk = group[worker]
        desk.want(waiting)
        if what == "open":
            desk.open()
        elif what == "close" and desk.held:
            desk.close()
        elif what == "die":
            orphans[worker] += [slot for _, slot, _, _ in keeper.orphan(worker)]
            group[worker] = Desk(desk.budget, limit)
        taken = sum(len(one.held) for one in group) + sum(map(len, orphans.values()))
        assert taken == group[0].sublimits.used(group[0].part) <= limit
    for desk in group:
        desk.want(0)
        while desk.held:
            desk.close()
    for slots in orphans.values():
        for slot in slots:
            assert keeper.reclaim(0, slot)
    assert group[0].sublimits.used(group[0].part) == 0
    assert sum(group[0].open() for _ in range(limit + 1)) == limit
