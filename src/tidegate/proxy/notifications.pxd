"""The connections on which a worker listens for its clients."""

from tidegate.proxy.hearing cimport Hearing
from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Lender, Server


cdef class Listeners:
    """Those of one target."""
    cdef object target
    cdef dict by_database

    cdef SharedListener of(self, str database)
    cdef SharedListener find(self, str database)
    cdef int check(self, double now) except -1
    cdef int shut(self) except -1


cdef class SharedListener(Lender):
    cdef bytes missed_notice  # told to whoever may not have heard all
    cdef readonly Context context
    cdef object target
    cdef readonly str database
    cdef Server server
    cdef object registry  # session.channels.Channels
    cdef dict joining  # Hearing -> the set of channels that it waits for
    cdef set applied  # channels that the connection listens to
    cdef set asked  # ... will, once what was sent last has ended; None if nothing is under way
    cdef bytes fence_channel
    cdef bytes encoding  # of what it says
    cdef long long serial  # of the last fence
    cdef dict fences  # serial -> Hearing
    cdef list passing  # who is called when the question under way is answered; None if there is none
    cdef list next_passing  # ... when the next one is
    cdef dict senders  # backend pid -> pid that the present sender knows itself by
    cdef bint heard  # it has listened since it was opened
    cdef bint missed  # clients are to be told that they may have missed something
    cdef double pause  # seconds before the next attempt
    cdef double asked_at  # loop clock: when the question under way was sent
    cdef double since  # loop clock: when it began to connect, or was last needed
    cdef int attempts

    cdef int join(self, Hearing hearing, set channels) except -1
    cdef int leave(self, Hearing hearing, object channels) except -1
    cdef long long new_fence(self, Hearing hearing) except -1
    cdef bint fence(self, object passed) except -1
    cdef int sync(self) except -1
    cdef int synced(self, Server server, object error) except -1
    cdef int passed(self) except -1
    cdef int fan_out(self, unsigned int pid, bytes channel, bytes rest) except -1
    cdef int tell_missed(self) except -1
    cdef bint check(self, double now) except -1
    cdef int close(self) except -1
    cdef int forget_server(self) except -1
