"""What hides in a client's database, as its session sees it.

Owns the form of it, and what stands for it before a client is logged in. Refuses to find it out: `catalogue` does.
"""

from tidegate.proxy.server cimport Borrower


cdef class Knowledge:
    cdef int changed(self) except -1:
        """A transaction has ended that may have changed what hides."""
        return 0

    cdef int doubted(self) except -1:
        """Something ran that may have changed what hides, and most likely has not."""
        return 0

    cdef int wait(self, Borrower client) except -1:
        """`judge` the client, which is between transactions and keeps its server, when `changing` is over."""
        return 0


NOTHING = Knowledge()
