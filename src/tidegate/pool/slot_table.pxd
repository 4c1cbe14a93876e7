"""Declarations of `slot_table`: atomic access, the shared layout, the states of a slot."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdbool.h>
    #include <stdint.h>
    static inline uint32_t tg_load(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
    static inline void tg_store(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
    static inline bool tg_swap(uint32_t *at, uint32_t expected, uint32_t value)
    {
        return __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    static inline uint32_t tg_add(uint32_t *at, uint32_t value) { return __atomic_add_fetch(at, value, __ATOMIC_SEQ_CST); }
    static inline uint64_t tg_load_wide(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
    static inline void tg_store_wide(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
    """
    uint32_t tg_load(const uint32_t *at) noexcept nogil
    void tg_store(uint32_t *at, uint32_t value) noexcept nogil
    bint tg_swap(uint32_t *at, uint32_t expected, uint32_t value) noexcept nogil
    uint32_t tg_add(uint32_t *at, uint32_t value) noexcept nogil
    uint64_t tg_load_wide(const uint64_t *at) noexcept nogil
    void tg_store_wide(uint64_t *at, uint64_t value) noexcept nogil

cdef enum:
    MAGIC = 0x54474231  # "TGB1"
    VERSION = 2
    LINE = 64
    WORKER_LIMIT = 256
    SLOT_LIMIT = 131072  # above the 100,000 that max_connections may be set to
    TARGET_LIMIT = 1024
    WANT_LIMIT = 1024  # parts of the slots that one worker may wait for places in at the same time
    KINDS = 3  # of parts: one pool's, one database's, one user's
    SHRINKING = 1
    SUPERVISOR = 0xFFFF

    # States of a word, low 8 bits. Transitions:
    #   RETIRED -> FREE      settler, limit raised
    #   FREE    -> HELD      worker, acquire
    #   FREE    -> RETIRED   settler, limit lowered
    #   HELD    -> FREE      its owner, free (RETIRED while SHRINKING)
    #   HELD    -> ORPHAN    supervisor, its owner is dead
    #   ORPHAN  -> FREE      supervisor, its backend is gone (RETIRED while SHRINKING)
    RETIRED = 0
    FREE = 1
    HELD = 2
    ORPHAN = 3

cdef struct Header:
    uint32_t magic
    uint32_t version
    uint32_t targets
    uint32_t workers
    uint32_t slots  # per target
    uint32_t unused[11]

cdef struct TargetHead:
    uint32_t policy  # limit << 1 | SHRINKING
    uint32_t lock  # who settles: 0 nobody, worker + 1, or SUPERVISOR
    uint32_t dirty  # a change waits for a settler
    uint32_t span  # slots from here on have always been RETIRED
    uint32_t tickets  # last one drawn
    uint32_t usable  # connections that the database last said it has for users; 0 = not known
    uint32_t lowered  # how often the limit was lowered
    uint32_t unused[9]

cdef struct WorkerRow:  # written by its worker alone, one cache line each
    uint32_t held
    uint32_t waiting
    uint32_t idle
    uint32_t ticket  # place in the line of workers without any slot; 0 = not in it
    uint32_t in_use  # by a client, or opening: neither idle nor closing
    uint32_t closing
    uint32_t wants  # how many entries of its list are valid
    uint32_t noticed  # how often the limit had been lowered when this worker last said how it stands
    uint32_t unused[8]

cdef struct Want:  # written by its worker alone
    uint64_t key  # as on the labels
    uint32_t waiting  # servers that this worker would open in this part
    uint32_t idle  # servers of this part that it could close at once
    uint32_t ticket  # place in the line of workers without any slot in this part; 0 = not in it
    uint32_t unused

cdef inline uint32_t held_by(uint32_t worker) noexcept:
    """The word of a slot that this worker holds."""
    return HELD | worker << 8

cdef Header *read_header(Py_buffer *view) except NULL

cdef class Table:
    cdef object memory
    cdef TargetHead *head
    cdef WorkerRow *rows
    cdef uint32_t *words
    cdef uint64_t *identities
    cdef uint64_t *labels  # KINDS a slot
    cdef Want *wants  # WANT_LIMIT a worker
    cdef readonly int workers
    cdef readonly int slots

    cdef void strip(self, int slot) noexcept
    cdef int take(self, uint32_t worker, int start) noexcept
    cdef bint give_back(self, int slot, uint32_t expected, uint32_t by) noexcept
    cdef void set_limit(self, uint32_t limit, uint32_t by) noexcept
    cdef void settle(self, uint32_t by) noexcept
    cdef void fit(self) noexcept
    cdef int count(self, uint32_t state) noexcept
