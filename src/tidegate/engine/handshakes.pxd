"""The readable summary of the threads that compute handshakes."""

from libc.stdint cimport uint64_t

from tidegate.engine.loop cimport Loop, Watch
from tidegate.engine.openssl cimport SSL

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass


cdef struct Job:
    Job* next  # first of all: jobs.h writes it
    SSL* ssl
    int result  # SSL_get_error's
    unsigned long error  # OpenSSL's code, if it failed
    void* shaker  # the Shaker whose it is, owned


cdef class Shaker:
    """Whoever has a handshake computed."""
    cdef int worked(self) except -1


cdef class Handshakes:
    cdef Loop loop
    cdef Watch watch
    cdef readonly list threads
    cdef int wake_fd  # counts finished jobs
    cdef void* jobs  # jobs.h's
    cdef Job* first  # those for which there was no room yet
    cdef Job* last
    cdef sem_t some  # jobs put
    cdef sem_t late  # how often the second thread was called
    cdef bint stopping
    cdef uint64_t seen  # put at the last look
    cdef bint looking
    cdef readonly unsigned long long steps  # computed since the start
    cdef readonly unsigned long long relieved  # of these, by the second thread

    cdef int submit(self, Job* job, Shaker shaker) except -1
    cdef int put(self, Job* job) noexcept
    cdef void compute(self, sem_t* signal, bint second) noexcept nogil
    cdef void shake(self, Job* job) noexcept nogil
