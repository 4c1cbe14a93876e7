"""The readable summary of what a reader holds."""

from tidegate.engine.stream cimport Stream


cdef struct Held:
    char* data
    Py_ssize_t size
    Py_ssize_t capacity


cdef Py_ssize_t read_behind(Held* held, Stream stream, char** data, Py_ssize_t* size) except? -3
cdef int keep_rest(Held* held, char* data, Py_ssize_t size, Py_ssize_t used) except -1
cdef void let_go(Held* held) noexcept
