"""What a client's session needs to know of its database; see knowledge.pyx."""

from tidegate.proxy.server cimport Borrower
from tidegate.session.names cimport NameSet


cdef class Knowledge:
    cdef readonly NameSet names  # None: nothing hides
    cdef readonly bint changing  # it is being read anew, and what runs meanwhile is judged afterwards
    cdef bint reads_sequences  # somebody has asked for currval() or lastval() here, or a function may

    cdef int changed(self) except -1
    cdef int doubted(self) except -1
    cdef int wait(self, Borrower client) except -1


cdef Knowledge NOTHING
