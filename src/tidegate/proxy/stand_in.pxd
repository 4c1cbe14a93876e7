"""What is sent in place of a client's statement that names a backend by its process id."""

from tidegate.proxy.prepared cimport Prepared
from tidegate.proxy.simple cimport Simple
from tidegate.session.facts cimport Facts
from tidegate.session.statements cimport Statement

cdef int run_instead(Simple client, Facts facts, bytes text) except -1
cdef Statement told_apart(Prepared client, Statement statement)
cdef Statement bound_instead(Prepared client, Statement statement, const char* values, Py_ssize_t size)
