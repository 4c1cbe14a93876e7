cimport cython

from tidegate.pool.allocator cimport Allocator
from tidegate.pool.directory cimport Directory
from tidegate.pool.ledger cimport Ledger
from tidegate.pool.pool cimport Pool
from tidegate.pool.sharing cimport Sharing
from tidegate.pool.slot cimport Slot, Ticket

cdef int _IDLE
cdef int _LENT
cdef int _OPENING
cdef double _FOREVER
cdef double _LOOK_PERIOD
cdef double _RECHECK


@cython.final
cdef class Governor:
    cdef readonly object budget
    cdef readonly Ledger ledger
    cdef readonly Allocator allocator
    cdef readonly Directory directory
    cdef readonly object reaper
    cdef readonly Sharing sharing
    cdef readonly object backoff
    cdef readonly object rng
    cdef object _server_limits
    cdef list _returned
    cdef int _surplus
    cdef int _over_limit
    cdef readonly bint unseen
    cdef bint _rotates
    cdef readonly double look_at
    cdef double _count_at
    cdef double _paused_until
    cdef double _planned_at
    cdef int _reported_waiting
    cdef int _reported_idle
    cdef long _borrowed
    cdef long _queued
    cdef long _served
    cdef double _waited
    cdef long _abandoned
    cdef long _overdue
    cdef long _failed_clients
    cdef long _opened
    cdef long _open_failures
    cdef long _closed
    cdef long _made_room

    cpdef Pool pool(self, tuple key, double now)
    @cython.locals(at=int)
    cpdef Slot borrow(self, Pool pool, double now, object fit=*, long avoids=*, long returns=*)
    @cython.locals(pool=Pool)
    cpdef bint give_back(self, Slot slot, double now) except -1
    @cython.locals(pool=Pool, ticket=Ticket, ledger=Ledger)
    cpdef Ticket pass_on(self, Slot slot, double now)
    cpdef bint must_plan(self, Pool pool, double now) except -1
    @cython.locals(at=int)
    cpdef Ticket wait(self, Pool pool, object owner, double now, long avoids=*)
    cpdef abandon(self, Ticket ticket)
    cpdef opened(self, Slot slot, double now)
    cpdef closing(self, Slot slot, double now)
    cpdef closed(self, Slot slot, double now)
    @cython.locals(slot=Slot)
    cpdef list plan(self, double now)

    cdef int _review(self, Pool pool, double now) except -1
    @cython.locals(idle=int)
    cdef int _look(self, double now) except -1
    @cython.locals(spare=int, slot=Slot, pool=Pool)
    cdef int _spare_idle(self) except -1
    @cython.locals(most=int)
    cdef int _burst(self) except -1
    cdef int _give_up(self, Slot slot, double now, list actions) except -1
    cdef int _close(self, Slot slot, object reason, double now, list actions) except -1
    @cython.locals(slot=Slot, pool=Pool)
    cdef list _settle(self, double now, list actions)
    @cython.locals(pool=Pool, ticket=Ticket)
    cdef _serve(self, Slot slot, double now, list actions)
    @cython.locals(ledger=Ledger, pool=Pool, slot=Slot)
    cdef int _open(self, double now, list actions) except -1
    @cython.locals(ledger=Ledger, capacity=int, most=int, slot=Slot)
    cdef int _make_room(self, list offers, double now, list actions) except -1
    @cython.locals(waiting=int, idle=int)
    cdef int _report(self, double now) except -1
