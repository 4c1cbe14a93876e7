"""What every session of a worker shares."""

from tidegate.engine.handshakes cimport Handshakes
from tidegate.engine.loop cimport Loop
from tidegate.engine.stream cimport Stream
from tidegate.session.statements cimport Statements

cdef enum:
    HIGH_WATER = 65536  # bytes kept for a slow reader before its source is stopped
    INSPECTED = 1048576  # bytes: a longer message is passed on in pieces, and only its head is looked at
    READS_A_TURN = 16  # reads of one stream before the others get their turn


cdef class Stage:
    """Bytes on their way to one stream, gathered so that they leave in one write."""
    cdef char* buffer
    cdef size_t size
    cdef Stream stream

    cdef int put(self, Stream stream, const char* data, size_t size) except -1
    cdef int flush(self) except -1


cdef class Counters:
    """Events since the worker started; `figures` hands them to the supervisor."""
    cdef public long long clients_accepted
    cdef public long long clients_encrypted
    cdef public long long servers_encrypted
    cdef public long long clients_rejected
    cdef public long long logins
    cdef public long long logins_failed
    cdef public long long transactions
    cdef public long long queries
    cdef public long long bytes_received
    cdef public long long bytes_sent
    cdef public long long borrows
    cdef public long long borrow_waits
    cdef public long long moves
    cdef public long long stays
    cdef public double borrow_wait_seconds
    cdef public long long borrow_timeouts
    cdef public long long pins
    cdef public long long replays
    cdef public long long unpins
    cdef public long long probes
    cdef public long long looks
    cdef public long long audits
    cdef public long long audit_findings
    cdef public long long notifications
    cdef public long long notifications_sent
    cdef public long long listeners_opened
    cdef public long long listeners_lost
    cdef public long long parses_client
    cdef public long long parses_server
    cdef public long long cancels
    cdef public long long servers_opened
    cdef public long long servers_failed
    cdef public long long servers_closed


cdef class Context:
    cdef readonly Loop loop
    cdef readonly Stage to_clients
    cdef readonly Handshakes handshakes
    cdef readonly Stage to_servers
    cdef readonly Statements statements
    cdef readonly object interned  # session.settings.Interned
    cdef long long marks  # given out to clients (see borrowing and sequences)
    cdef readonly object nothing  # the Settings of those who have set nothing
    cdef readonly Counters counters
    cdef readonly object journal  # proxy.journal.Journal
    cdef public bint verbose  # whether the log has lines of level debug
    cdef public object config
    cdef public bint draining  # the worker is to end: transactions may finish, none begins
