"""What leaves at the end of a turn, in one call of the kernel.

Owns: bytes that streams wrote in this turn of the loop and that have not been offered to the kernel. Refuses to keep
what the kernel does not take, and to see a stream twice: its stream sends the first before it puts the second.

Why: a send over TCP wakes its receiver, and on a machine with few cores that one is run at once, in the sender's place.
With a hundred busy clients that was 1.6 switches of process a transaction. io_uring takes the sends of a whole turn in
one system call, at whose end there is at most one. Where it is not to be had (an older kernel, a container's seccomp
filter, `io_uring = false`), each is a call of its own, as for a turn with one or two.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EINTR, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "sys/socket.h" nogil:
    enum:
        MSG_NOSIGNAL
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)

cdef extern from "ring.h" nogil:
    struct ring:
        pass
    int ring_open(ring* ring, unsigned int entries)
    void ring_close(ring* ring)
    void ring_send(ring* ring, int fd, const void* data, size_t size, unsigned int number)
    int ring_submit(ring* ring, unsigned int count, int32_t* results)

cdef enum:
    WORTH = 3  # sends from which one call for all is cheaper than one for each
    NOT_TRIED = -65536  # no errno


cdef Py_ssize_t try_send(int fd, const char* data, size_t size) noexcept:
    """Bytes that the kernel took, or a negative errno; it is not waited for."""
    cdef Py_ssize_t sent = send(fd, data, size, MSG_NOSIGNAL)
    while sent < 0 and errno == EINTR:
        sent = send(fd, data, size, MSG_NOSIGNAL)
    return sent if sent >= 0 else -errno


cdef class Sender:
    cdef int sent(self, const char* data, size_t size, Py_ssize_t result) except -1:
        """The outcome: bytes that the kernel took, or a negative errno. The bytes are valid during the call only."""
        raise NotImplementedError(type(self).__name__)


cdef class Outbox:
    def __cinit__(self):
        self.arena = <char*>malloc(ARENA)
        if self.arena == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef unsigned int i
        for i in range(self.count):
            Py_DECREF(<object>self.entries[i].sender)
        free(self.arena)
        self.without_ring()

    def with_ring(self):
        """Send by io_uring from now on. 0, or the errno that says why it is not to be had."""
        cdef ring* made
        cdef int error
        if self.ring != NULL:
            return 0
        made = <ring*>malloc(sizeof(ring))
        if made == NULL:
            raise MemoryError
        error = ring_open(made, ENTRIES)
        if error:
            free(made)
            return error
        self.ring = made
        return 0

    cpdef void without_ring(self):
        """Send by a call for each from now on."""
        if self.ring != NULL:
            ring_close(<ring*>self.ring)
            free(self.ring)
            self.ring = NULL

    cdef int put(self, Sender sender, int fd, const char* data, size_t size) except -1:
        """Take at most LONGEST bytes for a sender that has none here."""
        cdef Entry* entry
        if self.count == ENTRIES or self.used + size > ARENA:
            self.flush()
        entry = &self.entries[self.count]
        memcpy(self.arena + self.used, data, size)
        Py_INCREF(sender)
        entry.sender = <PyObject*>sender
        entry.fd = fd
        entry.start = self.used
        entry.size = size
        self.used += size
        self.count += 1
        return 0

    cdef int flush(self) except -1:
        """Offer everything to the kernel, in the order in which it came, and tell the senders."""
        cdef int32_t results[ENTRIES]
        cdef unsigned int count = self.count, i
        cdef Entry* entry
        if count == 0:
            return 0
        for i in range(count):
            results[i] = NOT_TRIED
        if count >= WORTH and self.ring != NULL:
            self.submit(results)
        self.send_each(results)
        self.count = 0
        self.used = 0
        for i in range(count):
            entry = &self.entries[i]
            sender = <Sender>entry.sender
            Py_DECREF(sender)
            sender.sent(self.arena + entry.start, entry.size, results[i])
        return 0

    cdef int submit(self, int32_t* results) except -1:
        cdef unsigned int i
        cdef Entry* entry
        for i in range(self.count):
            entry = &self.entries[i]
            ring_send(<ring*>self.ring, entry.fd, self.arena + entry.start, entry.size, i)
        if ring_submit(<ring*>self.ring, self.count, results) != 0:
            self.without_ring()
        return 0

    cdef int send_each(self, int32_t* results) noexcept:
        """Those that the ring has not tried."""
        cdef unsigned int i
        cdef Entry* entry
        for i in range(self.count):
            if results[i] == NOT_TRIED:
                entry = &self.entries[i]
                results[i] = <int32_t>try_send(entry.fd, self.arena + entry.start, entry.size)
        return 0
