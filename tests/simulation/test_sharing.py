"""How pools share servers: scored on a virtual clock. Every event is audited by `World`."""

from __future__ import annotations

import pytest

from tests.simulation.score import jain
from tests.simulation.world import World
from tidegate.errors import CloseReason
from tidegate.pool.limits import PoolKey, PoolLimits

SERVERS = 20
CONNECT = 0.005
TURN = 10 * CONNECT + 0.01  # the hold, and what ends it


def key(user: object, database: str = "app") -> PoolKey:
    return (database, str(user))


def saturate(world: World, pool: PoolKey, clients: int, work: float, until: float, start: float = 0.0) -> None:
    """Clients that ask again as soon as they are served."""
    for _ in range(clients):
        world.arrive(pool, start, world.around(work), world.exactly(0.0), until)


def test_storm_on_one_pool_opens_each_server_once() -> None:
    world = World(SERVERS)
    for _ in range(300):
        world.arrive(key("app"), 0.0, world.around(0.01))
    world.run(10.0)
    assert len(world.database.attempts) == SERVERS
    assert world.score.served(key("app")) == 300
    fair = 300 / SERVERS * 0.01 + CONNECT * SERVERS / 8
    assert world.score.longest_wait() < 1.5 * fair


def test_opening_keeps_to_the_burst() -> None:
    world = World(SERVERS)
    for _ in range(300):
        world.arrive(key("app"), 0.0, world.around(0.01))
    world.run(0.0)
    assert len(world.database.attempts) == 8
    world.run(0.3)
    assert len(world.database.attempts) == SERVERS


def test_few_clients_open_few_servers() -> None:
    world = World(SERVERS)
    for _ in range(3):
        world.arrive(key("app"), 0.0, world.around(0.01), world.around(0.05), 5.0)
    world.run(5.0)
    assert len(world.database.attempts) == 3


def test_light_pool_is_served_at_once_beside_a_saturated_one() -> None:
    world = World(SERVERS)
    saturate(world, key("hog"), 200, 0.01, 20.0)
    for _ in range(3):
        world.arrive(key("light"), 1.0, world.around(0.01), world.around(0.05), 20.0)
    world.run(20.0)
    assert world.score.longest_wait(key("light")) < 0.03
    assert world.score.mean_wait(key("light"), 2.0) < 0.002
    assert world.score.used(key("hog"), 2.0, 20.0) / 18.0 > 17.0
    assert world.score.churn(2.0, 20.0) < 10.0


def test_rare_client_waits_no_longer_than_a_connect_beside_a_saturated_pool() -> None:
    world = World(SERVERS)
    saturate(world, key("hog"), 200, 0.01, 20.0)
    world.arrive(key("rare"), 1.0, world.around(0.01), world.around(0.5), 20.0)
    world.run(20.0)
    assert world.score.served(key("rare")) > 25
    assert world.score.longest_wait(key("rare")) < 0.03
    assert world.score.churn(2.0, 20.0) < 6.0


def test_two_saturated_pools_share_equally_without_churn() -> None:
    world = World(SERVERS)
    saturate(world, key("many"), 200, 0.01, 20.0)
    saturate(world, key("few"), 50, 0.01, 20.0, start=1.0)
    world.run(20.0)
    shares = [world.score.used(key(name), 2.0, 20.0) for name in ("many", "few")]
    assert jain(shares) > 0.99
    assert world.score.churn(2.0, 20.0) < 1.0


@pytest.mark.parametrize("pools", [15, 19])
def test_odd_servers_rotate(pools: int) -> None:
    world = World(SERVERS)
    for pool in range(pools):
        saturate(world, key(pool), 10, 0.005, 20.0)
    world.run(20.0)
    assert jain(world.score.used(key(pool), 2.0, 20.0) for pool in range(pools)) > 0.99
    assert world.score.churn(2.0, 20.0) <= SERVERS % pools + 1


@pytest.mark.parametrize("pools", [21, 50, 200])
def test_more_pools_than_servers_take_turns(pools: int) -> None:
    world = World(SERVERS)
    for pool in range(pools):
        saturate(world, key(pool), 10, 0.005, 10.0)
    world.run(10.0)
    fair_gap = max(TURN, (pools - SERVERS) / SERVERS * TURN)
    assert jain(world.score.used(key(pool), 2.0, 10.0) for pool in range(pools)) > 0.99
    assert max(world.score.longest_gap(key(pool), 1.0, 10.0) for pool in range(pools)) < 2.0 * fair_gap
    assert world.score.churn(2.0, 10.0) < min(SERVERS, pools - SERVERS) / (10 * CONNECT)
    assert sum(world.score.used(key(pool), 2.0, 10.0) for pool in range(pools)) / 8.0 > 0.85 * SERVERS


def test_a_long_queue_buys_no_more_turns() -> None:
    world = World(SERVERS)
    for pool in range(50):
        saturate(world, key(pool), 1 + 2 * pool, 0.005, 10.0)
    world.run(10.0)
    assert jain(world.score.used(key(pool), 2.0, 10.0) for pool in range(50)) > 0.99
    assert max(world.score.longest_gap(key(pool), 1.0, 10.0) for pool in range(50)) < 4 * TURN


def test_one_shot_clients_of_many_users_all_pass() -> None:
    world = World(SERVERS)
    for user in range(300):
        world.arrive(key(user), 0.0, world.around(0.001))
    world.run(10.0)
    assert sum(world.score.served(key(user)) for user in range(300)) == 300
    rounds = 300 / SERVERS
    assert world.score.longest_wait() < 2.0 * rounds * (2 * CONNECT + 0.002)
    assert world.governor.stats["pools"] <= SERVERS


def test_long_transactions_of_one_pool_do_not_lock_another_out() -> None:
    world = World(SERVERS)
    for _ in range(60):
        world.arrive(key("hog"), 0.0, world.exactly(3.0), world.exactly(0.0), 30.0)
    for _ in range(5):
        world.arrive(key("light"), 1.0, world.around(0.01), world.around(0.05), 30.0)
    world.run(30.0)
    assert world.score.longest_wait(key("light")) < 3.1, "no longer than the first transactions to end"
    assert world.score.longest_wait(key("light"), since=5.0) < 0.05
    assert world.score.used(key("hog"), 5.0, 28.0) / 23.0 > 16.0


def test_skewed_transactions_share_by_time_not_by_count() -> None:
    world = World(SERVERS)
    for _ in range(50):
        world.arrive(key("slow"), 0.0, world.skewed(0.2), world.exactly(0.0), 20.0)
        world.arrive(key("quick"), 0.0, world.skewed(0.002), world.exactly(0.0), 20.0)
    world.run(20.0)
    assert jain(world.score.used(key(name), 2.0, 20.0) for name in ("slow", "quick")) > 0.98


def test_idle_servers_of_quiet_pools_make_room_for_a_storm() -> None:
    world = World(SERVERS)
    for pool in range(4):
        for _ in range(5):
            world.arrive(key(pool), 0.0, world.around(0.01))
    world.run(5.0)
    assert world.governor.stats["idle"] == SERVERS
    for _ in range(100):
        world.arrive(key("storm"), 5.0, world.around(0.01))
    world.run(5.001)
    assert world.reasons[CloseReason.SERVER_MADE_ROOM] <= 8, "no faster than servers may be opened"
    world.run(10.0)
    assert world.score.longest_wait(key("storm")) < 0.2
    assert world.reasons[CloseReason.SERVER_MADE_ROOM] <= SERVERS
    assert world.governor.stats["made_room"] == len(world.database.attempts) - SERVERS


def test_a_single_client_takes_one_idle_server_the_oldest() -> None:
    world = World(SERVERS)
    for pool in range(4):
        for _ in range(5):
            world.arrive(key(pool), float(pool), world.around(0.01))
    world.arrive(key("late"), 6.0, world.around(0.01))
    world.run(7.0)
    assert world.reasons == {CloseReason.SERVER_MADE_ROOM: 1}
    assert world.governor.pool(key(0), 7.0).held == 4
    assert world.score.longest_wait(key("late")) < 0.02


def test_cap_of_a_database_is_shared_by_its_users() -> None:
    def limits(pool: PoolKey) -> PoolLimits:
        return PoolLimits(database_size=4 if pool[0] == "small" else 0)

    world = World(SERVERS, pool_limits=limits)
    for user in range(6):
        saturate(world, key(user, "small"), 10, 0.005, 10.0)
    saturate(world, key("app", "big"), 100, 0.005, 10.0)
    world.run(10.0)
    small = [world.score.used(key(user, "small"), 2.0, 10.0) for user in range(6)]
    assert sum(small) / 8.0 <= 4.0
    assert sum(small) / 8.0 > 3.2
    assert jain(small) > 0.98
    assert world.score.used(key("app", "big"), 2.0, 10.0) / 8.0 > 15.9


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("work", [0.005, 0.5])
def test_a_pool_under_two_full_caps_is_not_starved_by_either(size: int, work: float) -> None:
    world = World(SERVERS, pool_limits=lambda pool: PoolLimits(database_size=size, user_size=size))
    neighbours = [key("x", "d"), key("y", "d"), key("u", "e"), key("u", "f")]
    both = key("u", "d")
    span = 8.0 if work < 0.1 else 60.0
    for pool in [*neighbours, both]:
        saturate(world, pool, 10, work, span)
    world.run(span)
    uses = [world.score.used(pool, 1.0, span) for pool in neighbours]
    assert world.score.used(both, 1.0, span) > 0.4 * min(uses)
    assert world.score.longest_gap(both, 1.0, span) < 0.3 + 20 * work


def test_a_place_is_not_kept_for_ever_for_a_pool_that_cannot_have_both() -> None:
    world = World(SERVERS, pool_limits=lambda pool: PoolLimits(database_size=1, user_size=1))
    world.arrive(key("pinned", "d"), 0.0, world.exactly(1000.0))
    world.arrive(key("u", "d"), 0.5, world.around(0.005))
    saturate(world, key("u", "e"), 10, 0.005, 60.0, start=1.0)
    world.run(60.0)
    assert world.score.served(key("u", "d")) == 0
    assert world.score.used(key("u", "e"), 2.0, 60.0) / 58.0 > 0.4
    assert world.score.longest_gap(key("u", "e"), 2.0, 60.0) < 2.5


def test_cap_of_a_user_moves_idle_servers_between_databases() -> None:
    world = World(SERVERS, pool_limits=lambda pool: PoolLimits(user_size=3))
    for _ in range(3):
        world.arrive(key("app", "first"), 0.0, world.around(0.01))
    for _ in range(3):
        world.arrive(key("app", "second"), 5.0, world.around(0.01))
    world.run(6.0)
    assert world.score.served(key("app", "second")) == 3
    assert world.score.longest_wait(key("app", "second")) < 0.05


def test_size_of_a_pool_holds() -> None:
    world = World(SERVERS, pool_limits=lambda pool: PoolLimits(max_size=2))
    saturate(world, key("app"), 30, 0.005, 5.0)
    world.run(5.0)
    assert len(world.database.attempts) == 2
    assert world.score.used(key("app"), 1.0, 5.0) / 4.0 == pytest.approx(2.0, rel=0.01)
