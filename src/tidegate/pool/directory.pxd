cimport cython

from tidegate.pool.keeper cimport Keeper
from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool


@cython.final
cdef class Directory:
    cdef Ledger _ledger
    cdef Keeper _keeper
    cdef object _limits_for
    cdef object _sharing
    cdef dict _pools
    cdef object _caps
    cdef object _with_minimum
    cdef long _made

    cpdef Pool pool(self, tuple key, double now)
    @cython.locals(pool=Pool)
    cpdef relimit(self)
    cdef _list(self, Pool pool)
    cdef _share(self, Pool pool)
    cdef tuple _caps_of(self, tuple key, object limits)
