"""Idle servers of a target's pools, under the database's idle_session_timeout."""

from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Server


cdef class Resting:
    cdef Context context
    cdef object target  # proxy.target.Target
    cdef list watched  # servers that came back, and of which it is not sure that they will last
    cdef dict asked_at  # pool key -> seconds, loop clock

    cdef int opened(self, Server server, double timeout) except -1
    cdef int came_back(self, Server server) except -1
    cdef int watch(self, double now) except -1
    cdef int ask(self, Server server, double now) except -1
    cdef int learned(self, Server server, double timeout) except -1
    cdef int tell_clients(self, object key, double timeout) except -1
