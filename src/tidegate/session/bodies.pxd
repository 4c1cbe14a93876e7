"""The scanner of functions' bodies; see bodies.pyx."""

from tidegate.session.findings cimport Findings
from tidegate.session.scanner cimport Scanner


cdef class Reasons(Findings):
    cdef set reasons


cdef class BodyScanner(Scanner):
    cdef readonly set words
    cdef readonly set runs
    cdef bytearray run
    cdef bint angle  # the last token was one

    cdef int end_run(self) except -1
