"""A connection to the database before anything is said on it."""

from tidegate.engine.stream cimport Stream, StreamOwner
from tidegate.proxy.context cimport Context


cdef class Outgoing(StreamOwner):
    cdef Stream stream
    cdef readonly Context context
    cdef public object encryption  # encryption.Encryption, or None: in clear
    cdef bint asking  # an SSLRequest was sent, and its answer is awaited
    cdef bint securing  # a handshake is under way

    cdef int established(self, bytes end_point) except -1
    cdef int unreached(self, str words) except -1
    cdef Py_ssize_t answered(self, const char* data, Py_ssize_t size) except -1
    cdef int begin_tls(self) except -1
