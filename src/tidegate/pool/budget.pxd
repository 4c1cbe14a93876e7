cdef class LocalBudget:
    cdef public int limit
    cdef set _held
    cdef list _free

    cpdef int acquire(self) except -2
    cpdef free(self, int slot)
    cpdef int held(self) except -1
    cpdef report(self, int waiting, int idle)
    cpdef int excess(self, int idle, int closing) except -1
    cpdef int may_idle(self, int most) except -1
    cpdef int owed(self, int idle) except -1
