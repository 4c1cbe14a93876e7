"""How workers share the slots of one budget: by need and in turns."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pool.region import make_budgets, take
from tidegate.pool.shared_budget import SharedBudget


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


def test_what_may_idle_is_one_number_for_all_workers() -> None:
    _, budgets = make_budgets(workers=3, limit=30)
    assert [budget.may_idle(7) for budget in budgets] == [7, 7, 7], "as long as nobody else has any"
    for budget in budgets:
        budget.report(waiting=0, idle=10)
    assert [budget.may_idle(7) for budget in budgets] == [3, 2, 2]
    budgets[0].report(waiting=0, idle=1)
    budgets[1].report(waiting=0, idle=2)
    assert [budget.may_idle(7) for budget in budgets] == [3, 2, 4]
    assert [budget.may_idle(0) for budget in budgets] == [0, 0, 0]


def test_what_one_worker_learns_of_the_database_all_know_until_the_target_is_another() -> None:
    keeper, (one, other, _) = make_budgets(workers=3, limit=1)
    assert other.usable == 0
    one.usable = 97
    assert other.usable == 97
    keeper.set_limit(0, 1)
    assert other.usable == 0
