"""What a client calls a prepared statement, what the server calls it, and what comes of a text that names one."""

from tidegate.proxy.description cimport Description
from tidegate.proxy.prepared cimport Prepared
from tidegate.proxy.server cimport Injection, Server
from tidegate.session.facts cimport Place
from tidegate.session.statements cimport Statement


cdef enum:
    TAKES = 16  # a step: PREPARE of a name that the client has, which the server is to refuse


cdef class Renamed(Injection):
    """A text was passed on with the server's names in it."""
    cdef Prepared client
    cdef bytes text  # as the client sent it
    cdef bint single  # it holds one statement
    cdef list swaps  # (Place, Statement), in the order of the text
    cdef list steps  # of its PREPAREs and DEALLOCATEs: (PlaceKind or TAKES, name, Statement or None)
    cdef readonly list executed  # Statements
    cdef Py_ssize_t done  # steps that have ended well
    cdef bytes failure  # body of the ErrorResponse that made its own failure certain, or None

    cdef int swap(self, Place place, Statement statement) except -1
    cdef bytes renamed(self)
    cdef int take_step(self, Server server, tuple step) except -1
    cdef bytes retold(self, bytes body)
    cdef Py_ssize_t position(self, Py_ssize_t told) except -1


cdef class Preparing(Injection):
    """A statement that the server lacks is prepared ahead of a text that names it."""
    cdef Statement statement
    cdef Renamed follower

    cdef int failed(self, bytes body) except -1


cdef class Made(Description):
    """A client's own PREPARE has succeeded, and is described to the proxy."""
    cdef Prepared client
    cdef bytes name


cdef Statement taken(Server server, Py_ssize_t number)
cdef Py_ssize_t characters(bytes text) except -1
cdef bytes retold_preparing(Statement statement, bytes body)
