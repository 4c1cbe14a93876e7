"""A client's simple queries."""

from tidegate.proxy.borrowing cimport Borrowing
from tidegate.session.facts cimport Facts
from tidegate.session.statements cimport Statement


cdef list restoring(dict defaults)


cdef class Simple(Borrowing):
    cdef int on_query(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int force_failure(self, bytes response) except -1
    cdef int run_query(self, Facts facts, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int run_named(self, Facts facts, const char* message, Py_ssize_t whole) except -1
    cdef int suspect(self, Facts facts, bytes text, bint alone) except -1
    cdef dict defaults_behind(self, Facts facts)
    cdef int restore(self, dict defaults) except -1
    cdef bint answer_here(self, Facts facts) except -1
    cdef int deallocate(self, Statement statement, bytes name) except -1
