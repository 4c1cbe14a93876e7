"""Idle time, lifetime, surplus and minimum sizes."""

from tests.unit.pool.desk import APP, Desk, limited
from tidegate.errors import PgError, Sqlstate
from tidegate.pool.limits import ServerLimits
from tidegate.pool.slot import SlotState
from tidegate.pool.tuning import TOP_UP_PAUSE


def idle_servers(desk: Desk, count: int, apart: float = 0.0) -> None:
    for who in range(count):
        desk.ask(who)
    for who in range(count):
        desk.now += apart
        desk.done(who)


def test_idle_servers_close_after_their_time_to_the_second() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=10.0))
    idle_servers(desk, 2, apart=3.0)
    wakeup = desk.governor.next_wakeup(desk.now)
    assert wakeup is not None
    assert desk.now < wakeup <= desk.now + 10.0
    desk.sweep(6.9)
    assert desk.budget.held() == 2
    desk.sweep(1.1)
    assert desk.budget.held() == 1
    desk.sweep(3.0)
    assert desk.budget.held() == 0
    assert desk.log.count("close server_idle") == 2
    desk.sweep(1.1)
    assert desk.governor.next_wakeup(desk.now) is None


def test_lifetime_ends_idle_servers_at_a_sweep_and_lent_ones_at_their_return() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=0.0, server_lifetime=100.0, lifetime_spread=0.2))
    for who in range(2):
        desk.ask(who)
    desk.done(0)
    desk.sweep(79.0)
    assert desk.budget.held() == 2
    desk.sweep(21.5)
    assert desk.budget.held() == 1
    assert desk.done(1).state == SlotState.GONE
    assert desk.log.count("close server_lifetime") == 2


def wait_by_wakeups(desk: Desk, seconds: float) -> None:
    """Time passes, and the caller comes when it was told to, no sooner."""
    end = desk.now + seconds
    while (wakeup := desk.governor.next_wakeup(desk.now)) is not None and wakeup < end:
        desk.sweep(max(0.0, wakeup - desk.now))
    desk.now = end


def test_servers_that_were_all_lent_at_a_sweep_close_when_they_have_idled() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=10.0))
    for who in range(3):
        desk.ask(who)
    wait_by_wakeups(desk, 25.0)
    assert desk.budget.held() == 3
    for who in range(3):
        desk.done(who)
    wait_by_wakeups(desk, 9.9)
    assert desk.budget.held() == 3
    wait_by_wakeups(desk, 1.2)
    assert desk.budget.held() == 0
    assert desk.log.count("close server_idle") == 3


def test_too_many_that_were_all_lent_at_a_sweep_close_when_they_have_idled() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=0.0, server_lifetime=0.0, max_idle=1, idle_after=10.0))
    for who in range(3):
        desk.ask(who)
    wait_by_wakeups(desk, 25.0)
    for who in range(3):
        desk.done(who)
    wait_by_wakeups(desk, 11.1)
    assert desk.budget.held() == 1


def test_lifetimes_end_of_servers_that_were_lent_when_another_ones_ended() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=0.0, server_lifetime=100.0, lifetime_spread=0.5))
    for who in range(4):
        desk.ask(who)
    wait_by_wakeups(desk, 75.0)
    for who in range(4):
        desk.done(who)
    assert 0 < desk.budget.held() < 4, "some have lived their time"
    wait_by_wakeups(desk, 26.1)
    assert desk.budget.held() == 0


def test_a_lent_server_past_its_lifetime_wakes_nobody() -> None:
    """It is closed when it comes back."""
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=0.0, server_lifetime=10.0))
    desk.ask(0)
    desk.sweep(11.0)
    assert desk.governor.next_wakeup(desk.now) is None


def test_surplus_counts_only_servers_idle_for_long() -> None:
    limits = ServerLimits(server_idle_timeout=0.0, max_idle=1, idle_after=60.0)
    desk = Desk(server_limits=limits)
    idle_servers(desk, 4, apart=10.0)
    desk.sweep(29.0)
    assert desk.budget.held() == 4
    desk.sweep(13.0)
    assert desk.budget.held() == 3, "two idle for long, one may"
    desk.sweep(60.0)
    assert desk.budget.held() == 1
    assert desk.log.count("close server_excess") == 3


def test_no_idle_servers_at_all_can_be_asked_for() -> None:
    desk = Desk(server_limits=ServerLimits(max_idle=0, idle_after=1.0))
    idle_servers(desk, 2)
    desk.sweep(1.5)
    assert desk.budget.held() == 0


def test_minimum_is_opened_before_anyone_asks_and_kept() -> None:
    desk = Desk(pool_limits=limited(min_size=2), server_limits=ServerLimits(server_idle_timeout=5.0))
    pool = desk.pool()
    desk.sweep()
    assert len(pool.idle) == 2
    desk.sweep(60.0)
    assert len(pool.idle) == 2
    desk.governor.closed(pool.idle[0], desk.now)
    desk.sweep()
    assert len(pool.idle) == 2


def test_minimum_keeps_to_burst_and_budget() -> None:
    desk = Desk(limit=3, pool_limits=limited(min_size=9), server_limits=ServerLimits(open_burst=2))
    desk.connects = False
    desk.pool()
    desk.sweep()
    assert len(desk.opening) == 2
    desk.connects = True
    desk.connected(desk.opening[0])
    desk.sweep(1.1)
    desk.sweep(1.1)
    assert desk.budget.held() == 3


def test_minimum_of_a_refused_pool_is_tried_rarely() -> None:
    desk = Desk(pool_limits=limited(min_size=1))
    desk.connects = False
    desk.pool()
    desk.sweep()
    slot = desk.opening.pop()
    desk.governor.open_failed(slot, desk.now, PgError("no", Sqlstate.INVALID_PASSWORD))
    desk.governor.closed(slot, desk.now)
    for _ in range(20):
        desk.sweep(1.1)
    assert desk.opening == []
    desk.sweep(TOP_UP_PAUSE)
    assert [slot.pool.key for slot in desk.opening] == [APP]
