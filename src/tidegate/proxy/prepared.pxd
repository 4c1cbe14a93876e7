"""The messages of a client's prepared statements."""

from tidegate.proxy.description cimport ShapeCheck, TypesTold
from tidegate.proxy.namespace cimport NameSpace
from tidegate.session.facts cimport Facts
from tidegate.session.statements cimport Meaning, Naming, Statement


cdef class Prepared(NameSpace):
    cdef dict portals  # of those whose Execute is more than the server's affair: name -> Statement, Meaning; or None
    cdef ShapeCheck checking  # under way, or None
    cdef bytes failure  # body of the ErrorResponse by which a check has ended the client's transaction, or None
    cdef const char* input_end  # of what has come from the client and is being processed
    cdef bint executed  # something of this batch was passed on for execution

    cdef int on_parse(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int name_known(self, bytes name, Statement statement, const char* message, Py_ssize_t name_end,
                        Py_ssize_t whole) except -1
    cdef bint describes_next(self, const char* message, Py_ssize_t whole, Py_ssize_t portal_size) noexcept
    cdef int recheck(self, Statement statement) except -1
    cdef TypesTold types_of_unnamed(self, Statement statement)
    cdef int describe_named(self, Statement statement) except -1
    cdef bint may_run(self, Statement statement) except -1
    cdef int use(self, Statement statement) except -1
    cdef Statement current(self, bytes name, Statement statement)
    cdef int take_effect(self, Statement statement) except -1
    cdef int foresee_prepared(self, Statement statement) except -1
    cdef int bound(self, bytes portal, Statement statement, Meaning meaning) except -1
    cdef bint renaming_under_way(self) except -1
    cdef Meaning meant(self, Statement statement)
    cdef int parse_meant(self, bytes name, Statement statement) except -1
    cdef int execute_meant(self, Meaning meaning, const char* message, Py_ssize_t whole) except -1
    cdef int on_bind(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1
    cdef int on_describe(self, const char* message, Py_ssize_t whole) except -1
    cdef int on_execute(self, const char* message, Py_ssize_t whole) except -1
    cdef int restore_aside(self, Facts facts) except -1
    cdef Naming forgotten_by(self, Statement statement)
    cdef int on_close(self, const char* message, Py_ssize_t whole) except -1
