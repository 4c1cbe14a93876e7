"""A prepared statement by content, and the registry in which equal ones are one object."""

from tidegate.session.facts cimport Facts


cdef class Statement:
    cdef readonly bytes content  # the client's Parse message behind the name: text NUL types
    cdef readonly object context  # what the meaning of the text depends on
    cdef readonly bytes name  # at the server
    cdef readonly Facts facts


cdef class Statements:
    cdef dict known
    cdef Py_ssize_t sweep_at
    cdef long long serial

    cdef Statement find(self, bytes content, Py_ssize_t text_size, object context, bint scs_on, int trail)
    cdef int sweep(self) except -1


cdef class Naming:
    """What changes a client's name space (Parse, Close, DEALLOCATE, DISCARD ALL), until the server has answered."""
    cdef readonly bytes name
    cdef readonly Statement statement
    cdef readonly bint closing
    cdef readonly bytes reply  # where the proxy answers in the server's stead, or None: the server was asked
    cdef readonly dict names  # all that were there before, where all are dropped; or None
    cdef readonly bint at_server  # the server drops its own, too
