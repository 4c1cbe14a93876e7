"""What happens when a statement that changes the session has ended."""

from tidegate.proxy.relay cimport Relay
from tidegate.proxy.server cimport Injection, Server


cdef class Replay(Injection):
    """Settings were replayed at a borrowed server."""
    cdef Relay client
    cdef object before  # what the server had, and
    cdef object wanted  # what it was to have


cdef class Probe(Injection):
    """The values of settings that may have changed were asked for."""
    cdef Relay client
    cdef list names
    cdef bint quick
    cdef bytes text  # the statement whose effect may be remembered, or None

    cdef int ask(self, Relay client, bytes sql) except -1
    cdef int ask_for_all(self, Relay client, set names) except -1
    cdef bytes login_name(self, str name)
    cdef int one_value(self, dict at_server, dict wanted, str name, bytes value, bint own) except -1


cdef class Outcome(Injection):
    """A client's own statement of known effect has ended; it is not captured."""
    cdef Relay client


cdef class Assigned(Outcome):
    cdef str name
    cdef bytes value  # None: RESET


cdef class ResetAll(Outcome):
    cdef bint discard  # DISCARD ALL: the role goes, too, and all statements


cdef class Deallocated(Outcome):
    cdef bint counted


cdef class DeallocatedOne(Outcome):
    cdef object statement
    cdef bytes name


cdef class Restored(Injection):
    cdef Relay client


cdef class Validation(Injection):
    cdef object login
    cdef object wanted


cdef int inject_probe(Relay client, object names, bint quick, bytes text) except -1
