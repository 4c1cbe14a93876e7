"""What a client has that listens to channels."""

from tidegate.proxy.server cimport Server


cdef class Hearing:
    """What a client has from its first LISTEN on; see `subscription`."""
    cdef readonly str user  # of its server connections
    cdef unsigned int pid  # that it knows itself by
    cdef set channels  # that the shared listener delivers to it
    cdef bint at_server  # its server listens to some, or may
    cdef bint opening  # nothing must be sent yet: what its server's last user has sent may still be on the way

    # What its client tells it.
    cdef int lent(self, Server server) except -1
    cdef bint from_server(self, Server server, bytes body) except -1
    cdef int settle(self) except -1
    cdef bint keeps_server(self) except -1
    cdef bint busy(self) noexcept
    cdef int deliver(self) except -1
    cdef int given_back(self) except -1
    cdef int moved(self) except -1
    cdef int closed(self) except -1
    # What the shared listener tells it.
    cdef int hear(self, bytes message) except -1
    cdef int joined(self) except -1
    cdef int refused(self) except -1
    cdef int arrived(self) except -1
    cdef object encoding(self)
