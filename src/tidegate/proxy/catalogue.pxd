"""A worker's knowledge of what hides in the databases of one target; see catalogue.pyx."""

from tidegate.proxy.context cimport Context
from tidegate.proxy.knowledge cimport Knowledge
from tidegate.proxy.server cimport Server


cdef class Catalogue(Knowledge):
    cdef Catalogues all
    cdef readonly str database
    cdef bint known  # it has been read once
    cdef bytes fingerprint
    cdef dict memory  # of its functions, as catalogue_queries.read() keeps them
    cdef double checked_at  # seconds, loop clock: when the last reading began
    cdef double began_at
    cdef bint due  # another reading is to begin
    cdef int soon  # readings that are to begin within seconds
    cdef int failures  # in a row
    cdef object steps  # catalogue_queries.read() under way, or None
    cdef bytes wanted  # a question that waits for a server
    cdef Server asked  # which answers one
    cdef list detained  # servers that are lent when it is known
    cdef dict waiting  # client -> seconds, loop clock: when its last transaction ended

    cdef int check(self, double now, double period, Server idle) except -1
    cdef bint is_overdue(self, double now, double period) noexcept
    cdef bint wants(self) noexcept
    cdef bint offer(self, Server server) except -1
    cdef int answered(self, Server server, list rows, object error) except -1
    cdef int advance(self, list rows) except -1
    cdef int done(self, object reading) except -1
    cdef int failed(self, object error) except -1
    cdef int find_server(self) except -1
    cdef int ask(self, Server server) except -1


cdef class Catalogues:
    cdef object target
    cdef Context context
    cdef dict known  # database -> Catalogue
    cdef bint wanting  # some Catalogue may want a server

    cdef Catalogue of(self, str database)
    cdef bint detains(self, Server server) except -1
    cdef bint take(self, Server server) except -1
    cdef int lost(self, Server server) except -1
