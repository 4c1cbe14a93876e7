"""The readable summary of an encrypted stream."""

from tidegate.engine.buffers cimport Keeper
from tidegate.engine.handshakes cimport Handshakes, Job, Shaker
from tidegate.engine.openssl cimport SSL
from tidegate.engine.pipe cimport Pipe
from tidegate.engine.stream cimport Stream
from tidegate.engine.tls_context cimport TlsContext


cdef class TlsStream(Stream):
    cdef TlsContext tls
    cdef Handshakes handshakes
    cdef SSL* ssl
    cdef Pipe pipe
    cdef Job job
    cdef Keeper keeper
    cdef Turn turn
    cdef readonly bint shaking  # the handshake is not complete
    cdef bint at_work  # the thread has the SSL

    cdef int feed(self) except -1
    cdef int stepped(self) except -1
    cdef int push(self, bint soon) except -1
    cdef Py_ssize_t why_no_more(self, size_t total) except? -3
    cdef int encrypt(self, const char* data, size_t size) except -1
    cdef int refuse(self, str words) except -1
    cdef bytes peer_end_point(self)
    cdef frozenset peer_names(self)


cdef class Turn(Shaker):
    """A stream's steps in the thread."""
    cdef TlsStream stream


cdef TlsStream secure(Stream plain, TlsContext tls, Handshakes handshakes, str host, const char* early, size_t size)
