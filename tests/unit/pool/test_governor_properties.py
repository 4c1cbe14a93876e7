"""Any order of events keeps the governor's invariants."""

from __future__ import annotations

from collections import defaultdict, deque
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.errors import CloseReason, PgError
from tidegate.pool.actions import Action, Close, Lend, Open
from tidegate.pool.budget import LocalBudget
from tidegate.pool.governor import Governor
from tidegate.pool.limits import PoolKey, PoolLimits, ServerLimits
from tidegate.pool.slot import Slot, SlotState, Ticket

KEYS: list[PoolKey] = [(database, user) for database in ("one", "two") for user in ("a", "b", "c")]
ANSWERS = [None, PgError("full", "53300"), PgError("starting up", "57P03"), PgError("wrong password", "28P01")]
WHO = st.integers(0, 10**6)


class GovernorMachine(RuleBasedStateMachine):
    """Plays clients, servers and time against the governor, and keeps its own books."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lent: list[Slot] = []
        self.opening: list[Slot] = []
        self.closing: list[Slot] = []
        self.queues: dict[PoolKey, deque[Ticket]] = defaultdict(deque)

    @initialize(limit=st.integers(1, 6), user_size=st.integers(0, 3), database_size=st.integers(0, 4),
                max_size=st.integers(0, 3), min_size=st.integers(0, 2), max_idle=st.integers(-1, 2))  # fmt: skip
    def start(
        self, limit: int, user_size: int, database_size: int, max_size: int, min_size: int, max_idle: int
    ) -> None:
        self.limits = PoolLimits(max_size, min_size, database_size, user_size)
        self.budget = LocalBudget(limit)
        servers = ServerLimits(3, server_idle_timeout=5.0, server_lifetime=20.0, max_idle=max_idle, idle_after=2.0)
        self.governor = Governor(self.budget, lambda key: self.limits, servers, Random(1))
        self.pools = {key: self.governor.pool(key, self.now) for key in KEYS}
        self.held_before = 0

    def plan(self) -> None:
        self.act(self.governor.plan(self.now))
        for pool in self.pools.values():
            for slot in pool.idle:
                assert all(ticket.avoids == slot.number for ticket in self.queues[pool.key]), (
                    "an idle server beside a waiting client that would take it"
                )

    def act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Lend(ticket, slot):
                    willing = [each for each in self.queues[slot.pool.key] if each.avoids != slot.number]
                    assert willing[0] is ticket, "first come, first served, among those who may have it"
                    self.queues[slot.pool.key].remove(ticket)
                    assert slot.pool is ticket.pool
                    self.lend(slot)
                case Open(slot):
                    assert slot.state == SlotState.OPENING
                    self.opening.append(slot)
                    assert len(self.opening) <= 3
                    assert self.budget.held() <= self.budget.limit
                case Close(slot, reason):
                    assert slot.state == SlotState.CLOSING
                    assert isinstance(reason, CloseReason)
                    assert slot not in self.closing + self.lent
                    self.closing.append(slot)

    def lend(self, slot: Slot) -> None:
        assert slot.state == SlotState.LENT
        assert slot not in self.lent
        self.lent.append(slot)

    @rule(key=st.sampled_from(KEYS))
    def ask(self, key: PoolKey) -> None:
        self.ask_for_another(key, 0)

    @rule(key=st.sampled_from(KEYS), who=WHO)
    def ask_again(self, key: PoolKey, who: int) -> None:
        """A client that is not to get the server that it had last."""
        had = [slot for slot in [*self.lent, *self.pools[key].idle] if slot.pool.key == key]
        self.ask_for_another(key, had[who % len(had)].number if had else 10**6)

    def ask_for_another(self, key: PoolKey, avoids: int) -> None:
        slot = self.governor.borrow(self.pools[key], self.now, None, avoids)
        if slot is not None:
            assert not self.queues[key]
            assert slot.number != avoids
            self.lend(slot)
            return
        self.queues[key].append(self.governor.wait(self.pools[key], object(), self.now, avoids))
        if self.governor.must_plan(self.pools[key], self.now):
            self.plan()
        else:
            assert self.pools[key].waiting > 1
            assert not self.governor.ledger.idle

    @precondition(lambda self: self.lent)
    @rule(who=WHO)
    def give_back(self, who: int) -> None:
        slot = self.lent.pop(who % len(self.lent))
        ticket = self.governor.pass_on(slot, self.now)
        if ticket is not None:
            assert [key for key, queue in self.queues.items() if queue] == [slot.pool.key], "another pool had a claim"
            assert self.queues[slot.pool.key][0] is ticket
            self.act([Lend(ticket, slot)])
        elif self.governor.give_back(slot, self.now):
            self.plan()

    @precondition(lambda self: any(self.queues.values()))
    @rule(who=WHO)
    def abandon(self, who: int) -> None:
        waiting = [ticket for queue in self.queues.values() for ticket in queue]
        ticket = waiting[who % len(waiting)]
        self.queues[ticket.pool.key].remove(ticket)
        self.governor.abandon(ticket)

    @precondition(lambda self: self.opening)
    @rule(who=WHO)
    def opened(self, who: int) -> None:
        self.governor.opened(self.opening.pop(who % len(self.opening)), self.now)
        self.plan()

    @precondition(lambda self: self.opening)
    @rule(who=WHO, answer=st.sampled_from(ANSWERS))
    def open_failed(self, who: int, answer: PgError | None) -> None:
        slot = self.opening.pop(who % len(self.opening))
        failed = self.governor.open_failed(slot, self.now, answer)
        if answer is not None and answer.sqlstate == "28P01":
            assert failed == list(self.queues.pop(slot.pool.key, []))
        else:
            assert failed == []
        self.governor.closed(slot, self.now)
        self.plan()

    @precondition(lambda self: self.closing)
    @rule(who=WHO)
    def closed(self, who: int) -> None:
        self.governor.closed(self.closing.pop(who % len(self.closing)), self.now)
        self.plan()

    @precondition(lambda self: self.lent)
    @rule(who=WHO, at_once=st.booleans())
    def lent_server_breaks(self, who: int, at_once: bool) -> None:
        slot = self.lent.pop(who % len(self.lent))
        if at_once:
            self.governor.closed(slot, self.now)
        else:
            self.governor.closing(slot, self.now)
            self.closing.append(slot)
        self.plan()

    @rule(who=WHO)
    def idle_server_breaks(self, who: int) -> None:
        idle = [slot for pool in self.pools.values() for slot in pool.idle]
        if idle:
            self.governor.closed(idle[who % len(idle)], self.now)
            self.plan()

    @rule(seconds=st.sampled_from([0.001, 0.03, 0.3, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for ticket in self.governor.overdue(self.now, 10.0):
            self.queues[ticket.pool.key].remove(ticket)
            assert self.now - ticket.since >= 10.0
        self.act(self.governor.sweep(self.now))
        self.plan()

    @rule(limit=st.integers(1, 6))
    def limit_changes(self, limit: int) -> None:
        self.budget.limit = limit
        self.plan()

    @rule(max_size=st.integers(0, 3), database_size=st.integers(0, 4))
    def reload(self, max_size: int, database_size: int) -> None:
        self.limits = PoolLimits(max_size, self.limits.min_size, database_size, self.limits.user_size)
        self.governor.relimit(ServerLimits(3, server_idle_timeout=5.0, server_lifetime=20.0), self.now)
        self.plan()

    @rule()
    def retire(self) -> None:
        self.governor.retire(CloseReason.SERVER_RELOADED, self.now)
        self.plan()

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "governor"):
            return
        stats, held = self.governor.stats, self.budget.held()
        assert stats["waiting"] == sum(map(len, self.queues.values()))
        mine = (len(self.opening), len(self.lent), len(self.closing))
        assert (stats["opening"], stats["lent"], stats["closing"]) == mine
        assert stats["idle"] == sum(len(pool.idle) for pool in self.pools.values())
        assert held == stats["held"] == stats["idle"] + sum(mine)
        assert held <= max(self.budget.limit, self.held_before)
        self.held_before = held
        for pool in self.pools.values():
            assert pool.held == pool.opening + pool.lent + pool.closing + len(pool.idle)
            assert pool.waiting == len(self.queues[pool.key])
            assert (pool in self.governor.ledger.queue) == (pool.waiting > 0)
            assert (pool in self.governor.ledger.holders) == (pool.held > 0)
            for cap in pool.caps:
                assert cap.held == sum(other.held for other in self.pools.values() if cap in other.caps)
                assert cap.closing == sum(other.closing for other in self.pools.values() if cap in other.caps)

    def teardown(self) -> None:
        """Whatever happened: with a working database and time, everybody is served, and then idle servers go."""
        if not hasattr(self, "governor"):
            return
        self.everybody_is_served()
        self.idle_servers_go()

    def everybody_is_served(self) -> None:
        for _ in range(400):
            self.everything_is_done()
            self.now += 0.1
            self.plan()
            if not any(self.queues.values()):
                return
        raise AssertionError(f"{self.governor.stats} after 40 seconds: somebody starves")

    def idle_servers_go(self) -> None:
        """Down to the minimum, with no other calls than those that were asked for, though all were lent at a sweep."""
        for pool in self.pools.values():
            while (slot := self.governor.borrow(pool, self.now)) is not None:
                self.lend(slot)
        self.now += 6.0
        self.act(self.governor.sweep(self.now))
        for _ in range(100):
            self.everything_is_done()
            self.plan()
            if not any(len(pool.idle) > pool.min_size for pool in self.pools.values()):
                return
            wakeup = self.governor.next_wakeup(self.now)
            assert wakeup is not None, f"{self.governor.stats}: idle for ever"
            self.now = max(self.now, wakeup)
            self.act(self.governor.sweep(self.now))
        raise AssertionError(f"{self.governor.stats} after {self.now} seconds: idle for too long")

    def everything_is_done(self) -> None:
        while self.opening:
            self.governor.opened(self.opening.pop(), self.now)
        while self.closing:
            self.governor.closed(self.closing.pop(), self.now)
        while self.lent:
            if self.governor.give_back(self.lent.pop(), self.now):
                self.plan()


TestGovernor = GovernorMachine.TestCase
TestGovernor.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
