cimport cython

from tidegate.pool.cap cimport Cap
from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool

cdef double _PERIOD
cdef double _FADE
cdef double _STALE
cdef double _ROTATION


@cython.final
cdef class Quotas:
    cdef public double shared_at

    @cython.locals(keep=double, pool=Pool, first=long)
    cpdef refresh(self, Ledger ledger, int capacity, double now)
    @cython.locals(present=int, recent=int, cap=Cap)
    cdef bint _measure(self, Pool pool, double keep) except -1
    @cython.locals(pool=Pool, still=list)
    cdef _deal(self, list wanting, Cap root)
    @cython.locals(cap=Cap)
    cdef bint _deal_one(self, Pool pool) except -1
