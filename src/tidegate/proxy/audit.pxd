"""Questions asked where nothing was suspected."""

from tidegate.proxy.pinning cimport Look
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.tracking cimport Probe


cdef class AuditProbe(Probe):
    cdef list heard  # the transaction's statements
    cdef dict seen  # name -> value at the server


cdef class AuditLook(Look):
    cdef list heard


cdef int inject_audit(Relay client, list heard) except -1
