"""One client's login; login.pyx has the table of its steps."""

from tidegate.auth.scram cimport ScramServer
from tidegate.auth.scram_keys cimport ScramKeys
from tidegate.engine.tls cimport TlsStream
from tidegate.proxy.borrowing cimport Borrowing
from tidegate.wire.postgres.startup cimport Startup

cdef enum Step:
    AWAITS_STARTUP
    SECURING
    READING_ROLE
    AWAITS_PASSWORD
    AWAITS_SASL_FIRST
    AWAITS_SASL_FINAL
    ADMITTED


cdef class ClientLogin:
    cdef readonly object gate  # proxy.gate.Gate
    cdef readonly Borrowing client
    cdef readonly double arrived  # seconds, loop clock
    cdef readonly str user
    cdef readonly str database
    cdef Startup packet
    cdef dict settings  # `wanted`, once it was asked for
    cdef list others  # what of the client's `options` is no setting
    cdef bytes replication  # empty: none
    cdef readonly object record  # auth.roles.RoleRecord, or None
    cdef public double asked_at  # likewise: when it began to wait for the role
    cdef object read_at  # seconds, loop clock: when the read of the role began, if it was read
    cdef bytes refuted  # the proof that did not fit what was known of the role, or None
    cdef bint looked  # at its user's secret once more
    cdef Step step
    cdef tuple encryption_asked
    cdef bint encrypted
    cdef bint direct  # without an SSLRequest before it
    cdef bytes end_point  # what the client can bind a SCRAM exchange to; b"": nothing
    cdef frozenset certified  # names in its certificate; None: it has shown none
    cdef object secret
    cdef public list spare  # further ones, against which a proof is judged that does not fit
    cdef object method  # that the client is asked for
    cdef ScramServer exchange
    cdef object question  # passwords.PasswordQuestion
    cdef object credential

    cdef Py_ssize_t take(self, const char* data, Py_ssize_t size) except -1
    cdef Py_ssize_t startup_packet(self, const char* data, Py_ssize_t size) except -1
    cdef Py_ssize_t password_packet(self, const char* data, Py_ssize_t size) except -1
    cdef int encryption_request(self, bint for_tls, bytes code, Py_ssize_t behind) except -1
    cdef int begin_tls(self, const char* early, Py_ssize_t size) except -1
    cdef int secured(self, TlsStream stream) except -1
    cdef int start(self, Startup packet) except -1
    cdef int ask(self, object secret, object record, object method) except -1
    cdef int check_certificate(self) except -1
    cdef int send_authentication(self, unsigned int kind, bytes payload) except -1
    cdef int sasl_first(self, const char* body, Py_ssize_t size) except -1
    cdef int sasl_final(self, bytes body) except -1
    cdef int password(self, bytes body) except -1
    cdef ScramKeys keys(self)
    cdef int wrong_password(self, bytes proof) except -1
    cdef int judge_again(self, bytes proof) except -1
    cdef int authenticated(self) except -1
    cdef object shown(self)

cdef ClientLogin begin_login(object gate, Borrowing client)
