"""What a client's statements are called."""

from tidegate.proxy.simple cimport Simple
from tidegate.session.statements cimport Naming, Statement


cdef class NameSpace(Simple):
    cdef bint is_unsure(self, bytes name) except -1
    cdef bint is_unnamed_unsure(self) except -1
    cdef int push_naming(self, int kind, Naming naming) except -1
    cdef int enter_name(self, bytes name, Statement statement) except -1
    cdef int forget(self, Naming naming) except -1
