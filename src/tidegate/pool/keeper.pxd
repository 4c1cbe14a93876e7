cimport cython

from tidegate.pool.cap cimport Cap
from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool

cdef double _KEEP_MOST


@cython.final
cdef class Keeper:
    cdef readonly Ledger ledger
    cdef readonly bint crossed
    cdef readonly Pool pool
    cdef readonly double until

    cpdef watch(self, Pool pool)
    @cython.locals(pool=Pool)
    cpdef refresh(self, double hold, double now)
    @cython.locals(kept=Pool, cap=Cap, refused=bint)
    cpdef bint refuses(self, Pool pool) except -1
    cdef bint _wants(self, Pool pool)
    @cython.locals(pool=Pool, best=Pool)
    cdef Pool _next(self, double now)
