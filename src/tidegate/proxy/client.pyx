"""A client's connection, apart from what its messages mean.

Owns: reading, holding what can't be dealt with yet, stopping when the server is slow, saying why it ends, the limits
on idleness. Refuses to interpret messages: `login` does until the client is in, `relay` from then on.

Bytes are dealt with where they were read, in the loop's shared buffer. Only what must wait (the start of a message whose
rest has not come, or all of it while the client is in the queue) is held (`engine.held`): an idle client has no buffer.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport free

from tidegate.engine.held cimport keep_rest, let_go, read_behind
from tidegate.engine.loop cimport EPOLLIN
from tidegate.engine.stream cimport BROKEN, WOULD_BLOCK, Stream, attach
from tidegate.engine.tls cimport TlsStream, secure
from tidegate.proxy.cleanup cimport Cleanup
from tidegate.proxy.context cimport HIGH_WATER, READS_A_TURN, Context
from tidegate.proxy.knowledge cimport NOTHING
from tidegate.proxy.server cimport Borrower, Lender, Server
from tidegate.wire.postgres.messages cimport error_response, parameter_status
from tidegate.errors import CloseReason, PgError, Sqlstate

logger = logging.getLogger(__name__)

cdef object CLIENT_LOST = CloseReason.CLIENT_LOST
cdef object CLIENT_LEFT = CloseReason.CLIENT_LEFT

cdef enum:
    LINGER = 2  # seconds that a refused client may take to read why


cdef class Door(Lender):
    cdef int borrow(self, Client client) except -1:
        """Lend a server now (`lent` is called), or put the client into the queue."""
        raise NotImplementedError

    cdef int abandon(self, Client client) except -1:
        """The client no longer waits."""
        raise NotImplementedError


cdef class Entrance:
    cdef int login_failed(self, Client client, object error, object reason) except -1:
        """The client is not let in; the PgError that it is told, or None. `left` follows."""
        raise NotImplementedError

    cdef int secured(self, Client client, TlsStream stream) except -1:
        """The client's connection is encrypted now."""
        raise NotImplementedError

    cdef int left(self, Client client, object reason) except -1:
        """The client's session has ended."""
        raise NotImplementedError

    cdef int forget(self, Client client) except -1:
        """The connection of a client that was told why it must go is closed."""
        raise NotImplementedError


cdef class Client(Borrower):
    def __cinit__(self):
        self.phase = ARRIVING
        self.scs_on = True

    def __dealloc__(self):
        free(self.held.data)

    def __init__(self, Context context, Entrance gate):
        self.arrive(context, gate)

    cdef int arrive(self, Context context, Entrance gate) except -1:
        """Begin; what __init__ does, without its price."""
        self.context = context
        self.gate = gate
        self.settings = self.defaults = self.given = self.seen = context.nothing
        self.catalogue = NOTHING
        self.since = self.active_at = context.loop.now
        return 0

    cpdef int open(self, int fd) except -1:
        """Take over an accepted, non-blocking socket."""
        self.stream = attach(self.context.loop, fd, self, False)
        return 0

    @property
    def server_pid(self):
        """The backend that works for this client now, or 0."""
        return self.server.pid if self.server is not None else 0

    @property
    def role(self):
        """As whom its statements run, as far as that is known: what it has set, or as whom it is at the database."""
        for name in ("role", "session_authorization"):
            value = self.settings.values.get(name, b"none")
            if value != b"none":
                return value.decode("utf-8", "surrogateescape")
        return self.pool.key[1]

    @property
    def current_server(self):
        """The server lent to this client, or None."""
        return self.server

    @property
    def is_idle(self):
        """Whether nothing is lost if the client is told to leave now: it is not logged in, or between transactions."""
        if self.phase == ARRIVING or self.phase == ENTERING or self.phase == WAITING:
            return True
        return self.phase == RUNNING and not self.ready_held and (
            self.server is None
            or (self.server.status == b'I' and self.server.queue.count == 0 and not self.server.queue.open_batch))

    # --- reading ------------------------------------------------------------------------------------------------

    cdef int readable(self) except -1:
        cdef Stream stream = self.stream
        cdef Context context = self.context
        cdef Py_ssize_t got, size = 0
        cdef char* data = NULL
        cdef int turns = 0
        if self.finished:
            # It may read on; a reset says that it does not.
            if stream.broken or stream.read(context.loop.shared, context.loop.shared_size) == BROKEN:
                self.leave(CLIENT_LOST)
            return 0
        if self.phase == WAITING or self.phase == ENTERING or self.unsure:
            return 0
        self.active_at = context.loop.now
        while stream.may_read and not self.slow_server:
            turns += 1
            if turns > READS_A_TURN:
                context.loop.again(stream, EPOLLIN)
                break
            got = read_behind(&self.held, stream, &data, &size)
            if got == WOULD_BLOCK:
                break
            if got == 0 or got == BROKEN:
                if got == 0 and self.phase == RUNNING and not stream.broken:
                    self.last_words(CLIENT_LOST)
                else:
                    self.leave(CLIENT_LOST)
                break
            context.counters.bytes_received += got
            if self.phase == LINGERING:
                self.held.size = 0
                continue
            self.processing = True
            try:
                got = self.process(data, size)
            finally:
                self.processing = False
            self.hold(data, size, got)
            if (self.phase == WAITING or self.phase == ENTERING or self.phase == CLOSED or self.unsure
                    or self.stream is not stream):
                break
        let_go(&self.held)
        context.to_servers.flush()
        context.to_clients.flush()
        return 0

    cdef int run_held(self) except -1:
        """Deal with what is held, now that it can go on.

        It may be someone else's turn: so this never reads (the shared buffer may be in use), and never raises what the
        client itself is to blame for.
        """
        cdef Py_ssize_t used = 0
        if self.held.size and not self.processing:
            self.processing = True
            try:
                used = self.process(self.held.data, self.held.size)
            except Exception as error:
                self.failed(error)
            finally:
                self.processing = False
            self.hold(self.held.data, self.held.size, used)
            let_go(&self.held)
        if self.stream is not None and self.stream.may_read and self.phase != WAITING:
            self.context.loop.again(self.stream, EPOLLIN)
        return 0

    cdef int hold(self, char* data, Py_ssize_t size, Py_ssize_t used) except -1:
        """Keep what `process` left."""
        if self.phase == CLOSED or self.phase == LINGERING:
            self.held.size = 0
            return 0
        return keep_rest(&self.held, data, size, used)

    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1:
        """Deal with whole messages; returns the bytes used."""
        raise NotImplementedError

    # --- TLS ----------------------------------------------------------------------------------------------------

    cdef int begin_tls(self, TlsContext tls, const char* early, Py_ssize_t size) except -1:
        """Encrypt the connection from here on; its login is told when that is so. `early`: what has come of it."""
        self.context.to_clients.flush()
        self.stream = secure(self.stream, tls, self.context.handshakes, "", early, size)
        return 0

    cdef int secured(self) except -1:
        if self.login is not None:
            self.gate.secured(self, <TlsStream>self.stream)
        return 0

    cdef int insecure(self, str words) except -1:
        if self.login is not None:
            error = PgError(f"TLS handshake failed: {words}", Sqlstate.PROTOCOL_VIOLATION)
            self.gate.login_failed(self, error, CloseReason.TLS_FAILED)
        return self.leave(CloseReason.TLS_FAILED)

    # --- stream and server events -------------------------------------------------------------------------------

    cdef int drained(self) except -1:
        if self.phase == LINGERING:
            self.stream.end_writing()
        elif self.server is not None and self.server.paused:
            self.server.resume()
        if self.hearing is not None:
            self.hearing.deliver()
        return self.pass_on_end()

    cdef int hung_up(self) except -1:
        if self.phase == WAITING or self.phase == ENTERING:
            # Nobody is there any more to be served: leave the queue to those who are.
            self.leave(CLIENT_LOST)
        return 0

    cdef int failed(self, object error) except -1:
        self.context.to_clients.flush()
        if isinstance(error, PgError):
            return self.refuse(error, self.gate.why_refused(self, error))
        if isinstance(error, ValueError):
            return self.refuse(PgError(str(error), Sqlstate.PROTOCOL_VIOLATION, "FATAL"), CloseReason.PROTOCOL_ERROR)
        logger.error("internal error in a client session", exc_info=error)
        return self.refuse(
            PgError("the proxy failed in this session", "XX000", "FATAL", hint="See the proxy's log."),
            CloseReason.INTERNAL_ERROR,
        )

    cdef int relay(self, const char* data, size_t size) except -1:
        self.context.counters.bytes_sent += size
        if self.phase == RUNNING:
            self.context.to_clients.put(self.stream, data, size)
        return 0

    cdef bint congested(self) noexcept:
        return self.stream.out_len > HIGH_WATER

    cdef int parameter_changed(self, str name, bytes value) except -1:
        self.seen = self.context.interned.changed(self.seen, {name: value})
        self.scs_on = self.seen.scs_on
        self.trail = self.seen.trail
        return 0

    cdef int parameters_due(self) except -1:
        return self.sync_parameters()

    cdef int sync_parameters(self) except -1:
        """Tell the client of parameters that differ from what it last saw."""
        cdef object now = self.server.reported
        if self.seen is now:
            return 0
        for name, value in now.values.items():
            if self.seen.values.get(name) != value:
                self.send_bytes(parameter_status(name.encode("utf-8", "surrogateescape"), value))
        self.seen = now
        self.scs_on = now.scs_on
        self.trail = now.trail
        return 0

    cdef int server_lost(self, object error) except -1:
        """Mid-transaction, or pinned: what the client had there is gone, as with a direct connection."""
        if error is None or error.severity not in ("FATAL", "PANIC"):
            error = PgError("server closed the connection unexpectedly", Sqlstate.CONNECTION_FAILURE, "FATAL",
                            str(error) if error is not None else "")
            return self.refuse(error, CloseReason.SERVER_LOST)
        # The server's own words have been relayed.
        self.context.to_clients.flush()
        return self.leave(CloseReason.SERVER_LOST)

    # --- writing and ending -------------------------------------------------------------------------------------

    cdef int send(self, const char* data, size_t size) except -1:
        self.context.to_clients.put(self.stream, data, size)
        return 0

    cpdef int send_bytes(self, bytes data) except -1:
        """Stage bytes for this client; they leave when the event that is being dealt with ends."""
        return self.send(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cpdef int refuse(self, object error, object reason) except -1:
        """Send an error and end; the client may take a moment to read it before the socket closes."""
        if self.phase == CLOSED or self.phase == LINGERING:
            return 0
        self.abandon_server()
        self.send_bytes(error_response(error))
        self.context.to_clients.flush()
        self.stream.settle()
        self.phase = LINGERING
        if self.login is not None:
            self.gate.login_failed(self, error, reason)
        self.since = self.context.loop.now
        self.gate.left(self, reason)
        self.login = None  # now: its login may have been waiting for something
        self.gate.worker.lingering.add(self)
        if self.stream.out_len == 0:
            self.stream.end_writing()
        if self.stream.may_read:
            self.context.loop.again(self.stream, EPOLLIN)
        return 0

    cpdef int leave(self, object reason) except -1:
        """Close at once."""
        cdef ClientPhase phase = self.phase
        cdef Client alive = self  # the last reference to it may be one of those that are given up here
        if phase == CLOSED:
            return 0
        if phase != LINGERING:
            self.abandon_server()
            self.gate.left(self, reason)
        self.phase = CLOSED
        self.context.to_clients.flush()
        if phase == LINGERING:
            self.gate.forget(self)
        self.stream.close()
        self.login = None
        self.held.size = 0
        if not alive.processing:
            let_go(&self.held)
        return 0

    cdef int last_words(self, object reason) except -1:
        """The client will send nothing more. What it has sent is answered, as it would be by the database."""
        if self.server is None or self.server.queue.copying_in or self.amid_message() or (
                self.server.queue.count == 0 and not self.server.tunnel):
            return self.leave(reason)
        self.finished = True
        self.server.last_words = True
        return self.pass_on_end()

    cdef int pass_on_end(self) except -1:
        """Who has a connection of its own to the database, whose bytes nobody reads on the way, ends that by its end."""
        cdef Server server = self.server
        if self.finished and server is not None and server.tunnel:
            self.context.to_servers.flush()
            if server.stream.out_len == 0:
                server.stream.end_writing()
        return 0

    cdef int copy_requested(self) except -1:
        """The server waits for COPY data; if the client has said its last, none will come."""
        if self.finished and self.server.queue.copying_in:
            return self.leave(CLIENT_LEFT)
        return self.progressed()

    cdef bint amid_message(self) noexcept:
        """Whether the server has the beginning of a message whose end is still to come from the client."""
        return self.body_left > 0 and self.body_mode != DISCARD

    cdef int abandon_server(self) except -1:
        """Leave the queue, or give the server up in whatever state it is."""
        cdef Server server = self.server
        cdef Hearing hearing = self.hearing
        cdef bint dirty = self.is_dirty()
        if self.clearance is not None:
            self.clearance.left()
        if self.ticket is not None:
            self.door.abandon(self)
        if self.wary:
            self.wary = False
            self.catalogue.changed()
            self.catalogue.doubted()  # what it has sent may still run
        if hearing is not None:
            self.hearing = None
            dirty = dirty or hearing.at_server
            hearing.closed()
        if server is not None:
            server.detach()
            Cleanup(self.context, dirty, self.closes_server or self.amid_message()).take_over(server)
        return 0

    cdef bint is_dirty(self) noexcept:
        """Whether something of its session may be left at its server."""
        return False

    cdef bint mid_transaction(self) noexcept:
        """Holds a server and owes it the next message."""
        cdef Server server = self.server
        if server is None:
            return False
        if server.queue.copying_in:
            return True
        if server.queue.count:
            # Without a Flush the server may keep its answers until the Sync that does not come.
            return server.queue.open_batch and not self.flushed
        return server.status != b'I' or server.queue.open_batch

    cdef int fail_request(self, object error) except -1:
        """Answer the request at the head of `held` with an error."""
        raise NotImplementedError

    cdef int check_login(self, double now, double limit) except -1:
        """The limits of a login, apart from its waits: for its role (`rolereader`) and in the queue (`target`)."""
        if now - self.since <= limit:
            return 0
        if self.phase == ARRIVING:
            self.gate.login_failed(self, None, CloseReason.LOGIN_TIMEOUT)
            return self.leave(CloseReason.LOGIN_TIMEOUT)  # as PostgreSQL, without a word
        if self.server is None:
            return 0
        return self.refuse(
            PgError("canceling authentication due to timeout", Sqlstate.QUERY_CANCELED, "FATAL",
                    "The database has not taken the start-up parameters yet.",
                    "The limit is the proxy's setting login_timeout."),
            CloseReason.LOGIN_TIMEOUT)

    cpdef int check(self, double now) except -1:
        """Called every second or so: enforce the limits on idleness."""
        cdef double idle = now - self.active_at
        cdef object proxy = self.gate.proxy
        if self.phase == LINGERING:
            if now - self.since > LINGER:
                self.leave(CloseReason.PROTOCOL_ERROR)
            return 0
        if self.phase == ARRIVING or self.phase == ENTERING:
            return self.check_login(now, proxy.login_timeout)
        if self.phase != RUNNING:
            return 0
        if self.finished and idle > LINGER and self.server is not None and self.server.queue.open_batch:
            # Its batch has no Sync and never will.
            return self.leave(CLIENT_LOST)
        if self.mid_transaction():
            if 0 < proxy.idle_in_transaction_timeout < idle:
                return self.refuse(
                    PgError("terminating connection due to idle-in-transaction timeout",
                            Sqlstate.IDLE_IN_TRANSACTION_TIMEOUT, "FATAL",
                            hint="The limit is the proxy's setting idle_in_transaction_timeout."),
                    CloseReason.IDLE_IN_TRANSACTION)
            return 0
        if self.server is not None and (self.server.queue.count or self.server.tunnel):
            return 0
        own = self.settings.idle_timeout if "idle_session_timeout" in self.settings.values else self.role_idle_timeout
        if idle > proxy.idle_client_timeout or 0 < own < idle:
            return self.refuse(
                PgError("terminating connection due to idle-session timeout", Sqlstate.IDLE_SESSION_TIMEOUT, "FATAL",
                        hint="The limit is the proxy's setting idle_client_timeout, or the session's own "
                             "idle_session_timeout."),
                CloseReason.CLIENT_IDLE)
        return 0
