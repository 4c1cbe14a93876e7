"""Outages, refusals, limits that change, clients that leave: on a virtual clock, every event audited by `World`."""

from __future__ import annotations

import itertools

from tests.simulation.test_sharing import SERVERS, key, saturate
from tests.simulation.world import World
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.pool.limits import PoolKey, PoolLimits, ServerLimits


def test_database_down_for_half_a_minute_and_back() -> None:
    world = World(SERVERS)
    world.database.up = False
    for _ in range(100):
        world.arrive(key("app"), 1.0, world.around(0.01))
    world.at(31.0, lambda: setattr(world.database, "up", True))
    world.run(31.0)
    assert not world.failed
    outage = [when for when in world.database.attempts if when <= 31.0]
    assert len(outage) < 8 + 20, "a burst, then ever rarer single attempts"
    world.run(60.0)
    assert world.score.served(key("app")) == 100
    recovered = min(world.score.opened)
    assert recovered < 31.0 + 5.0 * 1.25 + 0.1, "found within the longest pause"
    assert world.score.longest_wait() < recovered + 0.3
    assert len(world.score.opened) <= SERVERS


def test_pauses_grow_and_spread_and_start_again_after_a_success() -> None:
    world = World(1, connect=0.0001)
    world.database.up = False
    world.arrive(key("app"), 0.0, world.around(0.01))
    world.run(20.0)
    attempts = world.database.attempts
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    for at, pause in enumerate(pauses):
        assert min(0.1 * 2**at, 5.0) <= pause <= 1.25 * min(0.1 * 2**at, 5.0) + 0.001
    assert len(pauses) >= 6
    world.database.up = True
    world.run(30.0)
    assert world.score.served(key("app")) == 1
    assert world.governor.backoff.failures == 0


def test_borrow_timeout_is_met_while_the_database_is_down() -> None:
    world = World(SERVERS, borrow_timeout=10.0)
    world.database.up = False
    for at in range(50):
        world.arrive(key("app"), at * 0.1, world.around(0.01))
    world.run(9.9)
    assert not world.failed
    world.run(15.2)
    assert [why for _, why in world.failed] == ["timeout"] * 50
    assert world.governor.stats["waiting"] == 0
    world.run(25.0)
    assert world.governor.next_wakeup(25.0) is None, "nothing is left to do"


def test_wrong_password_fails_its_own_clients_only() -> None:
    refused = PgError("password authentication failed", Sqlstate.INVALID_PASSWORD)
    world = World(SERVERS)
    world.database.refusal = lambda pool: refused if pool == key("wrong") else None
    saturate(world, key("right"), 100, 0.01, 5.0)
    for at in range(20):
        world.arrive(key("wrong"), 1.0 + at * 0.1, world.around(0.01))
    world.run(5.0)
    assert [why for _, why in world.failed] == ["refused"] * 20
    assert {client.key for client, _ in world.failed} == {key("wrong")}
    assert world.score.used(key("right"), 0.5, 5.0) / 4.5 > 19.0


def test_a_full_database_makes_only_its_pool_wait() -> None:
    full = PgError("too many connections for role", Sqlstate.TOO_MANY_CONNECTIONS, "FATAL")
    world = World(SERVERS)

    def refusal(pool: PoolKey) -> PgError | None:
        return full if pool == key("narrow") and world.now < 10.0 else None

    world.database.refusal = refusal
    saturate(world, key("other"), 5, 0.01, 20.0)
    for at in range(20):
        world.arrive(key("narrow"), 1.0 + 0.01 * at, world.around(0.01))
        world.arrive(key("third"), 2.0 + 0.1 * at, world.around(0.01))
    world.run(20.0)
    assert not world.failed
    assert world.score.longest_wait(key("third")) < 0.02, "is not paused by another pool's failures"
    assert world.score.served(key("narrow")) == 20
    assert world.score.longest_wait(key("narrow")) < 9.0 + 5.0 * 1.25 + 0.1


def test_lower_limit_is_reached_as_servers_come_back_and_higher_at_once() -> None:
    world = World(SERVERS)
    saturate(world, key("app"), 100, 0.01, 10.0)
    world.at(2.0, lambda: setattr(world.budget, "limit", 5))
    world.run(2.0)
    assert world.budget.held() == SERVERS
    world.run(2.1)
    assert world.budget.held() == 5
    assert world.reasons[CloseReason.SERVER_EXCESS] == 15
    world.run(4.0)
    assert len(world.database.attempts) == SERVERS, "nothing was opened above the limit"
    world.budget.limit = 30
    world.run(4.2)
    assert world.budget.held() == 30
    world.run(10.0)
    assert world.score.used(key("app"), 5.0, 10.0) / 5.0 > 29.0


def test_idle_servers_are_closed_when_the_limit_falls() -> None:
    world = World(SERVERS)
    for _ in range(20):
        world.arrive(key("app"), 0.0, world.exactly(0.05))
    world.run(1.0)
    world.budget.limit = 4
    world.arrive(key("app"), 2.0, world.around(0.01))
    world.run(3.0)
    assert world.budget.held() == 4


def test_clients_that_leave_the_queue_do_not_hold_it_up() -> None:
    world = World(2)
    for _ in range(2):
        world.arrive(key("app"), 0.0, world.exactly(1.0))
    leaving = [world.arrive(key("app"), 0.1, world.exactly(1.0)) for _ in range(500)]
    world.arrive(key("app"), 0.2, world.exactly(1.0))

    def leave() -> None:
        for client in leaving:
            world.give_up(client)

    world.at(0.5, leave)
    world.run(3.0)
    assert world.score.served(key("app")) == 3
    assert world.score.longest_wait() < 1.0
    assert world.governor.stats["abandoned"] == 500


def test_servers_reach_the_end_of_their_lives_apart() -> None:
    world = World(SERVERS, server_limits=ServerLimits(server_lifetime=100.0, lifetime_spread=0.5))
    for _ in range(20):
        world.arrive(key("app"), 0.0, world.around(0.5), world.around(0.5), 300.0)
    world.run(300.0)
    ended = world.reasons[CloseReason.SERVER_LIFETIME]
    assert 40 <= ended <= 120
    assert all(world.score.churn(at, at + 1.0) <= 5.0 for at in range(10, 299))


def test_quiet_pools_are_emptied_forgotten_and_topped_up() -> None:
    def limits(pool: PoolKey) -> PoolLimits:
        return PoolLimits(min_size=2 if pool == key("steady") else 0)

    world = World(SERVERS, pool_limits=limits, server_limits=ServerLimits(server_idle_timeout=30.0))
    kept = world.governor.pool(key("steady"), 0.0)
    world.run(2.0)
    assert kept.held == 2, "opened before anyone asked"
    for user in range(15):
        world.arrive(key(user), 3.0, world.around(0.01))
    for _ in range(5):
        world.arrive(key("steady"), 3.0, world.around(0.05))
    world.run(20.0)
    assert world.governor.stats["pools"] == 16
    world.run(60.0)
    assert world.governor.stats["pools"] == 1
    assert (kept.held, len(kept.idle)) == (2, 2)
    assert set(world.reasons) == {CloseReason.SERVER_IDLE}


def test_minimum_yields_to_need_and_returns_after_it() -> None:
    world = World(4, pool_limits=lambda pool: PoolLimits(min_size=3 if pool == key("steady") else 0),
                  server_limits=ServerLimits(server_idle_timeout=5.0))  # fmt: skip
    kept = world.governor.pool(key("steady"), 0.0)
    world.run(2.0)
    assert kept.held == 3
    for _ in range(40):
        world.arrive(key("storm"), 2.0, world.around(0.2))
    world.run(2.5)
    assert kept.held == 0
    world.run(30.0)
    assert world.score.served(key("storm")) == 40
    assert kept.held == 3


def test_a_million_names_leave_nothing_behind() -> None:
    world = World(SERVERS)
    for user in range(2000):
        world.arrive(key(user), user * 0.002, world.around(0.001))
    world.run(30.0)
    assert sum(world.score.served(key(user)) for user in range(2000)) == 2000
    assert world.governor.stats["pools"] <= SERVERS
    assert len(world.governor.ledger.holders) <= SERVERS
