"""How workers share the slots of one budget: by need, in turns, and down to a lower limit."""

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


# A lowered limit


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
