cimport cython

from tidegate.pool.cap cimport Cap
from tidegate.pool.slot cimport Slot, Ticket

cdef int _FIT_DEPTH


@cython.final
cdef class Pool:
    cdef readonly tuple key
    cdef public tuple caps
    cdef public int max_size
    cdef public int allowed
    cdef public object part
    cdef public tuple labels
    cdef public int min_size
    cdef readonly long number
    cdef readonly list idle
    cdef readonly Ticket head
    cdef readonly Ticket tail
    cdef readonly int waiting
    cdef public int lent
    cdef public int opening
    cdef public int closing
    cdef public int held
    cdef public int peak
    cdef public double demand
    cdef public int quota
    cdef public double starved_from
    cdef public int generation
    cdef public object retired_for
    cdef public object refusal
    cdef readonly object backoff
    cdef public double paused_until
    cdef public double suspended_until
    cdef public double top_up_at
    cdef public double keep_for
    cdef public double keep_again_at
    cdef object __weakref__

    cpdef int live(self)
    cpdef int need(self)
    cpdef int wanted(self)
    @cython.locals(cap=Cap)
    cpdef Cap full_cap(self)
    @cython.locals(cap=Cap, crowded=bint)
    cpdef bint crowded(self) except -1
    cpdef double hungry_since(self)
    @cython.locals(top=int, bottom=int, at=int, slot=Slot)
    cpdef int fitting(self, object fit)
    @cython.locals(at=int, slot=Slot)
    cpdef int another(self, long avoids)
    @cython.locals(at=int, slot=Slot)
    cpdef int returning(self, long number)
    @cython.locals(ticket=Ticket)
    cpdef Ticket taker(self, Slot slot)
    @cython.locals(slot=Slot)
    cpdef Slot spurned(self)
    @cython.locals(top=int)
    cpdef int place(self, Slot slot) except -1
    cpdef push(self, Ticket ticket)
    @cython.locals(ahead=Ticket, behind=Ticket)
    cpdef unlink(self, Ticket ticket)
