"""The epoll loop of a worker process.

Owns: the table of watched descriptors, timers, the shared read buffer, the clock of one turn.
Refuses: to know what is behind a descriptor. An exception of one handler ends that handler, never the loop.

How a turn goes: wait for events (the GIL is released only there), read the clock once, call each handler, then those
that asked to be called again (they stopped early, for fairness or because bytes wait for them), then the timers that
are due; then what all of them wrote leaves (`outbox`). Descriptors are registered once and edge-triggered, so a steady
connection costs no epoll_ctl. A wait has no timeout: the `alarm` ends it when a timer is due.
"""

import heapq
import logging
import signal

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_DECREF
from libc.errno cimport EINTR, errno
from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset, strerror
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close as posix_close

from tidegate.engine.alarm cimport Alarm

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum:
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)

logger = logging.getLogger(__name__)

DEF_SHARED_SIZE = 65536  # bytes; one read's worth, as large as a loopback socket usually hands over at once

cdef enum:
    BATCH = 256  # events taken from the kernel at once
    ALARM = 0xFFFFFFFF  # stands where a handler's descriptor does


cdef double monotonic() noexcept nogil:
    """Seconds of CLOCK_MONOTONIC."""
    cdef timespec ts
    clock_gettime(CLOCK_MONOTONIC, &ts)
    return <double>ts.tv_sec + <double>ts.tv_nsec * 1e-9


cdef class Handler:
    def __cinit__(self):
        self.fd = -1

    cdef int on_event(self, unsigned int events) except -1:
        """Called with the epoll events of its descriptor."""
        raise NotImplementedError(type(self).__name__)

    cdef int on_failure(self, object error) except -1:
        """Called when on_event raised: end this handler, and only this one."""
        raise error


cdef class Timer:
    cpdef void cancel(self):
        """Forget the call; harmless if it was made already."""
        self.cancelled = True
        self.callback = None

    def __lt__(self, Timer other):
        return self.when < other.when


cdef class Loop:
    """One per worker process; not safe to share among threads."""

    def __cinit__(self):
        self.epoll_fd = -1
        self.shared_size = DEF_SHARED_SIZE
        self.shared = <char*>malloc(self.shared_size)
        self.table_size = 1024
        self.table = <Registration*>calloc(self.table_size, sizeof(Registration))
        if self.shared == NULL or self.table == NULL:
            raise MemoryError
        self.again_list = []
        self.timers = []
        self.outbox = Outbox()
        self.now = monotonic()
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, strerror(errno).decode())
        self.alarm = Alarm()
        self.register(self.alarm.fd, EPOLLIN | EPOLLET, ALARM)

    def __dealloc__(self):
        cdef int fd
        if self.table != NULL:
            for fd in range(self.table_size):
                if self.table[fd].handler != NULL:
                    Py_DECREF(<object>self.table[fd].handler)
            free(self.table)
        free(self.shared)
        if self.epoll_fd >= 0:
            posix_close(self.epoll_fd)

    cdef int watch(self, Handler handler, unsigned int events) except -1:
        """Register a handler's descriptor for its whole life; raises OSError."""
        cdef int fd = handler.fd
        cdef int size = self.table_size
        cdef Registration* larger
        if fd >= size:
            while fd >= size:
                size *= 2
            larger = <Registration*>realloc(self.table, size * sizeof(Registration))
            if larger == NULL:
                raise MemoryError
            memset(larger + self.table_size, 0, (size - self.table_size) * sizeof(Registration))
            self.table = larger
            self.table_size = size
        self.register(fd, events, (<uint64_t>self.table[fd].generation << 32) | <uint32_t>fd)
        Py_INCREF(handler)
        self.table[fd].handler = <PyObject*>handler
        return 0

    cdef int register(self, int fd, unsigned int events, uint64_t label) except -1:
        cdef epoll_event event
        event.events = events
        event.data.u64 = label
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(errno, strerror(errno).decode())
        return 0

    cdef int unwatch(self, Handler handler) except -1:
        """Forget a handler; to be called before its descriptor is closed (closing removes it from epoll)."""
        cdef int fd = handler.fd
        if fd < 0 or fd >= self.table_size or self.table[fd].handler != <PyObject*>handler:
            return 0
        self.table[fd].handler = NULL
        self.table[fd].generation += 1
        Py_DECREF(handler)
        return 0

    cdef int replace(self, Handler handler, Handler other) except -1:
        """Have another handler called for a descriptor, from now on."""
        cdef int fd = handler.fd
        if fd < 0 or fd >= self.table_size or self.table[fd].handler != <PyObject*>handler:
            return 0
        Py_INCREF(other)
        self.table[fd].handler = <PyObject*>other
        Py_DECREF(handler)
        return 0

    def forget_descriptor(self, Handler handler):
        """Unwatch a descriptor that stays open (one that another process keeps, too)."""
        cdef int fd = handler.fd
        self.unwatch(handler)
        if fd >= 0:
            epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, fd, NULL)

    cdef int again(self, Handler handler, unsigned int events) except -1:
        """Call the handler once more, after this turn's events."""
        handler.pending |= events
        if not handler.queued:
            handler.queued = True
            self.again_list.append(handler)
        return 0

    cpdef Timer call_at(self, double when, object callback):
        """Call `callback()` at a time of this loop's clock (seconds)."""
        cdef Timer timer = Timer.__new__(Timer)
        timer.when = when
        timer.callback = callback
        heapq.heappush(self.timers, timer)
        return timer

    cpdef Timer call_later(self, double delay, object callback):
        """Call `callback()` after `delay` seconds."""
        return self.call_at(self.now + delay, callback)

    cpdef void stop(self):
        """End run() after the current turn."""
        self.running = False

    def run(self):
        """Turn until stop(). Python's own signal handlers run between turns."""
        cdef double due
        self.running = True
        while self.running:
            due = self.run_timers()
            self.outbox.flush()
            if due <= self.now or self.again_list or not self.running:
                self.turn(False)
            else:
                self.alarm.ring_by(due)
                self.turn(True)
            if self.again_list:
                self.run_again()
        self.outbox.flush()

    def run_once(self):
        """One turn that waits for nothing. Returns whether it called any handler: if not, all is at rest."""
        cdef int called
        self.run_timers()
        called = self.turn(False)
        if self.again_list:
            called += 1
            self.run_again()
        self.outbox.flush()
        return called > 0

    cdef int turn(self, bint wait) except -1:
        """Deal with the events that are there, or wait for some if there are none; returns how many there were."""
        cdef epoll_event events[BATCH]
        cdef int count, i
        cdef unsigned int fd
        cdef unsigned int generation
        cdef Registration* entry
        cdef Handler handler  # holds a reference while it runs: it may unwatch itself
        if wait:
            with nogil:
                count = epoll_wait(self.epoll_fd, events, BATCH, -1)
        else:
            count = epoll_wait(self.epoll_fd, events, BATCH, 0)
        self.now = monotonic()
        if count < 0:
            if errno != EINTR:
                raise OSError(errno, strerror(errno).decode())
            PyErr_CheckSignals()
            return 0
        for i in range(count):
            fd = <unsigned int>events[i].data.u64
            if fd == <unsigned int>ALARM:
                self.alarm.rang()
                continue
            generation = <unsigned int>(events[i].data.u64 >> 32)
            entry = &self.table[fd]
            if entry.handler != NULL and entry.generation == generation:
                handler = <Handler>entry.handler
                self.dispatch(handler, events[i].events)
        PyErr_CheckSignals()
        return count

    cdef int dispatch(self, Handler handler, unsigned int events) except -1:
        try:
            handler.on_event(events)
        except Exception as error:
            try:
                handler.on_failure(error)
            except Exception as second:
                logger.error("a handler failed while it was ended", exc_info=second)
        return 0

    cdef int run_again(self) except -1:
        cdef list due = self.again_list
        cdef Handler handler
        cdef unsigned int events
        self.again_list = []
        for item in due:
            handler = <Handler>item
            handler.queued = False
            events = handler.pending
            handler.pending = 0
            if handler.fd >= 0:
                self.dispatch(handler, events)
        return 0

    cdef double run_timers(self) except? -1:
        """Make the calls that are due; the time of the next one, infinite if there is none."""
        cdef Timer timer
        cdef list due
        if not self.timers:
            return INFINITY
        timer = <Timer>self.timers[0]
        if timer.when > self.now and not timer.cancelled:
            return timer.when
        due = []
        # Taken out before the first is called: one that asks to be called again at once waits for the next turn.
        while self.timers:
            timer = <Timer>self.timers[0]
            if timer.when > self.now and not timer.cancelled:
                break
            due.append(heapq.heappop(self.timers))
        for timer in due:
            callback = timer.callback
            if timer.cancelled:
                continue
            timer.cancel()
            try:
                callback()
            except Exception as error:
                logger.error("a timer failed", exc_info=error)
        return (<Timer>self.timers[0]).when if self.timers else INFINITY


def ignore_interrupts():
    """A worker is stopped by its supervisor; Ctrl-C reaches the whole process group and must not end it first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


cdef class Watch(Handler):
    """For what is rare: the control channel, wake-ups, messages of other workers."""

    def __init__(self, Loop loop, int fd, callback):
        self.fd = fd
        self.loop = loop
        self.callback = callback
        loop.watch(self, EPOLLIN)

    cdef int on_event(self, unsigned int events) except -1:
        if self.callback is not None:
            self.callback()
        return 0

    cdef int on_failure(self, object error) except -1:
        logger.error("a watched descriptor's callback failed", exc_info=error)
        return 0

    cpdef void close(self):
        """Watch no longer; the descriptor stays open."""
        self.loop.forget_descriptor(self)
        self.callback = None
        self.fd = -1
