"""The messages of a client that has logged in."""

from tidegate.proxy.sql_prepared cimport SqlPrepared
from tidegate.session.facts cimport Facts


cdef class Relay(SqlPrepared):
    cdef Py_ssize_t continue_body(self, const char* data, Py_ssize_t size) except -1
    cdef int scanned(self, Facts facts) except -1
    cdef int request(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int dispatch(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int on_function_call(self, const char* message, Py_ssize_t available) except -1
    cdef int on_sync(self, const char* message) except -1
    cdef int on_copy(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
