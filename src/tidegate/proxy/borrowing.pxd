"""A client and the server it borrows."""

from tidegate.proxy.server cimport Server
from tidegate.proxy.watching cimport Watching
from tidegate.session.statements cimport Statement


cdef class Borrowing(Watching):
    cdef bint need_server(self) except -1
    cdef bint may_send(self) noexcept
    cdef bint may_go(self, bytes text) except -1
    cdef void note_move(self, long number) noexcept
    cdef int outfit(self, Server server) except -1
    cdef int rebase(self, initial) except -1
    cdef int give_back(self) except -1
    cdef int maybe_release(self) except -1
    cdef int resume_release(self) except -1
    cdef void part(self) noexcept
    cdef bint owed_nothing(self) noexcept
    cdef int probe(self) except -1
    cdef tuple settled_context(self)
    cdef object context_of_parse(self)
    cdef Statement named(self, bytes name)
    cdef int answer(self, bytes reply) except -1
    cdef int enter_pool(self) except -1
    cdef int begin(self, object defaults, object given, object seen, double idle_timeout) except -1
