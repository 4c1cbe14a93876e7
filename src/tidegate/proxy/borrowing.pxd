"""A client and the server it borrows."""

from tidegate.proxy.pinning cimport Pinning
from tidegate.proxy.server cimport Server
from tidegate.session.facts cimport Facts
from tidegate.session.statements cimport Statement


cdef Facts UNKNOWN  # of a statement that may change anything


cdef class Borrowing(Pinning):
    cdef list heard  # statements of this transaction, if it may be audited
    cdef bint reshapes  # a statement of this transaction changes the catalogue
    cdef unsigned int stain  # this session's mark on servers where it may have set what is not known; 0: none

    cdef bint need_server(self) except -1
    cdef bint may_send(self) noexcept
    cdef int outfit(self, Server server) except -1
    cdef int rebase(self, initial) except -1
    cdef int maybe_release(self) except -1
    cdef int foresee(self, Facts facts, const char* text, Py_ssize_t size) except -1
    cdef int make_wary(self, Facts facts) except -1
    cdef int doubt(self, const char* text, Py_ssize_t size) except -1
    cdef bint judge(self) except -1
    cdef int judge_texts(self) except -1
    cdef int resume_release(self) except -1
    cdef int touch(self, Facts facts) except -1
    cdef int probe(self) except -1
    cdef bint is_audited(self) except -1
    cdef int audit(self) except -1
    cdef int hear(self, bytes text) except -1
    cdef bint has_replies_due(self) noexcept
    cdef tuple settled_context(self)
    cdef object context_of_parse(self)
    cdef Statement named(self, bytes name)
    cdef int answer(self, bytes reply) except -1
    cdef int enter_pool(self) except -1
    cdef int begin(self, object defaults, object given, object seen, double idle_timeout) except -1
