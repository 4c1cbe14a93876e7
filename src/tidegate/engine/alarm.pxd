"""The readable summary of the alarm: when it rings."""


cdef class Alarm:
    cdef readonly int fd
    cdef double at  # when it rings, seconds of CLOCK_MONOTONIC; never, if infinite

    cdef int ring_by(self, double when) except -1
    cdef void rang(self) noexcept
