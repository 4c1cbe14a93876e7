"""What wakes a loop when its next timer is due.

Owns: one timerfd. Refuses: to know the timers; a loop asks it to ring, and looks itself what is due.

Why not the timeout of epoll_wait: the kernel sets a timer at each wait and cancels it at its end, which is twice a
transaction for a single client. Here one is set only when an earlier end is asked for than the one it is set to, a few
times a second. One that rings too early (its timer was cancelled) costs a turn and is set again.

Source: timerfd_create(2).
"""

from libc.errno cimport errno
from libc.math cimport INFINITY, floor
from libc.string cimport strerror
from posix.time cimport CLOCK_MONOTONIC, itimerspec
from posix.unistd cimport close as posix_close

cdef extern from "sys/timerfd.h" nogil:
    enum:
        TFD_CLOEXEC
        TFD_NONBLOCK
        TFD_TIMER_ABSTIME
    int timerfd_create(int clockid, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* new_value, itimerspec* old_value)


cdef class Alarm:
    def __cinit__(self):
        self.at = INFINITY
        self.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(errno, strerror(errno).decode())

    def __dealloc__(self):
        if self.fd >= 0:
            posix_close(self.fd)

    cdef int ring_by(self, double when) except -1:
        """Be readable at `when` (seconds of CLOCK_MONOTONIC, above 0) at the latest; raises OSError."""
        cdef itimerspec spec
        if when >= self.at:
            return 0
        spec.it_interval.tv_sec = spec.it_interval.tv_nsec = 0
        spec.it_value.tv_sec = <long>floor(when)
        # One more than the rest rounded down: rung a fraction too early, it would have to be set again at once.
        spec.it_value.tv_nsec = min(<long>((when - floor(when)) * 1e9) + 1, 999999999L)
        if timerfd_settime(self.fd, TFD_TIMER_ABSTIME, &spec, NULL) != 0:
            raise OSError(errno, strerror(errno).decode())
        self.at = when
        return 0

    cdef void rang(self) noexcept:
        """It is readable. It need not be read: its edge has passed, and the next setting begins anew."""
        self.at = INFINITY
