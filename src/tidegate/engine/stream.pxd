"""The readable summary of a stream: read, write, close; and what its owner is told."""

from tidegate.engine.flag cimport flag
from tidegate.engine.loop cimport Handler, Loop

cdef enum:
    WOULD_BLOCK = -1
    BROKEN = -2


cdef class StreamOwner:
    """Whoever a stream belongs to. None of these is ever called from within the owner's own call of the stream."""
    cdef int readable(self) except -1
    cdef int drained(self) except -1
    cdef int hung_up(self) except -1
    cdef int connected(self, int error) except -1
    cdef int secured(self) except -1
    cdef int insecure(self, str words) except -1
    cdef int failed(self, object error) except -1


cdef class Stream(Handler):
    cdef Loop loop
    cdef StreamOwner owner
    cdef char* out  # bytes that the kernel did not take yet
    cdef size_t out_start
    cdef size_t out_len
    cdef size_t out_capacity
    cdef flag may_read  # the kernel may have bytes for us
    cdef flag peer_closed  # the other end sent FIN, or the connection is gone
    cdef readonly flag broken  # a write failed: nothing more can be sent
    cdef flag connecting
    cdef flag staged  # bytes of this turn wait in the loop's outbox

    cdef Py_ssize_t read(self, char* into, size_t size) except? -3
    cdef int write(self, const char* data, size_t size) except -1
    cdef int write_soon(self, const char* data, size_t size) except -1
    cdef int put(self, const char* data, size_t size) except -1
    cdef int put_soon(self, const char* data, size_t size) except -1
    cdef int hand_over(self, Stream other) except -1
    cdef int settle(self) except -1
    cdef int took(self, const char* data, size_t size, Py_ssize_t sent) except -1
    cdef int end_writing(self) except -1
    cdef int close(self) except -1
    cdef int flush(self) except -1
    cdef int keep(self, const char* data, size_t size) except -1
    cdef Py_ssize_t receive(self, char* into, size_t size) noexcept
    cdef Py_ssize_t transmit(self, const char* data, size_t size) noexcept


cdef bint is_local(Stream stream) noexcept
cdef Stream attach(Loop loop, int fd, StreamOwner owner, bint connecting)
