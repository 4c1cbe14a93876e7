"""The readable summary of a pipe: where OpenSSL's bytes come from and go to."""

from tidegate.engine.openssl cimport BIO


cdef struct Pipe:
    int fd  # read from here when `early` is used up; -1: from `early` only
    unsigned char* early  # bytes that were read before OpenSSL asked for them; owned
    size_t early_start
    size_t early_size
    unsigned char* out  # what OpenSSL has written; owned
    size_t out_size
    size_t out_capacity
    bint emptied  # the socket had no more, as far as was seen
    bint at_end  # the other end has closed
    bint broken  # reading failed
    bint watchful  # the end was announced: read until it is seen
    int left  # calls of recv that this read may still make
    bint exhausted  # it would have liked to make more


cdef BIO* new_bio(Pipe* pipe) noexcept nogil
cdef void borrow_out(Pipe* pipe) noexcept
cdef void return_out(Pipe* pipe) noexcept
cdef int put_early(Pipe* pipe, const char* data, size_t size) except -1
cdef void free_pipe(Pipe* pipe) noexcept nogil
