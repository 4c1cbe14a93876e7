cimport cython

from tidegate.pool.slot cimport Slot, Ticket


@cython.final
@cython.freelist(16)
cdef class Lend:
    cdef readonly Ticket ticket
    cdef readonly Slot slot


@cython.final
cdef class Open:
    cdef readonly Slot slot


@cython.final
cdef class Close:
    cdef readonly Slot slot
    cdef readonly object reason
