"""Lending, queueing, opening and closing through the front door."""

import gc
import weakref

import pytest

from tests.unit.pool.desk import APP, Desk, limited
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.pool.limits import PoolLimits, ServerLimits
from tidegate.pool.slot import Slot, SlotState
from tidegate.pool.tuning import LOOK_PERIOD

OTHER = ("app", "other")


class LentBudget:
    """A budget whose other workers want what the test says."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.wanted = 0
        self.reports: list[tuple[int, int]] = []

    def acquire(self) -> int:
        if self.taken >= self.limit:
            return -1
        self.taken += 1
        return self.taken

    def free(self, slot: int) -> None:
        self.taken -= 1

    def sublimits(self) -> None:
        return None

    def held(self) -> int:
        return self.taken

    def report(self, waiting: int, idle: int) -> None:
        self.reports.append((waiting, idle))

    def excess(self, idle: int, closing: int) -> int:
        return max(self.taken - closing - self.limit, 0)

    def may_idle(self, most: int) -> int:
        return most

    def owed(self, idle: int) -> int:
        return self.wanted


def test_first_client_opens_one_server_and_keeps_it_warm() -> None:
    desk = Desk()
    desk.ask("a")
    assert desk.log == ["open", "lend a"]
    server = desk.done("a")
    assert (server.state, server.lends) == (SlotState.IDLE, 1)
    desk.ask("b")
    assert desk.lent["b"] is server
    assert desk.log == ["open", "lend a"]


def test_most_recently_used_server_is_lent_first() -> None:
    desk = Desk()
    for who in "abc":
        desk.ask(who)
    servers = [desk.done(who) for who in "abc"]
    for expected in reversed(servers):
        desk.ask(expected)
        assert desk.lent[expected] is expected


def test_server_with_the_same_settings_is_preferred() -> None:
    desk, paris = Desk(), object()
    for who in "ab":
        desk.ask(who)
    desk.lent["a"].fit = paris
    fitting = desk.done("a")
    desk.done("b")
    desk.ask("c", fit=paris)
    assert desk.lent["c"] is fitting


def test_returning_servers_go_to_the_queue_in_order_and_nobody_overtakes() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    tickets = [desk.ask(who) for who in "bcd"]
    assert desk.governor.borrow(desk.pool(), desk.now) is None
    desk.done("a")
    desk.done("b")
    assert "d" not in desk.lent
    desk.done("c")
    assert desk.log == ["open", "lend a", "lend b", "lend c", "lend d"]
    assert [ticket.alive for ticket in tickets if ticket] == [False] * 3


def test_give_back_asks_for_a_plan_only_when_there_is_something_to_decide() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    server = desk.lent.pop("a")
    assert desk.governor.give_back(server, desk.now) is False
    desk.ask("b")
    desk.ask("c")
    assert desk.governor.give_back(desk.lent.pop("b"), desk.now) is True


def test_a_server_passes_to_the_next_client_of_its_pool_without_a_plan() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    first, second = desk.ask("b"), desk.ask("c")
    server = desk.lent.pop("a")
    assert desk.governor.pass_on(server, desk.now) is first
    assert (server.state, server.lends) == (SlotState.LENT, 2)
    assert desk.governor.pass_on(server, desk.now) is second
    assert desk.governor.pass_on(server, desk.now) is None, "nobody waits any more"
    assert desk.governor.give_back(server, desk.now) is False
    assert desk.governor.stats["served_from_queue"] == 3


@pytest.mark.parametrize("claim", ["another pool waits", "it is too old", "it was retired", "it is time to look"])
def test_a_server_that_others_may_claim_is_not_passed_on(claim: str) -> None:
    desk = Desk(limit=1, server_limits=ServerLimits(server_lifetime=10.0, lifetime_spread=0.0))
    desk.ask("a")
    desk.ask("b")
    if claim == "another pool waits":
        desk.ask("x", OTHER)
    elif claim == "it is too old":
        desk.now += 10.0
        desk.plan()
    elif claim == "it was retired":
        desk.governor.retire(CloseReason.SERVER_RELOADED, desk.now)
    else:
        desk.now += LOOK_PERIOD
    assert desk.governor.pass_on(desk.lent["a"], desk.now) is None
    assert desk.lent["a"].state == SlotState.LENT


def test_a_client_behind_another_needs_a_plan_only_if_something_may_have_changed() -> None:
    desk = Desk(limit=1)
    pool = desk.pool()
    desk.ask("a")
    desk.governor.wait(pool, "b", desk.now)
    assert desk.governor.must_plan(pool, desk.now), "the first to wait"
    desk.plan()
    desk.governor.wait(pool, "c", desk.now)
    assert not desk.governor.must_plan(pool, desk.now)
    assert desk.governor.must_plan(pool, desk.now + LOOK_PERIOD)


def test_a_server_is_given_back_once_and_only_when_lent() -> None:
    desk = Desk()
    desk.ask("a")
    server = desk.done("a")
    with pytest.raises(ValueError, match="was not lent"):
        desk.governor.give_back(server, desk.now)
    assert desk.pool().idle == [server]


def test_events_of_opening_are_refused_in_other_states() -> None:
    desk = Desk()
    desk.ask("a")
    with pytest.raises(ValueError):
        desk.governor.opened(desk.lent["a"], desk.now)
    with pytest.raises(ValueError):
        desk.governor.open_failed(desk.lent["a"], desk.now)


def test_clients_that_leave_while_a_server_opens_leave_it_idle() -> None:
    desk = Desk()
    desk.connects = False
    ticket = desk.ask("a")
    assert ticket is not None
    desk.governor.abandon(ticket)
    desk.governor.abandon(ticket)
    assert desk.governor.stats["abandoned"] == 1
    desk.connected(desk.opening[0])
    assert desk.log == ["open"]
    assert len(desk.pool().idle) == 1


def test_waiting_beside_an_idle_server_is_served_by_the_next_plan() -> None:
    desk = Desk()
    for who in "abc":
        desk.ask(who)
    for who in "abc":
        desk.done(who)
    for who in "xyz":
        desk.governor.wait(desk.pool(), who, desk.now)
    desk.plan()
    assert set(desk.lent) == {"x", "y", "z"}


def test_an_idle_server_that_breaks_does_not_strand_who_waits_beside_it() -> None:
    desk = Desk()
    for who in "ab":
        desk.ask(who)
    for who in "ab":
        top = desk.done(who)
    desk.governor.wait(desk.pool(), "x", desk.now)
    desk.governor.closed(top, desk.now)
    desk.plan()
    assert "x" in desk.lent
    assert desk.log.count("open") == 2


def test_opening_is_no_more_than_clients_need_and_the_burst_allows() -> None:
    desk = Desk(limit=20, server_limits=ServerLimits(open_burst=3))
    desk.connects = False
    for who in range(2):
        desk.ask(who)
    assert len(desk.opening) == 2
    for who in range(2, 10):
        desk.ask(who)
    assert len(desk.opening) == 3
    desk.connected(desk.opening[0])
    assert len(desk.opening) == 3


def test_overdue_clients_leave_the_queue_oldest_first() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    assert desk.governor.oldest_wait_since() is None
    for who in "bcd":
        desk.ask(who)
        desk.now += 1.0
    assert desk.governor.oldest_wait_since() == 100.0
    assert desk.governor.overdue(101.9, 2.0) == []
    assert [ticket.owner for ticket in desk.governor.overdue(103.0, 2.0)] == ["b", "c"]
    desk.done("a")
    assert "d" in desk.lent


def test_overdue_by_each_owners_own_timeout() -> None:
    desk = Desk(limit=1)
    desk.ask("holder")
    timeouts: dict[object, float] = {"slow": 5.0, "quick": 1.0, "slower": 9.0, "late": 1.0}
    for who in timeouts:
        desk.now += 1.0
        desk.ask(who)

    def overdue(now: float) -> list[object]:
        return [ticket.owner for ticket in desk.governor.overdue(now, 1.0, timeouts.__getitem__)]

    assert overdue(102.5) == []
    assert overdue(103.0) == ["quick"]
    assert overdue(105.0) == ["late"]
    assert overdue(106.0) == ["slow"]
    desk.done("holder")
    assert "slower" in desk.lent


def test_a_client_that_is_moved_to_another_queue_keeps_its_time() -> None:
    desk = Desk(limit=1)
    desk.ask("holder")
    ticket = desk.ask("a")
    desk.now += 5.0
    assert ticket is not None
    moved = desk.governor.requeue(ticket, desk.pool(OTHER))
    assert not ticket.alive
    assert (moved.alive, moved.since, moved.owner) == (True, 100.0, "a")
    desk.done("holder")
    desk.plan()
    assert desk.lent["a"].pool.key == OTHER
    assert [late.owner for late in desk.governor.overdue(desk.now, 1.0)] == []


def test_hard_refusal_fails_this_pools_clients_and_frees_the_slot_when_gone() -> None:
    desk = Desk(limit=2)
    desk.connects = False
    tickets = [desk.ask("a"), desk.ask("b"), desk.ask("c")]
    other = desk.ask("o", OTHER)
    refused, second = desk.opening
    failed = desk.governor.open_failed(refused, desk.now, PgError("no", Sqlstate.INVALID_PASSWORD))
    assert failed == tickets
    assert other is not None
    assert other.alive
    assert desk.budget.held() == 2
    desk.governor.closed(refused, desk.now)
    assert desk.budget.held() == 1
    desk.opening.remove(refused)
    desk.plan()
    assert [slot.pool.key for slot in desk.opening] == [APP, OTHER]
    assert second in desk.opening


def test_unreachable_target_pauses_every_pool_and_keeps_its_clients() -> None:
    desk = Desk(limit=3)
    desk.connects = False
    ticket = desk.ask("a")
    slot = desk.opening.pop()
    assert desk.governor.open_failed(slot, desk.now) == []
    desk.governor.closed(slot, desk.now)
    desk.plan()
    desk.ask("o", OTHER)
    assert ticket is not None
    assert ticket.alive
    assert desk.opening == []
    wakeup = desk.governor.next_wakeup(desk.now)
    assert wakeup is not None
    assert 0.1 <= wakeup - desk.now <= 0.125
    desk.now = wakeup
    desk.plan()
    assert len(desk.opening) == 1, "one attempt until it succeeds"
    desk.connected(desk.opening[0])
    assert len(desk.opening) == 1


def test_full_database_pauses_its_pool_only() -> None:
    desk = Desk(limit=3)
    desk.connects = False
    desk.ask("a")
    slot = desk.opening.pop()
    full = PgError("too many connections for role", Sqlstate.TOO_MANY_CONNECTIONS)
    assert desk.governor.open_failed(slot, desk.now, full, retry_in=2.0) == []
    desk.governor.closed(slot, desk.now)
    desk.plan()
    assert desk.opening == []
    desk.ask("o", OTHER)
    assert [slot.pool.key for slot in desk.opening] == [OTHER]
    desk.now += 2.0
    desk.plan()
    assert [slot.pool.key for slot in desk.opening] == [OTHER, APP]


def test_the_slot_is_free_only_when_the_server_is_gone() -> None:
    desk = Desk(limit=1)
    desk.disconnects = False
    desk.ask("a")
    desk.done("a")
    desk.ask("o", OTHER)
    assert desk.log == ["open", "lend a", "close server_made_room"]
    assert desk.budget.held() == 1
    desk.gone(desk.closing[0])
    assert desk.log[3:] == ["open", "lend o"]


def test_closing_servers_count_towards_what_is_needed() -> None:
    desk = Desk(limit=4)
    desk.disconnects = False
    for who in range(4):
        desk.ask(who)
    for who in range(4):
        desk.done(who)
    desk.ask("o", OTHER)
    for _ in range(5):
        desk.plan()
    assert len(desk.closing) == 1
    desk.ask("p", OTHER)
    assert len(desk.closing) == 2


def test_least_recently_used_idle_server_makes_room() -> None:
    desk = Desk(limit=3)
    for who in "abc":
        desk.ask(who)
    servers = []
    for who in "bca":
        desk.now += 1.0
        servers.append(desk.done(who))
    desk.ask("o", OTHER)
    assert [slot.state for slot in servers] == [SlotState.GONE, SlotState.IDLE, SlotState.IDLE]


def test_a_server_that_the_caller_closes_is_not_lent_and_counts_until_gone() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    desk.ask("b")
    broken = desk.lent.pop("a")
    desk.governor.closing(broken, desk.now)
    desk.plan()
    assert desk.log == ["open", "lend a"]
    desk.governor.closed(broken, desk.now)
    desk.plan()
    assert desk.log[2:] == ["open", "lend b"]


def test_lower_limit_closes_idle_servers_first_then_returning_ones() -> None:
    desk = Desk(limit=4)
    for who in "abcd":
        desk.ask(who)
    desk.done("a")
    desk.budget.limit = 2
    desk.plan()
    assert desk.log[-1] == "close server_excess"
    desk.now += 2 * LOOK_PERIOD
    assert desk.done("b").state == SlotState.GONE
    desk.now += 2 * LOOK_PERIOD
    assert desk.done("c").state == SlotState.IDLE
    assert desk.budget.held() == 2


def test_other_workers_are_given_idle_servers_first_then_returning_ones() -> None:
    budget = LentBudget(3)
    desk = Desk(budget=budget)
    for who in "abc":
        desk.ask(who)
    desk.done("a")
    desk.disconnects = False
    budget.wanted = 2
    desk.plan()
    assert desk.log[-1] == "close server_made_room"
    assert len(desk.closing) == 1
    desk.now += 2 * LOOK_PERIOD
    desk.done("b")
    assert len(desk.closing) == 2
    desk.now += 2 * LOOK_PERIOD
    assert desk.done("c").state == SlotState.IDLE


def test_reports_what_waits_for_slots_and_what_idles() -> None:
    budget = LentBudget(1)
    desk = Desk(budget=budget)
    desk.ask("a")
    assert budget.reports == []
    desk.ask("b")
    desk.now += 2 * LOOK_PERIOD
    desk.ask("c")
    assert budget.reports == [(1, 0), (2, 0)]
    desk.done("a")
    desk.now += 2 * LOOK_PERIOD
    desk.done("b")
    assert budget.reports[-1] == (0, 0)


def test_retired_servers_close_when_idle_and_new_ones_take_over() -> None:
    desk = Desk(limit=2)
    for who in "ab":
        desk.ask(who)
    idle = desk.done("a")
    desk.governor.retire(CloseReason.SERVER_RELOADED, desk.now)
    desk.plan()
    assert idle.state == SlotState.GONE
    desk.ask("c")
    assert desk.done("b").state == SlotState.GONE
    assert desk.done("c").state == SlotState.IDLE
    assert desk.log.count("close server_reloaded") == 2


def test_sizes_that_are_lowered_by_a_reload_are_reached() -> None:
    size = 3
    desk = Desk(limit=5, pool_limits=lambda key: PoolLimits(max_size=size, database_size=4))
    for who in "abc":
        desk.ask(who)
    size = 1
    desk.governor.relimit(ServerLimits(), desk.now)
    desk.done("a")
    desk.sweep()
    assert desk.pool().held == 2
    desk.ask("d")
    assert desk.done("b").state == SlotState.GONE
    desk.done("c")
    assert desk.pool().held == 1
    assert "d" in desk.lent


def test_size_per_user_caps_the_sum_over_databases() -> None:
    desk = Desk(limit=9, pool_limits=limited(user_size=2))
    desk.ask("a", ("one", "app"))
    desk.ask("b", ("two", "app"))
    desk.ask("c", ("three", "app"))
    assert set(desk.lent) == {"a", "b"}
    desk.ask("d", ("three", "other"))
    assert "d" in desk.lent
    desk.now += 1.0
    desk.done("a")
    assert "c" in desk.lent
    assert desk.budget.held() == 3


def test_a_pool_lives_while_used_or_kept_and_no_longer() -> None:
    desk = Desk()
    governor = desk.governor
    gone = weakref.ref(governor.pool(("app", "nobody"), desk.now))
    gc.collect()
    assert gone() is None
    kept = governor.pool(APP, desk.now)
    assert governor.pool(APP, desk.now) is kept
    desk.ask("a")
    seen = weakref.ref(kept)
    desk._kept.clear()
    del kept
    gc.collect()
    assert seen() is governor.pool(APP, desk.now)
    server: Slot | None = desk.done("a")
    assert server is not None
    governor.closed(server, desk.now)
    server = None
    gc.collect()
    assert seen() is None
    assert governor.stats["pools"] == 0


def test_nothing_to_do_needs_no_wakeup() -> None:
    desk = Desk(server_limits=ServerLimits(server_idle_timeout=0.0, server_lifetime=0.0))
    assert desk.governor.next_wakeup(desk.now) is None
    desk.ask("a")
    desk.done("a")
    assert desk.governor.next_wakeup(desk.now) is None
