"""A client connection: its stream, what is held of its bytes, its limits. `relay.Relay` adds what its messages mean."""

from tidegate.engine.flag cimport flag
from tidegate.engine.held cimport Held
from tidegate.engine.stream cimport Stream
from tidegate.engine.tls cimport TlsStream
from tidegate.engine.tls_context cimport TlsContext
from tidegate.proxy.context cimport Context
from tidegate.proxy.hearing cimport Hearing
from tidegate.proxy.knowledge cimport Knowledge
from tidegate.proxy.server cimport Borrower, Lender, Server
from tidegate.session.statements cimport Statement

cdef enum ClientPhase:
    ARRIVING  # start-up and authentication
    ENTERING  # logged in; waits for a server to learn or check parameters
    RUNNING
    WAITING  # in the pool's queue
    LINGERING  # an error was sent; the end of the client's bytes is awaited
    CLOSED

cdef enum BodyMode:
    PASS  # the rest of a long message goes to the server
    DISCARD  # the rest of a long message goes nowhere
    SCAN  # the rest goes to the server, and is scanned as SQL on its way


cdef class Door(Lender):
    """Where a client's servers come from: its pool."""
    cdef int borrow(self, Client client) except -1
    cdef int abandon(self, Client client) except -1


cdef class Entrance:
    """By which a client came, and which must know when it goes."""
    cdef int login_failed(self, Client client, object error, object reason) except -1
    cdef int secured(self, Client client, TlsStream stream) except -1
    cdef int left(self, Client client, object reason) except -1
    cdef int forget(self, Client client) except -1


cdef class Client(Borrower):
    cdef Stream stream
    cdef readonly Context context
    cdef public Entrance gate  # proxy.gate.Gate: the configuration of the listener it came by
    cdef public object login  # proxy.login.ClientLogin until it runs
    cdef public object counted_in  # pool.client_limit.ClientLimit, or None before it was let in
    cdef public Door door
    cdef public object pool  # pool.Pool
    cdef public Knowledge catalogue  # of its database: what hides there
    cdef public object ticket  # its place in the queue
    cdef public object settings  # session.settings.Settings: what it has set
    cdef public object defaults  # what RESET returns to: init_query's values, under those that it gave itself
    cdef public object given  # what its start-up packet set
    cdef public object seen  # the parameters as it last saw them
    cdef dict statements  # name -> Statement, or None
    cdef Statement unnamed
    cdef dict unsettled  # statement names whose Parse or Close the server has not answered, or None
    cdef list doubts  # texts of this transaction that are to be judged again, or None
    cdef set touched  # names of settings that a statement of this transaction may have changed, or None
    cdef public object pin  # PinReason, or None
    cdef Hearing hearing  # None for who does not listen
    cdef object scanner  # of a statement longer than INSPECTED
    cdef public object clearance  # proxy.clearance.Clearance: what the next message waits for, and then has; or None
    cdef Held held
    cdef long last  # number of the slot of the server that it had last; 0: none yet
    cdef readonly double active_at  # seconds, loop clock: when it last sent or got something
    cdef double role_idle_timeout  # seconds; idle_session_timeout as the database, the role or its configuration has it
    cdef public double since  # when it came, or began to wait
    cdef double served_at  # seconds, loop clock: when the queue last had a server for it
    cdef public double ended_others_at  # seconds, loop clock: when it last ended sessions that it found by looking; or 0
    cdef Py_ssize_t body_left  # bytes of a long message that are still to come
    cdef public unsigned int ident  # in this worker; the low part of its BackendKeyData pid
    cdef unsigned int key_seed  # random: what its cancel key is made of
    cdef unsigned int key_size  # bytes of that key; 0 before it has one
    cdef public int probes  # that are under way
    cdef readonly int trail  # session.lexis.TrailBytes of its client_encoding
    cdef readonly ClientPhase phase
    cdef BodyMode body_mode
    cdef flag rotates  # it never gets its last server again
    cdef flag parting  # so its next message waits until what is asked there is answered, and the server has gone back
    cdef public flag elsewhere  # since a reload, its proxy has another pool for it
    cdef public flag moved  # to such a pool; its defaults are still those of the last one
    cdef flag parsed_unnamed  # in this batch
    cdef flag wary  # this transaction has made functions, or what uses suspicious ones
    cdef flag processing
    cdef flag finished  # it will send nothing more; what it asked for is still answered
    cdef flag flushed  # its last message was Flush: it waits for answers
    cdef flag unsure  # what its next message means depends on answers that are on their way
    cdef flag slow_server  # it is not read, since its server takes no more
    cdef flag skip_to_sync  # a failed batch is dropped up to its Sync
    cdef flag locally  # this transaction has settings of its own (SET LOCAL) on which the meaning of texts depends
    cdef flag reset_touched  # a RESET ran in this transaction
    cdef flag notifies  # a statement of this transaction says NOTIFY
    cdef flag ready_held  # it still has to be told that its transaction is over
    cdef readonly flag scs_on  # standard_conforming_strings
    cdef public flag closes_server  # its server is never lent to anyone else

    cdef int arrive(self, Context context, Entrance gate) except -1
    cpdef int open(self, int fd) except -1
    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1
    cdef int begin_tls(self, TlsContext tls, const char* early, Py_ssize_t size) except -1
    cdef int run_held(self) except -1
    cdef int hold(self, char* data, Py_ssize_t size, Py_ssize_t used) except -1
    cdef int send(self, const char* data, size_t size) except -1
    cpdef int send_bytes(self, bytes data) except -1
    cpdef int refuse(self, object error, object reason) except -1
    cpdef int leave(self, object reason) except -1
    cdef int last_words(self, object reason) except -1
    cdef int pass_on_end(self) except -1
    cdef int abandon_server(self) except -1
    cdef int sync_parameters(self) except -1
    cdef int check_login(self, double now, double limit) except -1
    cpdef int check(self, double now) except -1
    cdef bint amid_message(self) noexcept
    cdef bint is_dirty(self) noexcept
    cdef bint mid_transaction(self) noexcept
    cdef int fail_request(self, object error) except -1
