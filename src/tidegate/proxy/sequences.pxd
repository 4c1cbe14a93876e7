"""Whose values of sequences a server has; see sequences.pyx."""

from tidegate.proxy.server cimport Server
from tidegate.proxy.watching cimport Watching
from tidegate.session.facts cimport Facts


cdef int sequences_pass_to(Watching client, Server server) except -1
cdef int read_sequences(Watching client, Facts facts) except -1
cdef int note_sequences(Watching client, bytes text) except -1
cdef bint may_give_up(Watching client, double now) except -1
cdef int settle_sequences(Watching client) except -1
