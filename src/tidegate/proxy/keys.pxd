"""Cancel keys of one worker's clients; keys.pyx explains them."""

from tidegate.proxy.client cimport Client

cdef enum:
    SHORT_KEY = 4  # bytes, protocol 3.0
    LONG_KEY = 32  # protocol 3.2


cdef class CancelKeys:
    cdef unsigned int worker
    cdef bytes secret
    cdef list clients  # by place: with thousands of idle clients a dict would weigh as much as what it finds
    cdef list free

    cdef int issue(self, Client client, unsigned int size) except -1
    cdef unsigned int pid_of(self, Client client) noexcept
    cdef int write_key(self, Client client, char* into) except -1
    cdef int revoke(self, Client client) except -1
