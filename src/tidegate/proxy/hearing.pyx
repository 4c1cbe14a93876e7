"""What a client has that listens to channels, as its session and the shared listener see it.

Owns the two interfaces. Refuses to know channels: `subscription` does.
"""

from tidegate.proxy.server cimport Server


cdef class Hearing:
    cdef int lent(self, Server server) except -1:
        """The client has borrowed a server."""
        return 0

    cdef bint from_server(self, Server server, bytes body) except -1:
        """The client's own server sends a notification: is it to be passed on as it is?"""
        return True

    cdef int settle(self) except -1:
        """A transaction is over, and ReadyForQuery was held back, or a step towards its release is done."""
        return 0

    cdef bint keeps_server(self) except -1:
        """Whether the server can't be given back yet."""
        return False

    cdef bint busy(self) noexcept:
        """Whether channels are just being handed over: nothing new is sent meanwhile."""
        return False

    cdef int deliver(self) except -1:
        """Send what has waited, if it can be sent now."""
        return 0

    cdef int given_back(self) except -1:
        """The client has no server any more."""
        return 0

    cdef int moved(self) except -1:
        """The client's servers come from another target now."""
        return 0

    cdef int closed(self) except -1:
        """The client's session has ended."""
        return 0

    cdef int hear(self, bytes message) except -1:
        """A message for the client, between its transactions."""
        return 0

    cdef int joined(self) except -1:
        """The shared listener listens to what was asked for."""
        return 0

    cdef int refused(self) except -1:
        """The shared listener has no connection."""
        return 0

    cdef int arrived(self) except -1:
        """The shared listener has come to the fence."""
        return 0

    cdef object encoding(self):
        """The client's client_encoding, as PostgreSQL spells it (bytes)."""
        return b""
