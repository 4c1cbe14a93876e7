"""The readable summary of the loop: who is called, and when."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from tidegate.engine.alarm cimport Alarm
from tidegate.engine.outbox cimport Outbox, Sender


cdef extern from "sys/epoll.h" nogil:
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLRDHUP
        EPOLLERR
        EPOLLHUP
        EPOLLET
        EPOLLEXCLUSIVE


cdef double monotonic() noexcept nogil


cdef class Handler(Sender):
    """Whatever owns a file descriptor that the loop watches."""
    cdef readonly int fd
    cdef bint queued  # is in the loop's list of handlers to be called again
    cdef unsigned int pending  # events it will be called again with

    cdef int on_event(self, unsigned int events) except -1
    cdef int on_failure(self, object error) except -1


cdef class Timer:
    cdef readonly double when
    cdef object callback
    cdef readonly bint cancelled

    cpdef void cancel(self)


cdef struct Registration:
    PyObject* handler  # owned reference
    unsigned int generation  # tells a stale event of a reused descriptor from a fresh one


cdef class Loop:
    cdef int epoll_fd
    cdef Alarm alarm
    cdef bint running
    cdef Registration* table
    cdef int table_size
    cdef list again_list
    cdef list timers
    cdef readonly double now  # seconds, CLOCK_MONOTONIC, read once a turn
    cdef char* shared  # every read lands here first; valid only until the reader returns
    cdef readonly size_t shared_size
    cdef readonly Outbox outbox  # what this turn writes

    cdef int watch(self, Handler handler, unsigned int events) except -1
    cdef int register(self, int fd, unsigned int events, uint64_t label) except -1
    cdef int unwatch(self, Handler handler) except -1
    cdef int replace(self, Handler handler, Handler other) except -1
    cdef int again(self, Handler handler, unsigned int events) except -1
    cpdef Timer call_at(self, double when, object callback)
    cpdef Timer call_later(self, double delay, object callback)
    cpdef void stop(self)
    cdef int turn(self, bint wait) except -1
    cdef int dispatch(self, Handler handler, unsigned int events) except -1
    cdef int run_again(self) except -1
    cdef double run_timers(self) except? -1


cdef class Watch(Handler):
    """A descriptor whose events go to a Python callable; level-triggered."""
    cdef readonly Loop loop
    cdef object callback

    cpdef void close(self)
