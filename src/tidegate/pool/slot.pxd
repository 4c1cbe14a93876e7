cimport cython

cdef unsigned long long _ALLOWED


@cython.final
cdef class Slot:
    cdef readonly object pool          # a Pool; untyped because pool.pxd needs this file
    cdef readonly int budget_slot
    cdef readonly long number
    cdef readonly int state
    cdef readonly int generation
    cdef public object handle
    cdef public object fit
    cdef public double born
    cdef public double opened_at
    cdef public double idle_since
    cdef public double lent_at
    cdef public double expires_at
    cdef public long lends
    cdef public bint given

    cpdef int move(self, int state) except -1


@cython.final
@cython.freelist(64)
cdef class Ticket:
    cdef readonly object owner
    cdef readonly object pool
    cdef readonly double since
    cdef readonly long avoids
    cdef public bint alive
    cdef public Ticket ahead
    cdef public Ticket behind
