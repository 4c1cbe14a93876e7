cimport cython

from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool

cdef double _LOOK_PERIOD
cdef int _LOOKED_AT_ONCE


@cython.final
cdef class Sharing:
    cdef readonly Ledger ledger
    cdef readonly object sublimits
    cdef readonly double look_at
    cdef object _members
    cdef dict _short
    cdef dict _over
    cdef dict _shared

    cpdef join(self, member)
    cpdef refused(self, member)
    cpdef took(self)
    cdef _hasten(self)
    cpdef list look(self, double now, double hold)
    cdef dict _contended(self, list wanted)
    cdef _set(self, member, int most)
    cdef list _pools(self, member)
    @cython.locals(wanted=int, pool=Pool)
    cdef int _waiting(self, member) except -1
    @cython.locals(idle=int, pool=Pool)
    cdef int _idle(self, member) except -1
    @cython.locals(most=int, over=int)
    cdef list _excess(self, member)
