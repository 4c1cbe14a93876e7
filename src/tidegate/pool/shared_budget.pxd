"""Declarations of `shared_budget`: what other compiled modules may call without Python's help."""

from libc.stdint cimport uint32_t

from tidegate.pool.shares cimport Shares
from tidegate.pool.slot_table cimport WORKER_LIMIT, Table

cdef class SharedBudget:
    cdef readonly Table table
    cdef readonly int worker
    cdef int hint  # where to search first
    cdef int patience  # how many more times excess() waits for other workers
    cdef int asked  # how often owed() was asked while slots are lent in turns

    cpdef int acquire(self) except -2
    cpdef object free(self, int slot)
    cpdef object note(self, int slot, unsigned int pid, unsigned int port)
    cpdef int held(self) except -1
    cpdef object report(self, int waiting, int idle)
    cpdef int excess(self, int idle, int closing) except -1
    cpdef int may_idle(self, int most) except -1
    cpdef int owed(self, int idle) except -1
    cdef object check_held(self, int slot)
    cdef bint all_noticed(self, uint32_t lowered) noexcept
    cdef bint others_wait(self) noexcept
    cdef bint entitled(self) noexcept
    cdef int draw_ticket(self) noexcept
    cdef void weigh(self, Shares *shares) noexcept
