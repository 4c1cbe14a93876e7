"""A non-blocking byte stream over a connected socket.

Owns: the descriptor, and the bytes that the kernel would not take yet. Refuses: to interpret bytes, to bound what its
owner writes (the owner stops its source when `out_len` grows), and to call its owner from within the owner's own call.

What is written waits for the end of the turn (`write_soon`, see `outbox`) or leaves at once (`write`), always in order.
An encrypted stream (`tls`) overrides `read`, `write` and `write_soon`, and sends by `put` and `put_soon` as this one does.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove
from posix.unistd cimport close as posix_close

from tidegate.engine.loop cimport EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Handler, Loop
from tidegate.engine.outbox cimport LONGEST, try_send

cdef extern from "sys/socket.h" nogil:
    enum:
        SHUT_WR
        SOL_SOCKET
        SO_ERROR
    enum:
        AF_UNIX
    struct sockaddr:
        unsigned short sa_family
    ctypedef unsigned int socklen_t
    int getsockname(int fd, sockaddr* address, socklen_t* size)
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    int shutdown(int fd, int how)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)

cdef enum:
    SMALLEST_OUT = 1024  # bytes


cdef inline Py_ssize_t outcome(Py_ssize_t sent) noexcept:
    """What a send came to: a negative errno is WOULD_BLOCK or BROKEN."""
    if sent >= 0:
        return sent
    return WOULD_BLOCK if sent == -EAGAIN else BROKEN


cdef class StreamOwner:
    cdef int readable(self) except -1:
        """Bytes (or the end) may be there: read until WOULD_BLOCK, or come back by Loop.again."""
        return 0

    cdef int drained(self) except -1:
        """All that was kept for lack of room has been sent."""
        return 0

    cdef int hung_up(self) except -1:
        """The other end closed; bytes it sent before may still wait to be read."""
        return 0

    cdef int connected(self, int error) except -1:
        """An outgoing connection stands (error 0) or failed (errno)."""
        return 0

    cdef int secured(self) except -1:
        """From here on the stream is encrypted."""
        return 0

    cdef int insecure(self, str words) except -1:
        """The handshake has failed; nothing can be sent any more."""
        return 0

    cdef int failed(self, object error) except -1:
        """One of the above raised: end this session."""
        raise error


cdef class Stream(Handler):
    def __dealloc__(self):
        free(self.out)
        if self.fd >= 0:
            posix_close(self.fd)

    cdef Py_ssize_t receive(self, char* into, size_t size) noexcept:
        cdef Py_ssize_t got
        while True:
            got = recv(self.fd, into, size, 0)
            if got >= 0:
                return got
            if errno != EINTR:
                return WOULD_BLOCK if errno == EAGAIN else BROKEN

    cdef Py_ssize_t transmit(self, const char* data, size_t size) noexcept:
        return outcome(try_send(self.fd, data, size))

    cdef Py_ssize_t read(self, char* into, size_t size) except? -3:
        """Bytes read; 0 at the end; WOULD_BLOCK; BROKEN."""
        cdef Py_ssize_t got
        if self.fd < 0:
            return BROKEN
        got = self.receive(into, size)
        # A short read emptied the socket, and an edge will tell of more, unless the end was announced already.
        if got < 0 or (<size_t>got < size and not self.peer_closed):
            self.may_read = False
        return got

    cdef int write(self, const char* data, size_t size) except -1:
        """Send at once and keep the rest. A failure is reported later, by on_event."""
        return self.put(data, size)

    cdef int write_soon(self, const char* data, size_t size) except -1:
        """Send at the end of this turn, together with what other streams write."""
        return self.put_soon(data, size)

    cdef int put(self, const char* data, size_t size) except -1:
        self.settle()
        if self.fd < 0 or self.broken or size == 0:
            return 0
        if self.out_len or self.connecting:
            return self.keep(data, size)
        return self.took(data, size, self.transmit(data, size))

    cdef int put_soon(self, const char* data, size_t size) except -1:
        if self.staged or self.out_len or self.connecting or size > LONGEST or self.fd < 0 or self.broken:
            return self.put(data, size)
        if size:
            self.loop.outbox.put(self, self.fd, data, size)
            self.staged = True
        return 0

    cdef int settle(self) except -1:
        """Send what waits for the end of the turn: from here on, `out_len` says what the kernel did not take."""
        if self.staged:
            self.loop.outbox.flush()
        return 0

    cdef int sent(self, const char* data, size_t size, Py_ssize_t result) except -1:
        self.staged = False
        return self.took(data, size, outcome(result))

    cdef int took(self, const char* data, size_t size, Py_ssize_t sent) except -1:
        """Of these bytes, `sent` have left: keep the rest. Or WOULD_BLOCK, or BROKEN."""
        if sent == <Py_ssize_t>size:
            return 0
        if sent == BROKEN:
            self.broken = True
            return self.loop.again(self, EPOLLHUP)
        sent = max(sent, 0)
        return self.keep(data + sent, size - sent)

    cdef int keep(self, const char* data, size_t size) except -1:
        cdef size_t capacity = self.out_capacity
        cdef char* larger
        if self.out_start + self.out_len + size > capacity:
            if self.out_start:
                memmove(self.out, self.out + self.out_start, self.out_len)
                self.out_start = 0
            if self.out_len + size > capacity:
                capacity = max(capacity * 2, self.out_len + size, <size_t>SMALLEST_OUT)
                larger = <char*>realloc(self.out, capacity)
                if larger == NULL:
                    raise MemoryError
                self.out = larger
                self.out_capacity = capacity
        memcpy(self.out + self.out_start + self.out_len, data, size)
        self.out_len += size
        return 0

    cdef int flush(self) except -1:
        cdef Py_ssize_t sent
        while self.out_len:
            sent = self.transmit(self.out + self.out_start, self.out_len)
            if sent == BROKEN:
                self.broken = True
                self.out_len = 0
                break
            if sent < 0:
                return 0
            self.out_start += sent
            self.out_len -= sent
        free(self.out)
        self.out = NULL
        self.out_start = self.out_capacity = 0
        return 0

    cdef int hand_over(self, Stream other) except -1:
        """Give the socket, and what it was not sent yet, to another stream; this one is closed by it."""
        self.settle()
        other.fd, other.loop, other.owner = self.fd, self.loop, self.owner
        other.out, other.out_start, other.out_len = self.out, self.out_start, self.out_len
        other.out_capacity = self.out_capacity
        other.peer_closed, other.broken, other.connecting = self.peer_closed, self.broken, self.connecting
        self.loop.replace(self, other)
        self.fd = -1
        self.out = NULL
        self.out_start = self.out_len = self.out_capacity = 0
        self.owner = None
        self.may_read = False
        return 0

    cdef int end_writing(self) except -1:
        """Tell the other end that nothing more comes; reading goes on."""
        self.settle()
        if self.fd >= 0:
            shutdown(self.fd, SHUT_WR)
        return 0

    cdef int close(self) except -1:
        """Close at once; kept bytes are lost. Harmless when closed already."""
        cdef int fd = self.fd
        self.settle()
        if fd >= 0:
            self.loop.unwatch(self)
            self.fd = -1
            posix_close(fd)
        free(self.out)
        self.out = NULL
        self.out_start = self.out_len = self.out_capacity = 0
        self.owner = None
        self.may_read = False
        return 0

    cdef int on_event(self, unsigned int events) except -1:
        cdef StreamOwner owner = self.owner
        cdef int error = 0
        cdef socklen_t size = sizeof(error)
        if owner is None:
            return 0
        if self.connecting:
            if not events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                return 0
            getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &error, &size)
            self.connecting = False
            if not error:
                self.flush()
            owner.connected(error)
            if self.fd < 0 or error:
                return 0
        elif events & EPOLLOUT and self.out_len:
            self.flush()
            if self.out_len == 0 and not self.broken:
                owner.drained()
        if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) and self.fd >= 0:
            self.peer_closed = True
            self.may_read = True
            owner.hung_up()
        if events & EPOLLIN:
            self.may_read = True
        if self.may_read and self.fd >= 0:
            owner.readable()
        return 0

    cdef int on_failure(self, object error) except -1:
        if self.owner is None:
            self.close()
        else:
            self.owner.failed(error)
        return 0


cdef bint is_local(Stream stream) noexcept:
    """Whether it is a Unix socket."""
    cdef sockaddr address
    cdef socklen_t size = sizeof(address)
    return getsockname(stream.fd, &address, &size) == 0 and address.sa_family == AF_UNIX


cdef Stream attach(Loop loop, int fd, StreamOwner owner, bint connecting):
    """A stream over a connected (or connecting) non-blocking socket, watched from now on."""
    cdef Stream stream = Stream.__new__(Stream)
    stream.fd = fd
    stream.loop = loop
    stream.owner = owner
    stream.connecting = connecting
    loop.watch(stream, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
    return stream
