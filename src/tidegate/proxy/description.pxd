"""Describe of a prepared statement."""

from tidegate.proxy.client cimport Client
from tidegate.proxy.server cimport Injection, Server
from tidegate.session.statements cimport Statement


cdef bytes PLAN_CHANGED  # body of an ErrorResponse

cdef int drop(Server server, Statement statement) except -1
cdef int close_copy(Server server, Statement statement) except -1


cdef class Description(Injection):
    """A statement is described: to its client, or to the proxy."""
    cdef Statement statement
    cdef bytes shape
    cdef bint done
    cdef long long generation  # when it was asked for

    cdef int parameters_told(self, Server server, bytes types) except -1
    cdef int types_differ(self, Server server, bytes types) except -1
    cdef int described(self, Server server, bytes shape) except -1


cdef class TypesTold(Description):
    """The unnamed statement is described to its client."""
    cdef Client client


cdef class ShapeCheck(Description):
    """Is the result of a statement still what clients were told, at a server that parses it anew?"""
    cdef bytes failure  # body of the ErrorResponse that this met, or None
