"""A server whose replies are read."""

from cpython.object cimport PyObject

from tidegate.proxy.server cimport Server


cdef class Backend(Server):
    cdef bytes instead  # what is told in place of an error

    cdef int relay_instead(self) except -1
    cdef int missing(self, bytes whole) except -1
    cdef int retell(self, object note, bytes whole) except -1
    cdef int relay_run(self, const char* data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef Py_ssize_t log_in(self, const char* data, Py_ssize_t size) except -1
    cdef int reply(self, int type, const char* body, Py_ssize_t size) except -1
    cdef int error_reply(self, const char* body, Py_ssize_t size) except -1
    cdef int ready_reply(self, int status) except -1
    cdef int notification_reply(self, const char* body, Py_ssize_t size) except -1
    cdef int parameter_reply(self, const char* body, Py_ssize_t size) except -1
    cdef int answer_locals(self) except -1
    cdef int plan_changed(self, PyObject* note) except -1
    cdef int undo(self, object note, bint failed) except -1
