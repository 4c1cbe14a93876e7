"""Declarations of `sublimits`."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.pool.shares cimport Shares
from tidegate.pool.slot_table cimport Table, Want


cdef class Part:
    cdef readonly int kind
    cdef readonly uint64_t key
    cdef public int limit
    cdef public double since
    cdef uint32_t ticket


cdef class Sublimits:
    cdef Table table
    cdef readonly int worker

    cpdef object label(self, int slot, tuple keys)
    cpdef bint admit(self, int slot, Part part) except -1
    cpdef object closing(self, int slot)
    cpdef int used(self, Part part) except -1
    cpdef int live(self, Part part) except -1
    cpdef list wanted(self)
    cpdef object publish(self, list wants)
    cpdef int allowance(self, Part part, int waiting, int idle, bint turn_over) except -1
    cdef object check_slot(self, int slot)
    cdef int survey(self, Part part, Shares *shares) noexcept
    cdef Want *want_of(self, int worker, uint64_t key) noexcept
    cdef int line_before(self, Part part, Shares *shares) noexcept
