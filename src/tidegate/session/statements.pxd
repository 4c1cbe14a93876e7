"""A prepared statement by content, and the registry in which equal ones are one object."""

from tidegate.session.facts cimport Facts, Place
from tidegate.session.names cimport NameSet


cdef class Statement:
    cdef readonly bytes content  # behind the name: of a Parse message (text NUL types), or of the text of a PREPARE
    cdef readonly bint by_sql  # it was prepared by PREPARE, and is so at other servers, too
    cdef readonly Py_ssize_t lead  # characters of the text up to the end of the name, in the PREPARE that was met first
    cdef readonly object context  # what the meaning of the text depends on
    cdef readonly bytes name  # at the server
    cdef readonly Facts facts
    cdef NameSet names  # of hidden changes, by which it was judged
    cdef tuple key  # in the registry
    cdef long long generation  # of the catalogue, as far as it was seen to change, when this was last known to be right
    cdef bint stale  # its result has other columns now than clients were told
    cdef readonly bytes parameters  # their types as clients were told, in a Parse's form; None if they were not
    cdef readonly bytes shape  # of its result, as clients were told: messages.row_shape(); None if they were not

    cdef bytes text(self)
    cdef bytes prepare_sql(self)
    cdef bytes told(self)
    cdef bytes with_types(self, bytes types)


cdef class Unnamed:
    """A Parse of the unnamed statement, until the server has answered."""
    cdef readonly Statement statement
    cdef readonly Statement former  # what the client's unnamed statement was before, or None


cdef class Statements:
    cdef dict known
    cdef dict constants  # content -> Statement
    cdef Py_ssize_t sweep_at
    cdef long long serial
    cdef long long generation

    cdef Statement find(self, bytes content, Py_ssize_t text_size, object context, bint scs_on, int trail)
    cdef Statement find_sql(self, bytes content, Py_ssize_t lead, object context, bint scs_on, int trail)
    cdef Statement find_constant(self, bytes content)
    cdef Statement enter(self, tuple key)
    cdef Facts read(self, Statement statement, NameSet names)
    cdef int judge(self, Statement statement, NameSet names) except -1
    cdef Statement fresh(self, Statement statement)
    cdef Statement typed(self, Statement statement, bytes content)
    cdef int renew(self) except -1
    cdef int retire(self, Statement statement) except -1
    cdef int sweep(self) except -1


cdef class Naming:
    """What changes a client's name space (Parse, Close, DEALLOCATE, DISCARD ALL), until the server has answered."""
    cdef readonly bytes name
    cdef readonly Statement statement
    cdef readonly bint closing
    cdef readonly bytes reply  # where the proxy answers in the server's stead, or None: the server was asked
    cdef readonly dict names  # all that were there before, where all are dropped; or None
    cdef readonly bint at_server  # the server drops its own, too:
    cdef dict dropped  # these, which it has still if nothing comes of it
    cdef readonly object renamed  # proxy.naming.Renamed: how an error is told to the client, or None


cdef class Closing:
    """The Close of a statement at a server, until that has answered."""
    cdef Statement statement


cdef class Meaning:
    """What a statement that names another (EXECUTE, PREPARE) means for one client, now."""
    cdef Place place
    cdef Statement statement  # the client's
    cdef Statement derived  # the same with the server's name in it; the client's own, if it has no such name
    cdef Statement target  # what is named, or None
