"""The first packet of a connection; startup.pyx reads it."""

cdef enum:
    LARGEST_STARTUP = 10000  # bytes; PostgreSQL's MAX_STARTUP_PACKET_LENGTH

cpdef enum Opening:
    STARTUP
    CANCEL
    ENCRYPTION  # SSLRequest or GSSENCRequest


cdef class Startup:
    cdef readonly Opening opening
    cdef readonly bint asks_for_tls  # an SSLRequest
    cdef readonly int minor  # the protocol 3.x spoken from now on
    cdef readonly int asked_minor
    cdef readonly bytes body  # of a StartupMessage: all of it but its length
    cdef readonly bytes user  # these four empty where they are missing
    cdef readonly bytes database
    cdef readonly bytes options
    cdef readonly bytes replication
    cdef readonly list unknown_options  # `_pq_.` names
    cdef readonly unsigned int cancel_pid
    cdef readonly bytes cancel_key

    cdef bint negotiates(self) noexcept
    cdef int read_cancel(self, const char* body, Py_ssize_t size) except -1
    cdef int read_parameters(self) except -1
    cdef int keep(self, const char* name, Py_ssize_t size, const char* value, Py_ssize_t length) except -1

cdef Startup read_startup(const char* body, Py_ssize_t size)
