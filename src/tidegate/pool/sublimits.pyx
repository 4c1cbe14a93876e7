"""Limits on a part of a target's slots, over all workers: one pool's, one database's, one user's.

Owns the labels that say for which parts a slot counts, and the rule by which workers share the places of a part.
Refuses to decide which connection opens or closes (`pool` does), to know the limits (each caller brings those that are
configured), and to wake other workers.

The labels are the truth, as the words are for the whole (`slot_table`): the places that are taken in a part are the
slots with its label, and there is no counter beside them. A worker that opens a server labels the slot it holds, then
counts; if there are more than may be, it takes the label off again. So two workers that are after the last place never
both get it (at worst neither does, and both try again), nobody waits for a lock, and a worker that is killed or stopped
at any instruction holds at most the places of its slots. They come free when its slots do.

Whose turn it is, when places are short, is worked out as for the whole (`shared_budget`), from the labels and from a
list of wants that each worker writes and all others read.
"""

from hashlib import blake2b

from libc.stdint cimport int32_t, uint32_t, uint64_t

from tidegate.pool.shares cimport Shares, fair_most, spread, surplus_before, weigh
from tidegate.pool.slot_table cimport (
    HELD, KINDS, WANT_LIMIT, Table, Want, held_by, tg_add, tg_load, tg_load_wide, tg_store, tg_store_wide,
)

cdef enum:
    TICKET = 0x80000000  # set in every ticket, so that none is 0; their order is that of the other 31 bits
    ATTEMPTS = 3  # at a place that another worker was after at the same moment

cdef uint64_t CLOSING = <uint64_t>1 << 63  # on a label: the server is on its way out

POOL, DATABASE, USER = range(KINDS)


def key_of(int kind, *names):
    """What labels say for a part: 63 bits of a hash, so that all workers agree without a list of names; never 0."""
    text = "\0".join([str(kind), *names]).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1 or 1


cdef class Part:
    """One part with the limit that is configured for it now, as this worker uses it.

    `since` (seconds, infinite if it has none) is when this worker last began to hold places in it; `sharing` keeps it.
    """

    def __init__(self, int kind, key, int limit):
        if not 0 <= kind < KINDS:
            raise ValueError(f"no kind {kind} of parts")
        self.kind = kind
        self.key = key
        self.limit = limit
        self.since = float("inf")


cdef class Sublimits:
    """The parts of one target's slots as one worker uses them. No call costs more than a few passes over the slots."""

    def __cinit__(self, Table table, int worker):
        self.table = table
        self.worker = worker

    cdef object check_slot(self, int slot):
        if not 0 <= slot < self.table.slots or tg_load(&self.table.words[slot]) != held_by(self.worker):
            raise ValueError(f"slot {slot} is not held by worker {self.worker}")

    cpdef object label(self, int slot, tuple keys):
        """Say for which parts a slot counts, whatever their limits: a key a kind, 0 for none. For a slot that is held."""
        cdef int kind
        self.check_slot(slot)
        if len(keys) != KINDS:
            raise ValueError(f"a slot has {KINDS} labels, not {len(keys)}")
        for kind in range(KINDS):
            tg_store_wide(&self.table.labels[slot * KINDS + kind], <uint64_t>keys[kind])

    cpdef bint admit(self, int slot, Part part) except -1:
        """Label a slot that this worker holds if the part has a place left; whether it had."""
        cdef uint64_t *label
        self.check_slot(slot)
        label = &self.table.labels[slot * KINDS + part.kind]
        for _ in range(ATTEMPTS):
            if self.used(part) >= part.limit:
                return False
            tg_store_wide(label, part.key)
            if self.used(part) <= part.limit:
                return True
            tg_store_wide(label, 0)
        return False

    cpdef object closing(self, int slot):
        """The server behind a slot is on its way out: it counts until the slot is given back, but not as live."""
        cdef uint64_t *label
        cdef int kind
        self.check_slot(slot)
        for kind in range(KINDS):
            label = &self.table.labels[slot * KINDS + kind]
            if tg_load_wide(label):
                tg_store_wide(label, tg_load_wide(label) | CLOSING)

    cpdef int used(self, Part part) except -1:
        """Places of a part that are taken, over all workers, those of dead ones included."""
        cdef int at
        cdef int found = 0
        for at in range(<int>tg_load(&self.table.head.span)):
            found += tg_load_wide(&self.table.labels[at * KINDS + part.kind]) & ~CLOSING == part.key
        return found

    cpdef int live(self, Part part) except -1:
        """The same without the servers that are on their way out."""
        cdef int at
        cdef int found = 0
        for at in range(<int>tg_load(&self.table.head.span)):
            found += tg_load_wide(&self.table.labels[at * KINDS + part.kind]) == part.key
        return found

    cpdef list wanted(self):
        """Keys of the parts in which other workers lack places."""
        cdef list keys = []
        cdef int worker, at
        cdef Want *want
        for worker in range(self.table.workers):
            if worker == self.worker:
                continue
            for at in range(<int>min(tg_load(&self.table.rows[worker].wants), <uint32_t>WANT_LIMIT)):
                want = &self.table.wants[worker * WANT_LIMIT + at]
                if tg_load(&want.waiting):
                    keys.append(tg_load_wide(&want.key))
        return keys

    cpdef object publish(self, list wants):
        """Say in which parts this worker lacks places or could give some: (Part, waiting, idle) each; replaces the last.

        Clients that wait for something else than a place in the part should not be counted as waiting. With more than
        WANT_LIMIT parts, others do not hear of the rest, which are served as places come free.
        """
        cdef Want *want
        cdef Part part
        cdef int at = 0
        cdef int waiting, idle
        for part, waiting, idle in wants[:WANT_LIMIT]:
            want = &self.table.wants[self.worker * WANT_LIMIT + at]
            tg_store(&want.waiting, 0)  # a reader meets either entry, or one that nobody waits behind
            tg_store_wide(&want.key, part.key)
            tg_store(&want.idle, max(0, idle))
            tg_store(&want.ticket, part.ticket)
            tg_store(&want.waiting, max(0, waiting))
            at += 1
        tg_store(&self.table.rows[self.worker].wants, at)

    cpdef int allowance(self, Part part, int waiting, int idle, bint turn_over) except -1:
        """How many servers this worker may hold in a part now; less than it holds: close those too many.

        `waiting` and `idle` as in publish(), which should have told the others. What is being closed counts as held.
        With fewer places than workers that want one they are lent in turns: `turn_over` says whether this worker, if it
        has one, has had it for long enough.
        """
        cdef Shares shares
        cdef int mine, need, owes
        cdef int room = part.limit - self.survey(part, &shares)
        mine = shares.held[self.worker]
        if shares.free < 0:
            return min(mine, spread(NULL, shares.held, self.table.workers, max(0, room), self.worker))
        shares.waiting[self.worker] = max(0, waiting)
        shares.demand[self.worker] = max(0, mine - max(0, idle)) + shares.waiting[self.worker]
        weigh(&shares, self.table.workers, room, self.worker)
        if shares.need == 0:
            return mine + shares.free
        need = shares.need - shares.free
        owes = min(max(0, need - surplus_before(&shares, self.table.workers, self.worker)), shares.surplus[self.worker])
        if owes > 0:
            return mine - owes
        if shares.level == 0:
            return mine - (need > 0 and turn_over) if mine else self.line_before(part, &shares) < shares.free
        return mine + max(0, -need, min(shares.free, fair_most(&shares, self.worker) - mine))

    cdef int survey(self, Part part, Shares *shares) noexcept:
        """Fill in who holds and wants how many in a part, and how many places are free; the places of dead workers."""
        cdef int workers = self.table.workers
        cdef int orphans = 0
        cdef int taken = 0
        cdef int at
        cdef uint32_t word
        cdef Want *want
        for at in range(workers):
            shares.held[at] = shares.waiting[at] = shares.demand[at] = 0
        for at in range(<int>tg_load(&self.table.head.span)):
            if tg_load_wide(&self.table.labels[at * KINDS + part.kind]) & ~CLOSING != part.key:
                continue
            taken += 1
            word = tg_load(&self.table.words[at])
            if word & 0xFF == HELD and <int>(word >> 8) < workers:
                shares.held[word >> 8] += 1
            else:
                orphans += 1
        for at in range(workers):
            want = NULL if at == self.worker else self.want_of(at, part.key)
            shares.demand[at] = shares.held[at]
            if want != NULL:
                shares.waiting[at] = <int>tg_load(&want.waiting)
                shares.demand[at] = max(0, shares.held[at] - <int>tg_load(&want.idle)) + shares.waiting[at]
        shares.free = part.limit - taken
        return orphans

    cdef Want *want_of(self, int worker, uint64_t key) noexcept:
        cdef Want *want
        cdef int at
        for at in range(<int>min(tg_load(&self.table.rows[worker].wants), <uint32_t>WANT_LIMIT)):
            want = &self.table.wants[worker * WANT_LIMIT + at]
            if tg_load_wide(&want.key) == key:
                return want
        return NULL

    def queue_up(self, Part part, bint wants):
        """Join or leave the line of workers that have no place in a part and want one; before publish()."""
        if not wants:
            part.ticket = 0
        elif part.ticket == 0:
            part.ticket = tg_add(&self.table.head.tickets, 1) | TICKET

    cdef int line_before(self, Part part, Shares *shares) noexcept:
        """How many workers without a place are before this one."""
        cdef Want *want
        cdef uint32_t ticket
        cdef int before = 0
        cdef int at
        for at in range(self.table.workers):
            want = NULL if at == self.worker else self.want_of(at, part.key)
            ticket = tg_load(&want.ticket) if want != NULL and shares.held[at] == 0 else 0
            if ticket and shares.waiting[at]:
                before += <int32_t>((ticket - part.ticket) << 1) < 0
        return before

    def holders(self, Part part):
        """The workers to wake when this one lacks places in a part: those that hold some."""
        found = set()
        for at in range(<int>tg_load(&self.table.head.span)):
            if tg_load_wide(&self.table.labels[at * KINDS + part.kind]) & ~CLOSING == part.key:
                word = tg_load(&self.table.words[at])
                if word & 0xFF == HELD and word >> 8 != <uint32_t>self.worker:
                    found.add(word >> 8)
        return found

    def waiters(self):
        """The workers to wake when a place comes free: those that lack some, in whatever part."""
        return {at for at in range(self.table.workers) if at != self.worker and tg_load(&self.table.rows[at].wants)}
