"""What brings an abandoned server back."""

from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Borrower, Server


cdef class Cleanup(Borrower):
    cdef readonly Context context
    cdef bint dirty  # the session left more behind than a transaction
    cdef bint doomed  # the server can't be brought back
    cdef int steps
    cdef size_t dropped  # bytes of replies that nobody reads

    cdef int take_over(self, Server server) except -1
    cdef int end_batch(self) except -1
    cdef int next_step(self) except -1
