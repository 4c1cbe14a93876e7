"""What leaves at the end of a turn, in one call of the kernel."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t


cdef enum:
    ENTRIES = 128  # sends in one call
    ARENA = 131072  # bytes that wait for it
    LONGEST = 8192  # bytes: a longer write does not gain from waiting


cdef Py_ssize_t try_send(int fd, const char* data, size_t size) noexcept


cdef class Sender:
    """Whoever puts bytes into an outbox."""
    cdef int sent(self, const char* data, size_t size, Py_ssize_t result) except -1


cdef struct Entry:
    PyObject* sender  # owned reference
    int fd
    size_t start
    size_t size


cdef class Outbox:
    cdef void* ring  # struct ring of ring.h; NULL without io_uring
    cdef char* arena
    cdef size_t used
    cdef Entry entries[ENTRIES]
    cdef unsigned int count

    cpdef void without_ring(self)
    cdef int put(self, Sender sender, int fd, const char* data, size_t size) except -1
    cdef int flush(self) except -1
    cdef int submit(self, int32_t* results) except -1
    cdef int send_each(self, int32_t* results) noexcept
