"""The messages of a client that has logged in."""

from tidegate.proxy.simple cimport Simple
from tidegate.session.statements cimport Naming, Statement


cdef class Relay(Simple):
    cdef Py_ssize_t login_bytes(self, const char* data, Py_ssize_t size) except -1
    cdef Py_ssize_t continue_body(self, const char* data, Py_ssize_t size) except -1
    cdef int request(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int dispatch(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef bint is_unsure(self, bytes name) except -1
    cdef int push_naming(self, int kind, Naming naming) except -1
    cdef int pass_on(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int on_parse(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef Statement translated(self, const char* text, Py_ssize_t size)
    cdef int name_known(self, bytes name, Statement statement, const char* message, Py_ssize_t name_end,
                        Py_ssize_t whole) except -1
    cdef int force_failure(self, object error) except -1
    cdef int use(self, Statement statement) except -1
    cdef int on_bind(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int on_describe(self, const char* message, Py_ssize_t whole) except -1
    cdef int on_close(self, const char* message, Py_ssize_t whole) except -1
    cdef int on_sync(self, const char* message) except -1
    cdef int on_copy(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
