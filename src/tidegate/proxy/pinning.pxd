"""A client that may be bound to its server."""

from tidegate.engine.flag cimport flag
from tidegate.proxy.client cimport Client
from tidegate.proxy.server cimport Injection


cdef class Pinning(Client):
    cdef object suspected  # PinReason: what a statement of this transaction may have left at the server, or None
    cdef bytes suspect_text
    cdef readonly bytes pin_text  # the statement by which it is pinned
    cdef public double pinned_at  # seconds, loop clock
    cdef double looked_at  # seconds, loop clock
    cdef int looks  # at what is left, under way
    cdef flag disturbed  # a statement since the last look may have removed what pins
    cdef flag for_unnamed  # it is pinned for an unnamed statement that is too long to be kept, and for nothing else
    cdef flag anything  # a statement of this transaction may have set anything: `touched` and `reset_touched`, too

    cdef int may_leave(self, object reason, bytes text) except -1
    cdef bint may_be_gone(self) except -1
    cdef int look(self) except -1
    cdef int proven(self, tuple found, object suspected, bytes text) except -1
    cdef int pin_down(self, object reason, bytes text) except -1
    cdef bint adopt_channels(self) except -1
    cdef int unpin(self) except -1


cdef class Look(Injection):
    """What the session has left at its server was asked for."""
    cdef Pinning client
    cdef object suspected  # PinReason, or None: the session is pinned, and may be so no longer
    cdef bytes text

    cdef int ask(self, Pinning client) except -1
