"""The connection slots of each target as a table in shared memory, which a crash at any instruction leaves whole.

Owns the memory's layout, and how slots and limits change. Refuses to decide who should hold how many
(`shared_budget` does), or to make the memory: the supervisor maps a memfd, and each process passes its own mapping as
a writable buffer.

Layout (version 2; native byte order, every field written only by atomic operations):

    Header       64 bytes    magic, version, number of targets, workers, slots per target
    per target, from a 64-byte boundary:
      TargetHead 64 bytes    limit and SHRINKING flag, settle lock, dirty flag, span, next ticket, what the database has, how often lowered
      WorkerRow  64 bytes    x workers: held, waiting, idle, ticket, in use, closing, wants, noticed (advice for sharing, never the truth about slots)
      words      4 bytes     x slots: state | owner << 8. The truth.
      identities 8 bytes     x slots: backend process id << 32 | local port; 0 = not known
      labels     24 bytes    x slots: which parts of the slots it counts for (see `sublimits`)
      wants      24 bytes    x 1024 x workers: in which parts a worker lacks places (advice, like the rows)

All zeros is a valid empty target, so a sparse memfd costs only the pages of slots that were ever in use.

The algorithm. A target with a limit of n has exactly n words that are not RETIRED: those are the tokens. To take a
slot is one compare-and-swap of a FREE word to HELD by me, to give it back is one more. There is no counter beside the
table that could disagree with it, so a process killed at any instruction has either taken a slot or not, and what it
had stays HELD by a dead owner, which can only under-use the limit, until the supervisor marks it ORPHAN and, once its
backend is gone, frees it. No generation is needed: a slot that is FREE has no other property that could have changed.

Only a change of the limit touches the number of tokens. Whoever changes it holds the settle lock: it mints tokens
(RETIRED -> FREE) up to the limit or retires FREE ones above it. If too many are in use, SHRINKING stays set: then
nobody may take a slot, and slots that come back are retired rather than freed, until the tokens fit the limit. A
settler that finds the lock taken leaves the dirty flag for its holder; the lock of a dead holder is broken by the
supervisor, which settles again.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t, uint64_t, uintptr_t

MAX_WORKERS = WORKER_LIMIT
MAX_SLOTS = SLOT_LIMIT
MAX_TARGETS = TARGET_LIMIT


cdef inline size_t round_up(size_t size) noexcept:
    return (size + LINE - 1) // LINE * LINE


cdef size_t section_size(size_t workers, size_t slots) noexcept:
    """Bytes of one target's section."""
    return (sizeof(TargetHead) + workers * sizeof(WorkerRow) + round_up(slots * sizeof(uint32_t))
            + round_up(slots * sizeof(uint64_t)) + round_up(slots * KINDS * sizeof(uint64_t))
            + workers * WANT_LIMIT * sizeof(Want))


def region_size(int targets, int workers, int slots=SLOT_LIMIT):
    """Bytes that a region of this shape takes; ValueError outside 1..MAX_*."""
    for name, value, most in (("targets", targets, MAX_TARGETS), ("workers", workers, MAX_WORKERS),
                              ("slots", slots, MAX_SLOTS)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} must be 1 to {most}, not {value}")
    return sizeof(Header) + targets * section_size(workers, slots)


def format_region(memory, int targets, int workers, int slots=SLOT_LIMIT):
    """Write the header of a fresh region (all zeros) before any process maps it as a budget."""
    cdef Py_buffer view
    cdef Header *header
    needed = region_size(targets, workers, slots)
    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
    try:
        if <size_t>view.len < <size_t>needed:
            raise ValueError(f"a budget of this shape needs {needed} bytes, the memory has {view.len}")
        header = <Header *>view.buf
        header.version = VERSION
        header.targets = targets
        header.workers = workers
        header.slots = slots
        tg_store(&header.magic, MAGIC)
    finally:
        PyBuffer_Release(&view)


cdef Header *read_header(Py_buffer *view) except NULL:
    """The header at the start of a region; ValueError if it is not one, or not all there."""
    cdef Header *header = <Header *>view.buf
    if <uintptr_t>view.buf % LINE or <size_t>view.len < sizeof(Header):
        raise ValueError("a budget's memory must be aligned to 64 bytes and hold its header")
    if tg_load(&header.magic) != MAGIC or header.version != VERSION:
        raise ValueError("this memory holds no budget of layout version 2")
    if <size_t>view.len < <size_t>region_size(header.targets, header.workers, header.slots):
        raise ValueError("the budget's memory is shorter than its header says")
    return header


cdef class Table:
    """One target's section of the region. Every process has its own Table over its own mapping.

    `by` in the methods below is who acts, as the lock names it: worker + 1, or SUPERVISOR.
    """

    def __cinit__(self, memory, int target):
        cdef Py_buffer view
        cdef Header *header
        cdef char *at
        PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
        try:
            header = read_header(&view)
            if not 0 <= target < <int>header.targets:
                raise ValueError(f"no target {target} in a budget of {header.targets}")
            self.memory = memoryview(memory)  # keeps the mapping open
            self.workers = header.workers
            self.slots = header.slots
            at = <char *>view.buf + sizeof(Header) + target * section_size(self.workers, self.slots)
        finally:
            PyBuffer_Release(&view)
        self.head = <TargetHead *>at
        at += sizeof(TargetHead)
        self.rows = <WorkerRow *>at
        at += self.workers * sizeof(WorkerRow)
        self.words = <uint32_t *>at
        at += round_up(self.slots * sizeof(uint32_t))
        self.identities = <uint64_t *>at
        at += round_up(self.slots * sizeof(uint64_t))
        self.labels = <uint64_t *>at
        at += round_up(self.slots * KINDS * sizeof(uint64_t))
        self.wants = <Want *>at

    cdef void strip(self, int slot) noexcept:
        """Forget what is behind a slot, before it is given back: a FREE slot never has an identity or a label."""
        cdef int kind
        tg_store_wide(&self.identities[slot], 0)
        for kind in range(KINDS):
            tg_store_wide(&self.labels[slot * KINDS + kind], 0)

    cdef int take(self, uint32_t worker, int start) noexcept:
        """Turn one FREE word into HELD by worker, searching from start on; its number, or -1."""
        cdef int span = <int>tg_load(&self.head.span)
        cdef int at = start
        if tg_load(&self.head.policy) & SHRINKING:
            return -1
        for _ in range(span):
            if at >= span:
                at = 0
            if tg_load(&self.words[at]) == FREE and tg_swap(&self.words[at], FREE, held_by(worker)):
                return at
            at += 1
        return -1

    cdef bint give_back(self, int slot, uint32_t expected, uint32_t by) noexcept:
        """Free a word that is as expected; False, and nothing done, if it is not."""
        cdef bint shrinking = tg_load(&self.head.policy) & SHRINKING
        if not tg_swap(&self.words[slot], expected, RETIRED if shrinking else FREE):
            return False
        if shrinking or tg_load(&self.head.policy) & SHRINKING:  # it may have been set or cleared before the swap
            self.settle(by)
        return True

    cdef void set_limit(self, uint32_t limit, uint32_t by) noexcept:
        """Change the limit. When it is lowered nobody takes a slot from here on until the tokens fit it."""
        cdef uint32_t before = tg_load(&self.head.policy)
        if limit < before >> 1:
            tg_add(&self.head.lowered, 1)
        while not tg_swap(&self.head.policy, before,
                          limit << 1 | (SHRINKING if limit < before >> 1 else before & SHRINKING)):
            before = tg_load(&self.head.policy)
        self.settle(by)

    cdef void settle(self, uint32_t by) noexcept:
        """Make the number of tokens fit the limit, or leave that to whoever is doing it now."""
        tg_store(&self.head.dirty, 1)
        while tg_load(&self.head.dirty) and tg_swap(&self.head.lock, 0, by):
            tg_store(&self.head.dirty, 0)
            self.fit()
            tg_store(&self.head.lock, 0)

    cdef void fit(self) noexcept:
        """Mint or retire tokens; only under the lock, since nothing else may mint."""
        cdef uint32_t policy = tg_load(&self.head.policy)
        cdef int limit = <int>(policy >> 1)
        cdef int span = <int>tg_load(&self.head.span)
        cdef int tokens = 0
        cdef int at
        for at in range(span):
            tokens += tg_load(&self.words[at]) != RETIRED
        for at in range(span - 1, -1, -1):
            if tokens <= limit:
                break
            tokens -= tg_swap(&self.words[at], FREE, RETIRED)
        at = 0
        while tokens < limit and at < self.slots and tg_load(&self.head.policy) == policy:
            if tg_load(&self.words[at]) == RETIRED:
                if at >= span:
                    span = at + 1
                    tg_store(&self.head.span, span)
                tg_store(&self.words[at], FREE)
                tokens += 1
            at += 1
        if tokens <= limit:
            tg_swap(&self.head.policy, policy, policy & ~<uint32_t>SHRINKING)

    cdef int count(self, uint32_t state) noexcept:
        """How many words are in this state."""
        cdef int at
        cdef int found = 0
        for at in range(<int>tg_load(&self.head.span)):
            found += (tg_load(&self.words[at]) & 0xFF) == state
        return found
