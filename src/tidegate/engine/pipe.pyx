"""The bytes between OpenSSL and the loop: a BIO over a plain struct.

Owns what was read too early and what is encrypted and not sent. Refuses to send (`tls` does, with what else leaves in this
turn), and to know anything of TLS.

Reading goes straight from the socket into OpenSSL's buffer. A read that is shorter than asked for has emptied the
socket: until the loop tells of more, OpenSSL is told to wait without another call of the kernel. Nothing here needs the
GIL: a handshake runs in a thread of its own, with all that it may read in `early`.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from tidegate.engine.openssl cimport (
    BIO, BIO_CTRL_EOF, BIO_CTRL_FLUSH, BIO_METHOD, BIO_TYPE_SOURCE_SINK, BIO_clear_retry_flags, BIO_get_data,
    BIO_get_new_index, BIO_meth_new, BIO_meth_set_ctrl, BIO_meth_set_read, BIO_meth_set_write, BIO_new, BIO_set_data,
    BIO_set_init, BIO_set_retry_read,
)

cdef extern from "sys/socket.h" nogil:
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)

cdef enum:
    SMALLEST = 4096  # bytes


cdef int pipe_read(BIO* bio, char* into, int size) noexcept nogil:
    cdef Pipe* pipe = <Pipe*>BIO_get_data(bio)
    cdef Py_ssize_t got
    BIO_clear_retry_flags(bio)
    if pipe.early_size:
        got = min(<size_t>size, pipe.early_size)
        memcpy(into, pipe.early + pipe.early_start, got)
        pipe.early_start += got
        pipe.early_size -= got
        if not pipe.early_size:
            free(pipe.early)
            pipe.early = NULL
            pipe.early_start = 0
        return <int>got
    if pipe.at_end or pipe.broken:
        return 0
    if pipe.left <= 0:
        pipe.exhausted = True
    if pipe.fd < 0 or pipe.emptied or pipe.left <= 0:
        BIO_set_retry_read(bio)
        return -1
    pipe.left -= 1
    got = recv(pipe.fd, into, size, 0)
    while got < 0 and errno == EINTR:
        got = recv(pipe.fd, into, size, 0)
    if got > 0:
        pipe.emptied = got < size and not pipe.watchful
        return <int>got
    if got == 0:
        pipe.at_end = True
        return 0
    if errno == EAGAIN:
        pipe.emptied = True
        BIO_set_retry_read(bio)
        return -1
    pipe.broken = True
    return 0


cdef int pipe_write(BIO* bio, const char* data, int size) noexcept nogil:
    cdef Pipe* pipe = <Pipe*>BIO_get_data(bio)
    cdef size_t capacity = pipe.out_capacity
    cdef unsigned char* larger
    BIO_clear_retry_flags(bio)
    if pipe.out_size + size > capacity:
        capacity = max(2 * capacity, pipe.out_size + size, <size_t>SMALLEST)
        larger = <unsigned char*>realloc(pipe.out, capacity)
        if larger == NULL:
            return -1
        pipe.out = larger
        pipe.out_capacity = capacity
    memcpy(pipe.out + pipe.out_size, data, size)
    pipe.out_size += size
    return size


# What one pipe wrote to, and the next one may: a pipe's bytes are sent before another's are written.
cdef unsigned char* spare = NULL


cdef void borrow_out(Pipe* pipe) noexcept:
    """Have what OpenSSL writes next go to a buffer that is there already."""
    global spare
    if pipe.out == NULL and spare != NULL:
        pipe.out, spare = spare, NULL
        pipe.out_capacity = SMALLEST


cdef void return_out(Pipe* pipe) noexcept:
    """What was written has been sent: a connection at rest has no buffer."""
    global spare
    if spare == NULL and pipe.out_capacity == SMALLEST:
        spare = pipe.out
    else:
        free(pipe.out)
    pipe.out = NULL
    pipe.out_size = pipe.out_capacity = 0


cdef long pipe_ctrl(BIO* bio, int what, long number, void* pointer) noexcept nogil:
    if what == BIO_CTRL_FLUSH:
        return 1
    if what == BIO_CTRL_EOF:
        return (<Pipe*>BIO_get_data(bio)).at_end
    return 0


cdef BIO_METHOD* make_method() except NULL:
    cdef BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, b"tidegate")
    if made == NULL:
        raise ImportError("OpenSSL makes no BIO")
    BIO_meth_set_read(made, pipe_read)
    BIO_meth_set_write(made, pipe_write)
    BIO_meth_set_ctrl(made, pipe_ctrl)
    return made


cdef BIO_METHOD* METHOD = make_method()


cdef BIO* new_bio(Pipe* pipe) noexcept nogil:
    """A BIO over this pipe, which must outlive it; NULL without memory."""
    cdef BIO* bio = BIO_new(METHOD)
    if bio != NULL:
        BIO_set_data(bio, pipe)
        BIO_set_init(bio, 1)
    return bio


cdef int put_early(Pipe* pipe, const char* data, size_t size) except -1:
    """Bytes that OpenSSL is to read before all others."""
    cdef unsigned char* larger
    if not size:
        return 0
    if pipe.early_start:
        memmove(pipe.early, pipe.early + pipe.early_start, pipe.early_size)
        pipe.early_start = 0
    larger = <unsigned char*>realloc(pipe.early, pipe.early_size + size)
    if larger == NULL:
        raise MemoryError
    pipe.early = larger
    memcpy(pipe.early + pipe.early_size, data, size)
    pipe.early_size += size
    return 0


cdef void free_pipe(Pipe* pipe) noexcept nogil:
    free(pipe.early)
    free(pipe.out)
    pipe.early = pipe.out = NULL
    pipe.early_size = pipe.early_start = pipe.out_size = pipe.out_capacity = 0
