"""Workers that share one budget: each a `World` of its own, run side by side in steps of a millisecond."""

from __future__ import annotations

import mmap

import pytest

from tests.simulation.score import jain
from tests.simulation.test_sharing import key, saturate
from tests.simulation.world import World
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.limits import PoolLimits, ServerLimits
from tidegate.pool.shared_budget import SharedBudget
from tidegate.pool.slot_table import format_region, region_size

LIMIT = 20
STEP = 0.001
TICK = 100
"""Steps after which every worker looks at the budget by itself, as `proxy.worker` does."""


class Workers:
    """Several worlds on one clock and one budget. A worker is poked where its budget says it is to be woken."""

    def __init__(self, count: int, limit: int, limits: PoolLimits | None = None) -> None:
        memory = mmap.mmap(-1, region_size(1, count, 256))
        format_region(memory, 1, count, 256)
        self.keeper = BudgetKeeper(memory)
        self.keeper.set_limit(0, limit)
        self.budgets = [SharedBudget(memory, 0, worker) for worker in range(count)]
        self.limits = limits or PoolLimits()
        self.worlds = [
            World(limit, budget=budget, seed=seed, pool_limits=lambda _: self.limits)
            for seed, budget in enumerate(self.budgets)
        ]
        self.highest = limit
        self.steps = 0

    def run(self, until: float) -> None:
        while self.steps * STEP < until:
            self.steps += 1
            poked: set[int] = set()
            for world, budget in zip(self.worlds, self.budgets, strict=True):
                closed = world.governor.stats["closed"]
                world.run(self.steps * STEP)
                poked.update(budget.wakeable(), world.governor.sharing.givers())
                if world.governor.stats["closed"] > closed:
                    poked.update(budget.waiters(), world.governor.sharing.waiters())
            for worker in poked if self.steps % TICK else range(len(self.worlds)):
                self.worlds[worker].poke()
            assert self.keeper.used(0) <= self.highest
            assert self.limits.max_size == 0 or sum(self.held()) <= self.limits.max_size
            self.highest = max(self.keeper.limit(0), min(self.highest, self.keeper.used(0)))

    def lower(self, limit: int) -> None:
        """One worker is the first to learn of a lower limit; from here on `run` lets the servers grow no more."""
        self.budgets[0].limit = limit
        self.highest = self.keeper.used(0)

    def held(self) -> list[int]:
        return [budget.held() for budget in self.budgets]

    def used(self, worker: int, since: float, until: float) -> float:
        return self.worlds[worker].score.used(key("app"), since, until) / (until - since)


def test_idle_servers_of_one_worker_serve_another_within_milliseconds() -> None:
    workers = Workers(2, LIMIT)
    for _ in range(LIMIT):
        workers.worlds[0].arrive(key("app"), 0.0, lambda: 0.1)
    workers.run(1.0)
    assert workers.budgets[0].held() == LIMIT
    workers.worlds[1].arrive(key("app"), 1.0, lambda: 0.01)
    workers.run(1.1)
    assert workers.worlds[1].score.longest_wait() < 0.015
    assert workers.budgets[0].held() == LIMIT - 1, "no more was given up than was asked for"


@pytest.mark.parametrize("pause", [0.001, 0.002, 0.005, 0.03, 0.2])
def test_workers_that_take_turns_wait_for_little_more_than_a_connection(pause: float) -> None:
    """A query is shorter than the time between two looks: when its server comes back nobody has looked since."""
    workers = Workers(2, 1)
    for turn in range(40):
        world = workers.worlds[turn % 2]
        world.arrive(key("app"), workers.steps * STEP, lambda: 0.0002)
        for _ in range(200):
            workers.run((workers.steps + 1) * STEP)
            if world.score.served(key("app")) == turn // 2 + 1:
                break
        workers.run(workers.steps * STEP + pause)
    assert all(world.score.served(key("app")) == 20 for world in workers.worlds)
    assert max(world.score.longest_wait() for world in workers.worlds) < 0.015


@pytest.mark.parametrize("count", [2, 4])
def test_saturated_workers_share_equally(count: int) -> None:
    workers = Workers(count, LIMIT)
    for worker, world in enumerate(workers.worlds):
        saturate(world, key("app"), 100, 0.01, 6.0, start=0.3 * worker)
    workers.run(6.0)
    shares = [workers.used(worker, 2.0, 6.0) for worker in range(count)]
    assert jain(shares) > 0.98
    assert sum(shares) > 0.95 * LIMIT
    assert sum(world.score.churn(2.0, 6.0) for world in workers.worlds) < 5.0


def test_a_light_worker_is_served_beside_a_saturated_one() -> None:
    workers = Workers(2, LIMIT)
    saturate(workers.worlds[0], key("app"), 200, 0.01, 5.0)
    workers.worlds[1].arrive(key("app"), 1.0, lambda: 0.01, lambda: 0.3, 5.0)
    workers.run(5.0)
    assert workers.worlds[1].score.served(key("app")) >= 10
    assert workers.worlds[1].score.longest_wait() < 0.05


def test_fewer_servers_than_workers_take_turns() -> None:
    workers = Workers(4, 2)
    for world in workers.worlds:
        saturate(world, key("app"), 5, 0.01, 10.0)
    workers.run(10.0)
    assert jain(workers.used(worker, 2.0, 10.0) for worker in range(4)) > 0.9
    assert max(world.score.longest_gap(key("app"), 1.0, 10.0) for world in workers.worlds) < 1.0


def test_pools_of_two_workers_share_in_both_directions() -> None:
    workers = Workers(2, 8)
    for world in workers.worlds:
        saturate(world, key("first"), 50, 0.01, 6.0)
        saturate(world, key("second"), 10, 0.01, 6.0)
    workers.run(6.0)
    shares = [world.score.used(key(name), 2.0, 6.0) for world in workers.worlds for name in ("first", "second")]
    assert jain(shares) > 0.98
    assert sum(shares) / 4.0 > 7.5


# A lowered limit


@pytest.mark.parametrize("count", [2, 4])
def test_saturated_workers_come_down_together(count: int) -> None:
    workers = Workers(count, LIMIT)
    for world in workers.worlds:
        saturate(world, key("app"), 100, 0.01, 6.0)
    workers.run(2.0)
    workers.lower(8)
    workers.run(2.2)
    assert sum(workers.held()) <= 8
    assert max(workers.held()) - min(workers.held()) <= 1
    workers.run(6.0)
    shares = [workers.used(worker, 2.5, 6.0) for worker in range(count)]
    assert jain(shares) > 0.98
    assert sum(shares) > 0.9 * 8
    assert sum(world.score.churn(2.5, 6.0) for world in workers.worlds) < 5.0


def test_idle_servers_go_before_those_in_use() -> None:
    workers = Workers(2, LIMIT)
    for _ in range(10):
        workers.worlds[0].arrive(key("app"), 0.0, lambda: 0.1)
        workers.worlds[1].arrive(key("app"), 0.0, lambda: 3.0)
    workers.run(1.0)
    assert workers.held() == [10, 10]
    workers.lower(12)
    workers.run(1.3)
    assert workers.held() == [2, 10]
    workers.lower(6)
    workers.run(2.5)
    assert workers.held() == [0, 10], "transactions are let finish"
    workers.run(4.0)
    assert workers.held() == [0, 6]


def test_idle_workers_keep_equal_parts() -> None:
    workers = Workers(3, 30)
    for world, servers in zip(workers.worlds, (18, 8, 4), strict=True):
        for _ in range(servers):
            world.arrive(key("app"), 0.0, lambda: 0.1)
    workers.run(1.0)
    assert workers.held() == [18, 8, 4]
    workers.lower(12)
    workers.run(1.3)
    assert workers.held() == [4, 4, 4]


def test_a_worker_is_not_stripped_since_another_cannot_give() -> None:
    """One worker's servers are all pinned: the other gives its own part, and not that one's as well."""
    workers = Workers(2, LIMIT)
    for _ in range(10):
        workers.worlds[0].arrive(key("app"), 0.0, lambda: 5.0)
    saturate(workers.worlds[1], key("app"), 50, 0.01, 8.0)
    workers.run(1.0)
    assert workers.held() == [10, 10]
    workers.lower(10)
    workers.run(4.0)
    assert workers.held() == [10, 5]
    assert workers.used(1, 2.0, 4.0) > 4.5
    workers.run(8.0)
    assert sum(workers.held()) <= 10


@pytest.mark.parametrize("seed", range(5))
def test_workers_with_some_load_come_down_and_nobody_waits_for_long(seed: int) -> None:
    """About three servers are in use at a time in each, never the same three: rows of the budget are always old."""
    workers = Workers(4, 40)
    for number, world in enumerate(workers.worlds):
        world.rng.seed(100 * seed + number)
        for _ in range(10):
            world.arrive(key("app"), 0.0, lambda: 0.5)
        for _ in range(6):
            world.arrive(key("app"), 1.0, world.skewed(0.01), world.skewed(0.01), 6.0)
    workers.run(2.0)
    assert workers.held() == [10, 10, 10, 10]
    workers.lower(20)
    workers.run(2.3)
    assert sum(workers.held()) <= 20
    assert min(workers.held()) >= 3
    workers.run(6.0)
    assert max(world.score.longest_wait() for world in workers.worlds) < 0.1


# Sizes of a pool and of a user, with budget to spare


@pytest.mark.parametrize("limits", [PoolLimits(max_size=8), PoolLimits(user_size=8)], ids=["pool", "user"])
@pytest.mark.parametrize("count", [2, 4])
def test_saturated_workers_share_a_size_equally(count: int, limits: PoolLimits) -> None:
    workers = Workers(count, LIMIT, limits)
    for worker, world in enumerate(workers.worlds):
        saturate(world, key("app"), 50, 0.01, 6.0, start=0.3 * worker)
    workers.run(6.0)
    shares = [workers.used(worker, 2.0, 6.0) for worker in range(count)]
    assert sum(workers.held()) == 8
    assert jain(shares) > 0.98
    assert sum(shares) > 0.9 * 8
    assert sum(world.score.churn(2.0, 6.0) for world in workers.worlds) < 5.0


def test_idle_servers_under_a_size_serve_another_within_milliseconds() -> None:
    workers = Workers(2, LIMIT, PoolLimits(max_size=3))
    for _ in range(3):
        workers.worlds[0].arrive(key("app"), 0.0, lambda: 0.1)
    workers.run(1.0)
    assert workers.held() == [3, 0]
    workers.worlds[1].arrive(key("app"), 1.0, lambda: 0.01)
    workers.run(1.1)
    assert workers.worlds[1].score.longest_wait() < 0.02
    assert workers.held() == [2, 1], "no more was given up than was asked for"


def test_a_light_worker_is_served_beside_a_saturated_one_under_a_size() -> None:
    workers = Workers(2, LIMIT, PoolLimits(max_size=4))
    saturate(workers.worlds[0], key("app"), 100, 0.01, 5.0)
    workers.worlds[1].arrive(key("app"), 1.0, lambda: 0.01, lambda: 0.3, 5.0)
    workers.run(5.0)
    assert workers.worlds[1].score.served(key("app")) >= 10
    assert workers.worlds[1].score.longest_wait() < 0.05


def test_a_size_below_the_number_of_workers_is_lent_in_turns() -> None:
    workers = Workers(4, LIMIT, PoolLimits(max_size=1))
    for world in workers.worlds:
        saturate(world, key("app"), 5, 0.01, 10.0)
    workers.run(10.0)
    assert jain(workers.used(worker, 2.0, 10.0) for worker in range(4)) > 0.9
    assert sum(workers.used(worker, 2.0, 10.0) for worker in range(4)) > 0.8
    assert max(world.score.longest_gap(key("app"), 1.0, 10.0) for world in workers.worlds) < 1.0


def test_pools_of_several_workers_share_a_users_size() -> None:
    """All under one user: whose servers they are is settled within the workers, how many between them."""
    workers = Workers(2, LIMIT, PoolLimits(user_size=4))
    for world in workers.worlds:
        for database in ("first", "second"):
            saturate(world, (database, "app"), 20, 0.01, 8.0)
    workers.run(8.0)
    shares = [
        world.score.used((database, "app"), 2.0, 8.0) / 6.0
        for world in workers.worlds
        for database in ("first", "second")
    ]
    assert sum(workers.held()) <= 4
    assert jain(shares) > 0.9
    assert sum(shares) > 0.8 * 4


def test_a_minimum_is_one_number_for_all_workers() -> None:
    limits = PoolLimits(min_size=4)
    workers = Workers(3, LIMIT, limits)
    for world in workers.worlds:
        world.governor.reaper.limits = ServerLimits(server_idle_timeout=2.0)
        for _ in range(3):
            world.arrive(key("app"), 0.0, lambda: 0.1)
    workers.run(1.0)
    assert sum(workers.held()) == 9
    workers.run(8.0)
    assert sum(workers.held()) == 4


def test_a_minimum_is_topped_up_by_whoever_has_clients() -> None:
    workers = Workers(2, LIMIT, PoolLimits(min_size=3))
    pools = [world.governor.pool(key("app"), 0.0) for world in workers.worlds]
    workers.run(2.0)
    assert sum(workers.held()) == 3
    for slot in [slot for pool in pools for slot in list(pool.idle)][:2]:
        world = workers.worlds[[slot in pool.idle for pool in pools].index(True)]
        world.governor.closed(slot, world.now)
    workers.run(5.0)
    assert sum(workers.held()) == 3
