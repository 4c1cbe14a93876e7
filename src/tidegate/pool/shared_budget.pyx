"""The budget of server connections that all workers share: taking, giving back, and sharing out slots.

Owns the rule by which workers share a target's slots. The slots themselves, and why a crash cannot break their number,
are in `slot_table`; what the supervisor does with them, in `budget_keeper`.
Refuses to decide which connection opens or closes (`pool` does), or to wake other workers.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from tidegate.pool.shares cimport Shares, fair_most, spread, surplus_before, weigh
from tidegate.pool.sublimits cimport Sublimits
from tidegate.pool.slot_table cimport (
    FREE, HELD, ORPHAN, SHRINKING, Table, WorkerRow, held_by, tg_add, tg_load, tg_store, tg_store_wide,
)

cdef enum:
    TICKET = 0x80000000  # set in every ticket, so that none is 0; their order is that of the other 31 bits
    PATIENCE = 200  # looks at the budget: from a fraction of a second under load to some seconds without
    TURN = 8  # short enough for long transactions, long enough to spread the cost of a connection


cdef class SharedBudget:
    """One target's budget as one worker uses it. Never blocks; no call costs more than a few passes over the slots.

    How slots are shared out. A worker's demand is the servers it uses plus the clients that wait for one. Demands are
    met up to a common level (max-min fairness: nobody above the level gets a slot that somebody below it wants). A
    worker below the level while its clients wait is in need; one that holds more than its share has a surplus, idle
    servers first of all since no demand stands behind them. Needs that FREE slots do not meet are spread over the
    workers with a surplus, largest first, so that two of them do not both give up a slot for the same client. While
    others are in need, a worker at its share gets no FREE slot, or it would take back the one it gave.

    With fewer slots than workers that want one, the level is 0 and slots are lent in turns: each worker gives its
    only one up after TURN returns of a server, and free ones go to those without, in the order in which they began
    to wait (tickets).

    When the limit is lowered below what is held, all workers come down to it together: those with most, first of all
    with what idles there (see `excess`).

    The numbers are as old as each worker's last report(), excess() or owed(). An error in them costs a connection opened
    again, never the limit.
    """

    def __cinit__(self, memory, int target, int worker):
        self.table = Table(memory, target)
        if not 0 <= worker < self.table.workers:
            raise ValueError(f"no worker {worker} in a budget of {self.table.workers}")
        self.worker = worker
        self.hint = 0
        self.patience = 0
        self.asked = 0

    @property
    def limit(self):
        """Most server connections at this target, over all workers."""
        return tg_load(&self.table.head.policy) >> 1

    @limit.setter
    def limit(self, value):
        if value < 0:
            raise ValueError(f"a limit of connections must not be negative: {value}")
        self.table.set_limit(min(value, self.table.slots), self.worker + 1)

    @property
    def usable(self):
        """Connections that the database has for users, as it told whichever worker asked last; 0 = not known yet."""
        return tg_load(&self.table.head.usable)

    @usable.setter
    def usable(self, unsigned int value):
        tg_store(&self.table.head.usable, value)

    cpdef int acquire(self) except -2:
        """Take a slot: its number, or -1 if the limit is reached or the free ones are due to others."""
        cdef WorkerRow *row = &self.table.rows[self.worker]
        cdef int slot
        if self.others_wait() and not self.entitled():
            return -1
        slot = self.table.take(self.worker, self.hint)
        if slot >= 0:
            self.hint = slot + 1
            self.asked = 0
            tg_store(&row.held, row.held + 1)
            tg_store(&row.ticket, 0)
        return slot

    cpdef object free(self, int slot):
        """Give a slot back, once its backend is known to have ended. ValueError if this worker does not hold it."""
        cdef WorkerRow *row = &self.table.rows[self.worker]
        self.check_held(slot)
        self.table.strip(slot)
        self.hint = slot
        self.asked = 0
        tg_store(&row.held, row.held - 1)
        self.table.give_back(slot, held_by(self.worker), self.worker + 1)

    cpdef object note(self, int slot, unsigned int pid, unsigned int port):
        """Record the backend behind a slot, for recovery: its process id (0 = not known yet), our local TCP port."""
        self.check_held(slot)
        tg_store_wide(&self.table.identities[slot], <uint64_t>pid << 32 | port)

    cdef object check_held(self, int slot):
        if not 0 <= slot < self.table.slots or tg_load(&self.table.words[slot]) != held_by(self.worker):
            raise ValueError(f"slot {slot} is not held by worker {self.worker}")

    def sublimits(self):
        """The limits on parts of these slots, as this worker uses them."""
        return Sublimits(self.table, self.worker)

    cpdef int held(self) except -1:
        """Slots that this worker holds."""
        return <int>self.table.rows[self.worker].held

    def used(self):
        """Slots that are not free, over all workers, those of dead workers included."""
        return self.table.count(HELD) + self.table.count(ORPHAN)

    cpdef object report(self, int waiting, int idle):
        """Say how many servers this worker would open now if it had slots, and how many of its servers are idle.

        Clients that wait for something else than a slot (a back-off, their pool's own limit) are not `waiting`:
        other workers would keep slots free for them.
        """
        cdef WorkerRow *row = &self.table.rows[self.worker]
        tg_store(&row.waiting, max(0, waiting))
        tg_store(&row.idle, max(0, idle))
        if waiting <= 0 or row.held:
            tg_store(&row.ticket, 0)
        else:
            self.draw_ticket()

    cpdef int owed(self, int idle) except -1:
        """How many slots this worker should give up to others now; `idle` is how many of its servers it could close.

        To be asked whenever a server comes back, and when woken. More than `idle` means: close the rest as they
        come back. What is already being closed counts as held until free(), so take it off the answer.
        """
        cdef Shares shares
        cdef int need, owes
        tg_store(&self.table.rows[self.worker].idle, max(0, idle))
        if not self.others_wait() or tg_load(&self.table.head.policy) & SHRINKING:
            return 0  # while there are too many, a slot that is given up is nobody's, and excess() has its own parts
        self.weigh(&shares)
        need = shares.need - shares.free
        owes = min(max(0, need - surplus_before(&shares, self.table.workers, self.worker)), shares.surplus[self.worker])
        if need > 0 and owes == 0 and shares.level == 0 and self.table.rows[self.worker].held:
            self.asked += self.asked < TURN
            return self.asked == TURN  # until one is freed
        return owes

    cpdef int excess(self, int idle, int closing) except -1:
        """How many servers this worker should give up because all workers hold more than the limit.

        `idle` is how many of its servers it could close at once, `closing` how many it closes already, which are not
        in the answer. More than `idle` means: close the rest as they come back. To be asked as often as owed().

        If the servers in use are fewer than the limit, only idle ones go, from the workers that hold most, until all
        hold the same. Else all idle ones go, and those in use are cut in the same way. Slots of dead workers are no
        part of it: their backends end soon enough without a client having to wait for it.

        The first answer is 0, and so is each until all workers have said how they stand since the limit was lowered:
        what was in use in their last report may idle now, and who reckons with it gives too much. One that does not
        answer is not waited for without end. And nobody gives what others give in excess of their part already.
        """
        cdef int held[WORKER_LIMIT]
        cdef int in_use[WORKER_LIMIT]
        cdef WorkerRow *row = &self.table.rows[self.worker]
        cdef uint32_t lowered = tg_load(&self.table.head.lowered)
        cdef int mine = <int>row.held - max(0, closing)
        cdef int all_held = 0
        cdef int all_in_use = 0
        cdef int all_closing = 0
        cdef int limit, at, part
        # Not what idles: what goes from idle to closing between two calls would look like use to others.
        tg_store(&row.in_use, max(0, mine - max(0, idle)))
        tg_store(&row.closing, max(0, closing))
        if row.noticed != lowered:
            tg_store(&row.noticed, lowered)
            self.patience = PATIENCE
            return 0
        if not tg_load(&self.table.head.policy) & SHRINKING or not self.all_noticed(lowered):
            return 0
        limit = <int>(tg_load(&self.table.head.policy) >> 1)
        for at in range(self.table.workers):
            row = &self.table.rows[at]
            held[at] = <int>tg_load(&row.held)
            in_use[at] = min(held[at], <int>tg_load(&row.in_use))
            all_held += held[at]
            all_in_use += in_use[at]
            all_closing += min(held[at], <int>tg_load(&row.closing))
        if all_in_use < limit:
            part = mine - spread(in_use, held, self.table.workers, limit, self.worker)
        else:
            part = mine - spread(NULL, in_use, self.table.workers, limit, self.worker)
        part = max(0, min(part, all_held - all_closing - limit))
        tg_store(&self.table.rows[self.worker].closing, max(0, closing) + min(part, max(0, idle)))
        return part

    cdef bint all_noticed(self, uint32_t lowered) noexcept:
        """Whether every worker that holds slots has said how it stands under this limit, or was waited for enough."""
        cdef WorkerRow *row
        cdef int at
        if self.patience <= 0:
            return True
        for at in range(self.table.workers):
            row = &self.table.rows[at]
            if tg_load(&row.held) and tg_load(&row.noticed) != lowered:
                self.patience -= 1
                return False
        self.patience = 0
        return True

    cpdef int may_idle(self, int most) except -1:
        """How many servers may idle here if `most` may in all workers: an even part, and what others leave of theirs."""
        cdef int workers = self.table.workers
        cdef int others = 0
        cdef int at
        for at in range(workers):
            if at != self.worker:
                others += <int>tg_load(&self.table.rows[at].idle)
        return max(most // workers + (self.worker < most % workers), most - others)

    def givers(self):
        """The workers to wake when this one starts to wait: those with more than their share, most first."""
        cdef Shares shares
        self.weigh(&shares)
        ranked = [(-shares.surplus[at], at) for at in range(self.table.workers)
                  if at != self.worker and shares.surplus[at] > 0]
        return [at for _, at in sorted(ranked)]

    def waiters(self):
        """The workers to wake after free(), or when the limit has grown: those with clients that wait."""
        return [at for at in range(self.table.workers)
                if at != self.worker and tg_load(&self.table.rows[at].waiting)]

    def wakeable(self):
        """givers() while this worker's own clients wait, else waiters()."""
        return self.givers() if tg_load(&self.table.rows[self.worker].waiting) else self.waiters()

    cdef bint others_wait(self) noexcept:
        cdef int at
        for at in range(self.table.workers):
            if at != self.worker and tg_load(&self.table.rows[at].waiting):
                return True
        return False

    cdef bint entitled(self) noexcept:
        """Whether this worker may take a FREE slot though others wait."""
        cdef Shares shares
        cdef WorkerRow *row = &self.table.rows[self.worker]
        self.weigh(&shares)
        if shares.free > shares.need:
            return True
        if shares.level == 0:
            return not row.held and self.draw_ticket() < shares.free
        return <int>row.held < fair_most(&shares, self.worker)

    cdef int draw_ticket(self) noexcept:
        """Join the line of workers that have no slot and want one; how many are before this one."""
        cdef WorkerRow *row = &self.table.rows[self.worker]
        cdef int before = 0
        cdef int at
        if not tg_load(&row.ticket):
            tg_store(&row.ticket, tg_add(&self.table.head.tickets, 1) | TICKET)
        for at in range(self.table.workers):
            if at != self.worker and tg_load(&self.table.rows[at].ticket):
                before += <int32_t>((tg_load(&self.table.rows[at].ticket) - row.ticket) << 1) < 0
        return before

    cdef void weigh(self, Shares *shares) noexcept:
        """Work out every worker's share from the shared rows."""
        cdef WorkerRow *row
        cdef int workers = self.table.workers
        cdef int room = <int>(tg_load(&self.table.head.policy) >> 1) - self.table.count(ORPHAN)
        cdef int at
        for at in range(workers):
            row = &self.table.rows[at]
            shares.held[at] = <int>tg_load(&row.held)
            shares.waiting[at] = <int>tg_load(&row.waiting)
            shares.demand[at] = max(0, shares.held[at] - <int>tg_load(&row.idle)) + shares.waiting[at]
        shares.free = self.table.count(FREE)
        weigh(shares, workers, room, self.worker)
