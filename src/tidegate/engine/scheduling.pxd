"""The readable summary of scheduling."""

cdef int only_when_idle() noexcept nogil
