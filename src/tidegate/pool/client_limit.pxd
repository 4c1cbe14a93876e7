"""One proxy's clients as one worker counts them; client_limit.pyx explains the memory."""

from libc.stdint cimport uint32_t


cdef class ClientLimit:
    cdef object memory
    cdef void *lock  # a pthread_mutex_t of the shared memory
    cdef char *cells
    cdef readonly int workers
    cdef readonly int worker
    cdef readonly int proxy

    cdef uint32_t *cell(self, int worker) noexcept
    cdef long long sum(self) noexcept
    cpdef bint admit(self, long long most) except -1
    cpdef int leave(self) except -1
