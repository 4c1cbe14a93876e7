"""PREPARE, EXECUTE and DEALLOCATE in SQL."""

from tidegate.proxy.naming cimport Renamed
from tidegate.proxy.prepared cimport Prepared
from tidegate.session.facts cimport Facts, Place
from tidegate.session.statements cimport Meaning, Statement


cdef class SqlPrepared(Prepared):
    cdef bint wait_for_names(self, tuple places) except -1
    cdef bint drop_here(self, bytes name) except -1
    cdef Statement made_by(self, bytes text, Place place, object context)
    cdef int resolve(self, Facts facts, Renamed note, list needed, list made) except -1
    cdef int bring(self, Renamed note, list needed, list made) except -1
    cdef Renamed swapped(self, Meaning meaning, bytes text)
