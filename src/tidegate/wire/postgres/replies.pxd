"""The reply queue: what a server still owes, and for whom."""

from cpython.object cimport PyObject


cdef enum Kind:
    QUERY = 0  # Query, FunctionCall: ends with ReadyForQuery, failed or not
    PARSE = 1
    BIND = 2
    DESCRIBE = 3
    EXECUTE = 4
    CLOSE = 5
    SYNC = 6
    LOCAL = 7  # nothing is owed: `note` holds bytes that the proxy answers itself, in this place
    COPY_END = 8  # nothing is owed: here the client ended a COPY


cdef enum Action:
    FORWARD = 0
    SWALLOW = 1
    CAPTURE = 2
    REPLACE = 3  # swallow, but in place of an error forward the bytes in `note`
    SHORTEN = 4  # forward, but keep ParameterStatus and ReadyForQuery back: more of the same answer follows
    TOLD = 5  # forward, and tell `note` of each CommandComplete


cdef struct Expected:
    unsigned char kind
    unsigned char action
    PyObject* note  # owned, or NULL


cdef class ReplyQueue:
    cdef Expected* ring
    cdef unsigned int capacity
    cdef unsigned int first
    cdef readonly unsigned int count
    cdef readonly bint skipping  # the server failed and ignores all up to the next Sync
    cdef readonly bint open_batch  # extended messages were sent that no Sync has ended yet
    cdef readonly bint copying_in  # the server asked for COPY data, and the client has not ended it
    cdef object finished  # note of the entry that the last reply completed
    cdef list dropped  # notes of entries that an error made void, newest first; None if there are none

    cdef Expected* at(self, unsigned int index) noexcept
    cdef bint owes_replies(self) noexcept
    cdef bint owes_ready(self) noexcept
    cdef int push(self, int kind, int action, object note) except -1
    cdef int pop(self) except -1
    cdef int arrive(self, int type) except -1
    cdef int fail(self) except -1
    cdef int begin_copy_in(self) except -1
    cdef int grow(self) except -1
    cdef void clear(self) noexcept
