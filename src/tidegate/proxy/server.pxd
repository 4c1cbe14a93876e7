"""A server connection, and the three roles around it: who borrows it, who lends it, what is slipped in."""

from tidegate.engine.held cimport Held
from tidegate.engine.stream cimport StreamOwner
from tidegate.proxy.outgoing cimport Outgoing
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.replies cimport ReplyQueue

cdef enum Phase:
    LOGGING_IN
    READY
    LEAVING  # Terminate was sent; the end is awaited
    GONE


cdef class Borrower(StreamOwner):
    """Whoever a server is lent to."""
    cdef Server server

    cdef int lent(self, Server server) except -1
    cdef int refused(self, object error) except -1
    cdef int relay(self, const char* data, size_t size) except -1
    cdef bint congested(self) noexcept
    cdef int settled(self) except -1
    cdef int progressed(self) except -1
    cdef int parameter_changed(self, str name, bytes value) except -1
    cdef int parameters_due(self) except -1
    cdef int statement_failed(self, object note, bint failed) except -1
    cdef bytes called(self, bytes name)
    cdef int copy_requested(self) except -1
    cdef int unread(self, size_t size) except -1
    cdef bint notified(self, Server server, bytes body) except -1
    cdef bint hold_ready(self) except -1
    cdef int server_lost(self, object error) except -1


cdef class Injection:
    """A query of the proxy's own, or what is to happen when a client's query has ended."""
    cdef public list rows
    cdef public object error  # PgError of its failure, or None

    cdef list table(self, Py_ssize_t columns, Py_ssize_t least)
    cdef str explained(self, object error)
    cdef int completed(self, Server server, bytes tag) except -1
    cdef int finished(self, Server server) except -1


cdef class Lender:
    """Whoever opened the server and takes it back."""
    cdef int identified(self, Server server) except -1
    cdef int ready(self, Server server) except -1
    cdef int take_back(self, Server server) except -1
    cdef int lost(self, Server server, object error) except -1
    cdef int cancel(self, Server server) except -1
    cdef bint notified(self, Server server, const char* body, Py_ssize_t size) except -1


cdef class Server(Outgoing):
    cdef Lender lender
    cdef public object slot  # pool.Slot
    cdef Borrower borrower
    cdef ReplyQueue queue
    cdef public object login  # proxy.login.ServerLogin until the server is ready
    cdef readonly Phase phase
    cdef public object initial  # session.settings.Settings: what init_query has set
    cdef public bint dedicated  # started with one client's own parameters, for that client
    cdef public object applied  # likewise: what is set now
    cdef public long long stain  # whose session may have set here what is not known; 0: nobody's
    cdef long long sequences_of  # mark of the client whose values currval() and lastval() tell here (see sequences)
    cdef Injection forgetting  # of those of others
    cdef public object reported  # likewise: what ParameterStatus said last
    cdef dict prepared  # Statement -> None, least recently used first
    cdef public int max_prepared
    cdef Statement unnamed  # what the unnamed statement is; None: there is none for sure
    cdef public unsigned int pid  # of its backend; 0 until the login was taken
    cdef public unsigned int port  # that it comes from, as the database sees it; 0 on a Unix socket
    cdef public bytes key  # for CancelRequest
    cdef public int cancels  # cancel requests under way
    cdef readonly int status  # of the last ReadyForQuery
    cdef bint holds_ready  # the borrower is asked whether the end of a transaction may be told
    cdef bint untold  # the borrower was not told of a parameter, since the proxy's own question had changed it
    cdef bint erred  # an error came since the last ReadyForQuery
    cdef public bint tunnel  # bytes are passed on unread (replication)
    cdef public bint tainted  # must not be lent again
    cdef readonly object dying  # the FATAL error that the server announced
    cdef bint last_words  # the borrower will send nothing more, but reads on
    cdef bint paused  # the borrower reads too slowly
    cdef double idle_timeout  # seconds; its idle_session_timeout outside any client's session, or 0
    cdef bint watched  # by resting.Resting
    cdef Py_ssize_t body_left  # bytes of a message that is passed on in pieces
    cdef int body_action
    cdef Held held  # the start of a message whose rest has not come yet

    cdef int attach(self, Borrower borrower) except -1
    cdef int detach(self) except -1
    cdef bint is_ready_held(self) except -1
    cdef int send(self, const char* data, size_t size) except -1
    cdef int send_bytes(self, bytes data) except -1
    cdef int inject(self, bytes sql, Injection injection) except -1
    cdef int ask(self, bytes sql, list arguments, Injection injection) except -1
    cdef int ensure(self, Statement statement, tuple context) except -1
    cdef int note_prepared(self, Statement statement) except -1
    cdef int ensure_apart(self, Statement statement, tuple context, Injection note) except -1
    cdef int prepare(self, Statement statement, tuple context, Injection note) except -1
    cdef int close_prepared(self, Statement statement) except -1
    cdef int run_aside(self, list statements, Injection note=*, Statement prepared=*) except -1
    cdef int slip_in(self, list statements, Injection note=*) except -1
    cdef int ensure_unnamed(self, Statement statement) except -1
    cdef int doubt_unnamed(self) except -1
    cdef int expect_unnamed(self, int action, Statement statement, Statement former) except -1
    cdef int forget_statements(self) except -1
    cdef int resume(self) except -1
    cdef int terminate(self) except -1
    cdef int lose(self, object error) except -1
    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1
