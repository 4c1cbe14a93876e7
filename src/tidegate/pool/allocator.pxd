cimport cython

from tidegate.pool.cap cimport Cap
from tidegate.pool.keeper cimport Keeper
from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool
from tidegate.pool.quota cimport Quotas
from tidegate.pool.slot cimport Slot

cdef int _IDLE
cdef double _LINGER
cdef double _MIN_HOLD
cdef double _MAX_HOLD
cdef double _HOLD_PER_OPEN
cdef int _FAMISHED
cdef int _STARVING
cdef int _SHORT
cdef int _MORE


@cython.final
cdef class Allocator:
    cdef readonly Ledger ledger
    cdef readonly Quotas quotas
    cdef readonly Keeper keeper
    cdef public double retry_at
    cdef readonly double open_cost
    cdef readonly double hold
    cdef readonly long passes

    cpdef note_open_cost(self, double seconds)
    @cython.locals(pool=Pool, best=Pool, best_over=bint, best_live=int, best_since=double, live=int, over=bint)
    cpdef Pool next_pool(self, double now)
    @cython.locals(pool=Pool)
    cpdef bint may_yield(self, Slot slot, double now) except -1
    @cython.locals(cap=Cap, claim=int, slot=Slot)
    cpdef list make_room(self, list offers, int most, int capacity, double now)
    @cython.locals(pool=Pool, need=int, unmet=int)
    cpdef int unmet_need(self, double now) except -1
    cdef bint _resting(self, Pool pool, double now)
    @cython.locals(pool=Pool, cap=Cap, root=Cap, need=int, full=list)
    cdef list _unmet(self, double now)
    @cython.locals(live=int, short=int)
    cdef void _count(self, Pool pool, int need, Cap cap, double now)
    cdef int _claims(self, Cap cap, int claim)
    @cython.locals(part=int)
    cdef void _cover(self, Cap cap, int servers)
    cdef bint _under(self, Pool pool, Cap cap) except -1
    @cython.locals(pool=Pool, slot=Slot, victim=Slot, spared_until=double)
    cdef Slot _idle_victim(self, Cap cap, int claim, double now)
    cdef bint _had_turn(self, Slot slot, double now)
    @cython.locals(pool=Pool, slot=Slot)
    cdef Slot _offered_victim(self, list offers, Cap cap, int claim, double now)
