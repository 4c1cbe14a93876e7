# cython: annotation_typing=False
"""The pool's front door: events in, decisions out, for one target (one database server).

Owns the order in which decisions are made. Refuses to do what it decides: no sockets, no clock (`now` is an argument,
seconds of a monotonic clock), no callbacks. The caller carries the actions out and reports back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from tidegate.errors import CloseReason, PgError
from tidegate.pool import tuning
from tidegate.pool.actions import Action, Close, Lend, Open
from tidegate.pool.allocator import Allocator
from tidegate.pool.budget import Budget
from tidegate.pool.directory import Directory
from tidegate.pool.ledger import Ledger
from tidegate.pool.limits import LimitsFor, PoolKey, ServerLimits
from tidegate.pool.pacing import Backoff, FailureScope, failure_scope
from tidegate.pool.pool import Pool
from tidegate.pool.quota import Quotas
from tidegate.pool.reaper import Reaper
from tidegate.pool.rotation import replace_spurned
from tidegate.pool.sharing import sharing_of
from tidegate.pool.slot import Slot, SlotState, Ticket

_IDLE = int(SlotState.IDLE)
_LENT = int(SlotState.LENT)
_OPENING = int(SlotState.OPENING)

_FOREVER = math.inf

_LOOK_PERIOD = tuning.LOOK_PERIOD
_RECHECK = tuning.RECHECK


class Governor:
    """Lends the servers of one target to the clients of its pools.

    The caller's part:

    - a client needs a server: `borrow`; if that gives none, `wait` and, if `must_plan`, `plan`.
    - a server became idle: `pass_on`; if that names no client, `give_back`; if that says so, `plan`.
    - an action came out of `plan` or `sweep`: carry it out. Open ends in `opened` (or `open_failed` and, once the
      socket is closed, `closed`), Close in `closed`; after each of them, `plan`.
    - a server broke: `closed`. The caller closes one for a reason of its own: `closing`, later `closed`.
    - the budget signals a change, or `next_wakeup` has come: `overdue`, `sweep`, `plan`.

    `borrow` and `give_back` are the whole of it while there are servers enough, and `wait` and `pass_on` while one pool
    has more clients than servers. Otherwise waiting clients are served by `plan`, first come, first served within a
    pool; how pools share is explained at `Allocator` and `Quotas`. Opening is paced: at most `open_burst` at a time,
    one while the last attempt failed, none during the pause after a failure; and never more than clients wait for.

    What other workers lack is looked at once a LOOK_PERIOD at most. A server that comes back sooner after a look is
    `unseen`: nobody is told that it is idle, nor was it asked who waits. If nothing else happens, `plan` at `look_at`.
    """

    def __init__(self, budget: Budget, limits_for: LimitsFor, server_limits: ServerLimits, rng: Random) -> None:
        self.budget = budget
        self.ledger = Ledger(budget)
        self.sharing = sharing_of(self.ledger)
        self.allocator = Allocator(self.ledger, Quotas())
        self.reaper = Reaper(self.ledger, server_limits)
        self.backoff = Backoff()
        self.rng = rng
        self.directory = Directory(self.ledger, self.allocator.keeper, limits_for)
        self._server_limits = server_limits
        self._returned: list[Slot] = []
        self._surplus = self._over_limit = 0
        self.unseen = self._rotates = False
        self.look_at = self._count_at = self._planned_at = self._paused_until = -_FOREVER
        self._reported_waiting = self._reported_idle = 0
        self._borrowed = self._queued = self._served = self._abandoned = self._overdue = self._failed_clients = 0
        self._waited = 0.0
        self._opened = self._open_failures = self._closed = self._made_room = 0

    # Pools

    def pool(self, key: PoolKey, now: float) -> Pool:
        """The pool of this key, made on demand; keep it while a client uses it, and no longer (see `Directory`)."""
        pool = self.directory.pool(key, now)
        if pool.live() < pool.min_size:
            self.reaper.due_at = min(self.reaper.due_at, now)
        return pool

    # The hot path

    def borrow(self, pool: Pool, now: float, fit: object = None, avoids: int = 0, returns: int = 0) -> Slot | None:
        """Lends an idle server at once; None if there is none, or if others of this pool wait already.

        `fit`: what is to be set on it, rather than on others. `avoids`: the number of the slot that it must not be (see
        `rotation`), `returns`: that it is if that is idle; else, in both cases, the one that was used longest ago.
        """
        if pool.head is not None:
            return None
        at = len(pool.idle) - 1
        if at < 0:
            return None
        if avoids != 0:
            at = pool.another(avoids)
            if at < 0:
                return None
        elif returns != 0:
            at = pool.returning(returns)
        elif fit is not None:
            at = pool.fitting(fit)
        self._borrowed += 1
        return self.ledger.lend(pool, at, now)

    def give_back(self, slot: Slot, now: float) -> bool:
        """Takes a lent server back; True if `plan` must be called. Raises ValueError for one that is not lent."""
        if slot.state != _LENT:
            raise ValueError(f"{slot!r} was not lent")
        self.ledger.rest(slot, now)
        pool: Pool = slot.pool
        if self.ledger.waiting > 0 or now >= slot.expires_at or slot.generation != pool.generation:
            self._returned.append(slot)
            return True
        if now >= self.look_at:
            self._look(now)
        else:
            self.unseen = self.sharing is not None
        if self._surplus > 0 or pool.crowded() or self._returned:
            self._returned.append(slot)
            return True
        return False

    def pass_on(self, slot: Slot, now: float) -> Ticket | None:
        """Takes a lent server back and lends it again at once, to the next client of its own pool: `give_back` and
        `plan` in one move, where nobody else could have a claim on it. None if somebody might: then `give_back`.
        """
        pool: Pool = slot.pool
        ticket = pool.head
        ledger = self.ledger
        if ticket is None or slot.state != _LENT or len(ledger.queue) > 1:
            return None
        if now >= self.look_at or now >= slot.expires_at or slot.generation != pool.generation:
            return None
        if self._surplus > 0 or pool.crowded() or ticket.avoids == slot.number:
            return None
        ledger.leave(ticket)
        slot.lent_at = now
        slot.lends += 1
        self._served += 1
        self._waited += now - ticket.since
        if ledger.waiting == 0:
            self._report(now)
        return ticket

    # Waiting clients

    def must_plan(self, pool: Pool, now: float) -> bool:
        """Whether `plan` could do anything for a client that has just joined this pool's queue.

        Not if one was there before (so that `plan` has been called), no server is idle anywhere, none can be opened,
        and nothing is due to be looked at.
        """
        if pool.waiting < 2 or self.ledger.idle > 0 or now >= self.look_at:
            return True
        return not self.ledger.blocked and pool.need() > 0

    def wait(self, pool: Pool, owner: object, now: float, avoids: int = 0) -> Ticket:
        """Queues a client; call `plan` next, if `must_plan`. `avoids` as for `borrow`."""
        self._queued += 1
        at = len(pool.idle) - 1 - pool.waiting
        if avoids != 0 or (pool.head is not None and pool.head.avoids != 0):
            self._returned.extend(pool.idle)
            self._rotates = True
        elif at >= 0:
            self._returned.append(pool.idle[at])
        return self.ledger.join(pool, owner, now, avoids)

    def abandon(self, ticket: Ticket) -> None:
        """Takes a client out of its queue; does nothing if it is there no more."""
        if ticket.alive:
            self._abandoned += 1
            self.ledger.leave(ticket)

    def requeue(self, ticket: Ticket, pool: Pool) -> Ticket:
        """Moves a waiting client to another pool's queue, without setting its time back; then `plan`."""
        self.ledger.leave(ticket)
        return self.ledger.join(pool, ticket.owner, ticket.since, ticket.avoids)

    def turn_away(self, pool: Pool, now: float) -> list[Ticket]:
        """Takes all out of this pool's queue whom the last failure's answer (`refusal`) concerns too: it has no server,
        and will open none for a while.
        """
        if pool.refusal is None or pool.paused_until <= now or pool.live() > 0:
            return []
        return self._fail_clients(pool)

    def overdue(
        self, now: float, borrow_timeout: float, timeout_of: Callable[[object], float] | None = None
    ) -> list[Ticket]:
        """Takes those who have waited `borrow_timeout` seconds or longer out of their queues, and returns them.

        Where clients have different timeouts, `timeout_of` says an owner's, and `borrow_timeout` is the shortest.
        """
        late = self.ledger.leave_overdue(now, borrow_timeout, timeout_of)
        self._overdue += len(late)
        return late

    def oldest_wait_since(self) -> float | None:
        """When the client came that has waited longest, None if none waits; plus borrow_timeout, `overdue` is due."""
        return min([pool.head.since for pool in self.ledger.queue if pool.head is not None], default=None)

    # What became of a server

    def opened(self, slot: Slot, now: float) -> None:
        """A server can be lent; call `plan` next."""
        if slot.state != _OPENING:
            raise ValueError(f"{slot!r} was not being opened")
        limits = self._server_limits
        pool: Pool = slot.pool
        slot.opened_at = now
        slot.expires_at = _FOREVER
        if limits.server_lifetime > 0.0:
            slot.expires_at = now + limits.server_lifetime * (1.0 - limits.lifetime_spread * self.rng.random())
        self.ledger.rest(slot, now)
        self._returned.append(slot)
        self._opened += 1
        self._reached()
        pool.backoff.succeed()
        pool.paused_until = pool.suspended_until
        pool.refusal = None
        self.allocator.note_open_cost(now - slot.born)
        self.reaper.expect(slot)

    def open_failed(self, slot: Slot, now: float, error: PgError | None = None, retry_in: float = 0.0) -> list[Ticket]:
        """A server could not be opened: `error` is what it answered, None if it did not; then `closed`, then `plan`.

        Returns the clients that this answer is final for, taken out of their queue: all of the slot's pool if the
        database refused them (a wrong password, no such database) or init_query failed, none if waiting may help.
        Opening pauses then: for the pool if there is no room for it (53300) or init_query failed, else for the target;
        at least `retry_in` seconds.
        """
        if slot.state != _OPENING:
            raise ValueError(f"{slot!r} was not being opened")
        pool: Pool = slot.pool
        self._open_failures += 1
        self.ledger.begin_close(slot, now)
        scope = failure_scope(error)
        if scope is FailureScope.TARGET:
            self.backoff.fail(now, slot.born, retry_in, self.rng)
            self._paused_until = self.backoff.until
            return []
        self._reached()
        if scope is not FailureScope.CLIENTS:
            pool.backoff.fail(now, slot.born, retry_in, self.rng)
            pool.paused_until = max(pool.backoff.until, pool.suspended_until)
        if scope is FailureScope.POOL:
            return []
        if scope is FailureScope.SETUP:
            pool.refusal = error
        pool.top_up_at = now + tuning.TOP_UP_PAUSE
        return self._fail_clients(pool)

    def _reached(self) -> None:
        """The database server answered: pauses that concern all pools end."""
        self.backoff.succeed()
        self._paused_until = self.backoff.until

    def _fail_clients(self, pool: Pool) -> list[Ticket]:
        failed = self.ledger.leave_all(pool)
        self._failed_clients += len(failed)
        return failed

    def closing(self, slot: Slot, now: float) -> None:
        """The caller has begun to close a server for a reason of its own; it is not to be lent again."""
        self.ledger.begin_close(slot, now)
        self._review(slot.pool, now)

    def closed(self, slot: Slot, now: float) -> None:
        """A server is gone at the database too, whatever it was doing: its budget slot is free. Call `plan` next."""
        self.ledger.drop(slot, now)
        self._closed += 1
        self._review(slot.pool, now)

    def _review(self, pool: Pool, now: float) -> None:
        """After a server went for no decision of this class: its waiting clients and its minimum need another look."""
        if pool.head is not None:
            self._returned.extend(pool.idle)
        if pool.live() < pool.min_size:
            self.reaper.due_at = min(self.reaper.due_at, now)

    def retire(self, reason: CloseReason, now: float, pool: Pool | None = None) -> None:
        """Has every present server (of one pool) closed once it is idle, as after a change of password; then `plan`."""
        for each in [pool] if pool is not None else self.directory.all():
            each.generation += 1
            each.retired_for = reason
            self._returned.extend(each.idle)

    def relimit(self, server_limits: ServerLimits, now: float) -> None:
        """Asks again for the limits of every pool, after a reload of the configuration; then `sweep` and `plan`."""
        self._server_limits = self.reaper.limits = server_limits
        self.reaper.due_at = now
        self.directory.relimit()

    # Decisions

    def plan(self, now: float) -> list[Action]:
        """What to do now: whom to lend to, what to open, what to close."""
        actions: list[Action] = []
        self._planned_at = now
        self._look(now)
        if self._surplus > 0 and self.ledger.idle > 0:
            self._shed_idle(now, actions)
        offers = self._settle(now, actions)
        if self.ledger.waiting > 0 and self._paused_until <= now:
            self.allocator.retry_at = _FOREVER
            self._open(now, actions)
            if offers or self.ledger.idle > 0:
                self._make_room(offers, now, actions)
        for slot in offers:
            if slot.state == _IDLE:
                self._serve(slot, now, actions)
        if self._rotates and self.ledger.waiting > 0 and self._paused_until <= now:
            actions += replace_spurned(self.allocator, now)
        if self.sharing is not None and now >= self.sharing.look_at:
            self._returned.extend(self.sharing.look(now, self.allocator.hold))
        self._report(now)
        return actions

    def sweep(self, now: float) -> list[Action]:
        """Housekeeping: closes what has idled or lived too long, tops pools up. Cheap when nothing is due."""
        if now < self.reaper.due_at:
            return []
        actions = self.reaper.close_due(now)
        if self.ledger.waiting == 0 and self._paused_until <= now:
            actions += self.reaper.top_up(self.directory.with_minimum(), self._burst(), now)
        elif self.directory.with_minimum():
            self.reaper.due_at = min(self.reaper.due_at, now + tuning.SHORTEST_REST)
        self._report(now)
        return actions

    def next_wakeup(self, now: float) -> float | None:
        """When to call `sweep` and `plan` next if nothing happens before (maybe past); None if nothing will be due."""
        due = self.reaper.due_at
        if self.ledger.waiting > 0:
            if self._paused_until > now:
                due = min(due, self._paused_until)
            else:
                due = min(due, self._planned_at + _RECHECK, max(self.allocator.retry_at, now))
        if self.unseen:
            due = min(due, self.look_at)
        return None if due == _FOREVER else due

    def _look(self, now: float) -> None:
        """Compares what is held with the limit and with what other workers are owed."""
        self.look_at = now + _LOOK_PERIOD
        self.unseen = False
        idle = self._spare_idle()
        self._over_limit = self.budget.excess(idle, self.ledger.closing)
        self._surplus = max(self._over_limit, self.budget.owed(idle) - self.ledger.closing)
        if self.sharing is not None and now >= self.sharing.look_at:
            self._returned.extend(self.sharing.look(now, self.allocator.hold))

    def _spare_idle(self) -> int:
        """Idle servers that no client here waits for: what came back for one since the last plan is spoken for."""
        spare = self.ledger.idle
        if self.ledger.waiting > 0:
            for slot in self._returned:
                pool: Pool = slot.pool
                if slot.state == _IDLE and pool.head is not None:
                    spare -= 1
        return max(spare, 0)

    def _burst(self) -> int:
        """How many more servers may be opened at this moment."""
        most = self._server_limits.open_burst if self.backoff.failures == 0 else 1
        return max(most - self.ledger.opening, 0)

    def _shed_idle(self, now: float, actions: list[Action]) -> None:
        """Gives up idle servers, least recently used first, as far as there are too many."""
        idle = [slot for pool in self.ledger.holders if pool.head is None for slot in pool.idle]
        idle.sort(key=_idle_since)
        for slot in idle[: self._surplus]:
            self._give_up(slot, now, actions)

    def _give_up(self, slot: Slot, now: float, actions: list[Action]) -> None:
        reason = CloseReason.SERVER_EXCESS if self._over_limit > 0 else CloseReason.SERVER_MADE_ROOM
        self._over_limit -= 1
        self._surplus -= 1
        slot.given = True
        self.ledger.giving += 1
        self._close(slot, reason, now, actions)

    def _close(self, slot: Slot, reason: CloseReason, now: float, actions: list[Action]) -> None:
        self.ledger.begin_close(slot, now)
        actions.append(Close(slot, reason))

    def _settle(self, now: float, actions: list[Action]) -> list[Slot]:
        """Closes or lends what came back; what other pools may have a better claim to is returned (offers)."""
        offers: list[Slot] = []
        if not self._returned:
            return offers
        returned, self._returned = self._returned, []
        for slot in returned:
            if slot.state != _IDLE:
                continue
            pool: Pool = slot.pool
            if slot.generation != pool.generation:
                self._close(slot, pool.retired_for, now, actions)
            elif now >= slot.expires_at:
                self._close(slot, CloseReason.SERVER_LIFETIME, now, actions)
            elif self._surplus > 0:
                self._give_up(slot, now, actions)
            elif pool.crowded():
                self._close(slot, CloseReason.SERVER_EXCESS, now, actions)
            elif pool.head is not None:
                if self.allocator.may_yield(slot, now):
                    offers.append(slot)
                else:
                    self._serve(slot, now, actions)
        return offers

    def _serve(self, slot: Slot, now: float, actions: list[Action]) -> None:
        """Lends this idle server to the first of its pool's queue, if there still is one who may have it."""
        pool: Pool = slot.pool
        ticket = pool.taker(slot)
        if ticket is None:
            return
        self.ledger.leave(ticket)
        self._served += 1
        self._waited += now - ticket.since
        actions.append(Lend(ticket, self.ledger.lend(pool, pool.place(slot), now)))

    def _open(self, now: float, actions: list[Action]) -> None:
        """Opens servers for waiting clients, as far as the pace and the budget allow."""
        ledger = self.ledger
        for _ in range(self._burst()):
            if ledger.blocked and not ledger.reserve():
                break  # asked before the pools are compared, since this is the usual state of a busy target
            pool = self.allocator.next_pool(now)
            if pool is None:
                break
            slot = ledger.enlist(pool, now)
            if slot is not None:
                actions.append(Open(slot))
            elif ledger.blocked:
                break  # else it is this pool that may not have more just now
        ledger.release()

    def _make_room(self, offers: list[Slot], now: float, actions: list[Action]) -> None:
        """Closes servers of other pools for waiting clients, no more than can be opened in their stead."""
        ledger = self.ledger
        most = self._burst() - ledger.closing
        capacity = self.budget.limit
        if ledger.blocked:
            capacity = min(capacity, ledger.root.held - ledger.giving)
        for slot in self.allocator.make_room(offers, most, capacity, now):
            self._made_room += 1
            actions.append(Close(slot, CloseReason.SERVER_MADE_ROOM))

    def _report(self, now: float) -> None:
        """Tells other workers what this one lacks and has, when it changed; the exact lack once a LOOK_PERIOD."""
        idle = self.ledger.idle
        waiting = 0
        if self.ledger.blocked and self.ledger.waiting > 0 and self._paused_until <= now:
            waiting = self._reported_waiting
            if waiting == 0 or now >= self._count_at:
                self._count_at = now + _LOOK_PERIOD
                waiting = self.allocator.unmet_need(now)
        if waiting != self._reported_waiting or idle != self._reported_idle:
            self._reported_waiting = waiting
            self._reported_idle = idle
            self.budget.report(waiting, idle)

    @property
    def stats(self) -> dict[str, int]:
        """Present state and totals since the start, by name."""
        ledger = self.ledger
        return {
            "limit": self.budget.limit,
            "held": ledger.root.held,
            "idle": ledger.idle,
            "lent": ledger.lent,
            "opening": ledger.opening,
            "closing": ledger.closing,
            "waiting": ledger.waiting,
            "pools": len(self.directory),
            "borrowed_at_once": self._borrowed,
            "queued": self._queued,
            "served_from_queue": self._served,
            "wait_microseconds": int(self._waited * 1e6),
            "abandoned": self._abandoned,
            "overdue": self._overdue,
            "failed_clients": self._failed_clients,
            "opened": self._opened,
            "open_failures": self._open_failures,
            "closed": self._closed,
            "made_room": self._made_room,
        }


def _idle_since(slot: Slot) -> float:
    return slot.idle_since
