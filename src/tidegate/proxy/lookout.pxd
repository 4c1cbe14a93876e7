"""The timer of looks that a busy moment has left out."""

from tidegate.engine.loop cimport Loop
from tidegate.pool.governor cimport Governor


cdef class Lookout:
    cdef Loop loop
    cdef Governor governor
    cdef object act  # called to look
    cdef bint set  # a look is due
    cdef double pause  # seconds until then
    cdef long borrowed  # servers that had been lent when it was set

    cdef int expect(self) except -1
