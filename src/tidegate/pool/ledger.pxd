cimport cython

from tidegate.pool.cap cimport Cap
from tidegate.pool.pool cimport Pool
from tidegate.pool.slot cimport Slot, Ticket

cdef int _OPENING
cdef int _IDLE
cdef int _LENT
cdef int _CLOSING
cdef int _GONE


@cython.final
cdef class Ledger:
    cdef readonly object budget
    cdef readonly Cap root
    cdef readonly dict holders
    cdef readonly dict queue
    cdef readonly dict servers
    cdef readonly int waiting
    cdef readonly int idle
    cdef readonly int lent
    cdef readonly int opening
    cdef readonly int closing
    cdef public int giving
    cdef readonly bint blocked
    cdef readonly int spare
    cdef long made
    cdef public object sharing

    cpdef int live(self)
    cpdef Ticket join(self, Pool pool, object owner, double now, long avoids=*)
    @cython.locals(pool=Pool)
    cpdef leave(self, Ticket ticket)
    cpdef bint reserve(self) except -1
    cpdef release(self)
    @cython.locals(slot=Slot, cap=Cap)
    cpdef Slot enlist(self, Pool pool, double now)
    @cython.locals(cap=Cap)
    cdef bint _admit(self, Pool pool) except -1
    @cython.locals(pool=Pool, was=int)
    cpdef int rest(self, Slot slot, double now) except -1
    @cython.locals(slot=Slot)
    cpdef Slot lend(self, Pool pool, int at, double now)
    @cython.locals(pool=Pool, was=int, cap=Cap)
    cpdef begin_close(self, Slot slot, double now)
    @cython.locals(pool=Pool, was=int, cap=Cap)
    cpdef drop(self, Slot slot, double now)
    @cython.locals(pool=Pool, cap=Cap)
    cdef int _uncount(self, Slot slot, int was) except -1
