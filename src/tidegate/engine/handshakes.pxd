"""The readable summary of the thread that computes handshakes."""

from tidegate.engine.loop cimport Loop, Watch
from tidegate.engine.openssl cimport SSL

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass


cdef struct Job:
    SSL* ssl
    int result  # SSL_get_error's
    unsigned long error  # OpenSSL's code, if it failed
    Job* next
    void* shaker  # the Shaker whose it is, owned


cdef struct Offering:
    double since  # seconds: the last time, or the begin of the step
    unsigned long long times


cdef class Shaker:
    """Whoever has a handshake computed."""
    cdef int worked(self) except -1


cdef class Handshakes:
    cdef Loop loop
    cdef Watch watch
    cdef readonly object thread  # None before the first handshake
    cdef int wake_fd  # counts finished jobs
    cdef pthread_mutex_t lock
    cdef pthread_cond_t some
    cdef Job* first  # waiting
    cdef Job* last
    cdef Job* finished  # newest first
    cdef bint stopping
    cdef Offering offering  # the thread's
    cdef readonly unsigned long long steps  # computed since the start

    cdef int submit(self, Job* job, Shaker shaker) except -1
    cdef void compute(self) noexcept nogil
