"""What the scanner has found in a text so far; see findings.pyx."""

from tidegate.session.directives cimport Directive
from tidegate.session.facts cimport Facts
from tidegate.session.names cimport Effect

cdef class Findings:
    cdef int statements
    cdef unsigned int flags
    cdef dict touched               # name -> None, in order; None itself while there is none
    cdef object reason              # of the first pin
    cdef bytes deallocate
    cdef list unlistened            # as in Facts; None while there is none
    cdef list bound                 # as in Facts; None while there is none
    cdef str set_default
    cdef bint replayable
    cdef list places                # None itself while there is none

    cdef void reset(self) noexcept
    cdef int lead(self, int keyword) except -1
    cdef int name(self, int keyword) except -1
    cdef int directive(self, const Directive *d, bint odd_path) except -1
    cdef int setting(self, const Directive *d, bint odd_path) except -1
    cdef int unlisten(self, bytes name) except -1
    cdef int touch(self, str name) except -1
    cdef int touch_unknown(self) except -1
    cdef int bind(self, int param) except -1
    cdef int place(self, int kind, bytes name, Py_ssize_t start, Py_ssize_t end, Py_ssize_t stop) except -1
    cdef int hidden(self, Effect effect) except -1
    cdef int pin(self, object reason) except -1
    cdef Facts result(self)


cdef str canonical_name(bytes name)
cdef Facts facts_of_setting(bytes name)
