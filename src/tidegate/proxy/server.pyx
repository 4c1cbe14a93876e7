"""One connection to a database server, and what is sent on it.

Owns: the stream, the reply queue, what is known of the server's state (applied settings, prepared statements,
transaction status), and what is slipped in. Refuses: to read replies (`backend`), to decide to whom the server is lent
(`pool`, through its Lender), or what a client may send (`relay`).
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains
from libc.stdlib cimport free

from tidegate.engine.held cimport keep_rest, let_go, read_behind
from tidegate.engine.loop cimport EPOLLIN
from tidegate.engine.stream cimport BROKEN, WOULD_BLOCK, Stream, StreamOwner
from tidegate.proxy.context cimport READS_A_TURN, Context
from tidegate.proxy.outgoing cimport Outgoing
from tidegate.session.statements cimport Closing, Statement, Unnamed
from tidegate.wire.postgres.messages cimport (
    bind, close_statement, message, parse, query,
)
from tidegate.wire.postgres.replies cimport (
    BIND, CAPTURE, CLOSE, EXECUTE, PARSE, QUERY, SWALLOW, SYNC, ReplyQueue,
)
from tidegate.errors import PgError, Sqlstate
from tidegate.session.settings import context_change
from tidegate.wire.postgres import messages

logger = logging.getLogger(__name__)

cdef bytes TERMINATE = messages.TERMINATE
cdef bytes SYNC_MESSAGE = messages.SYNC
# Through a portal of its own: the borrower may have bound the unnamed one already.
cdef bytes RUN_ASIDE = bind(b"tidegate", b"") + message(b'E', b"tidegate\0\0\0\0\0") + message(b'C', b"Ptidegate\0")
cdef bytes EXECUTE_AND_SYNC = message(b'E', b"\0\0\0\0\0") + messages.SYNC

cdef class Borrower(StreamOwner):
    cdef int lent(self, Server server) except -1:
        """A server is this borrower's from now on."""
        return 0

    cdef int refused(self, object error) except -1:
        """No server will be lent; `error` says why."""
        return 0

    cdef int relay(self, const char* data, size_t size) except -1:
        """Bytes of the server's replies, for the borrower."""
        return 0

    cdef bint congested(self) noexcept:
        """Whether the server should stop reading until resume()."""
        return False

    cdef int settled(self) except -1:
        """ReadyForQuery came and the server owes nothing more."""
        return 0

    cdef int progressed(self) except -1:
        """ReadyForQuery came, and more is owed."""
        return 0

    cdef int parameters_due(self) except -1:
        """A ReadyForQuery of its own comes, and it may not know all parameters as they are now."""
        return 0

    cdef int parameter_changed(self, str name, bytes value) except -1:
        """A ParameterStatus in answer to the borrower's own statements."""
        return 0

    cdef int statement_failed(self, object note, bint failed) except -1:
        """The Parse or Close that this note stood for was void."""
        return 0

    cdef bytes called(self, bytes name):
        """What the borrower calls the prepared statement of this name; None if nothing else."""
        return None

    cdef int copy_requested(self) except -1:
        """The server waits for COPY data; unless `copying_in`, the borrower has sent all of it already."""
        return 0

    cdef int unread(self, size_t size) except -1:
        """A row was swallowed."""
        return 0

    cdef bint notified(self, Server server, bytes body) except -1:
        """A NotificationResponse came: is it to be passed on as it is?"""
        return True

    cdef bint hold_ready(self) except -1:
        """A transaction is over: has the borrower something to do before that is told?"""
        return False

    cdef int server_lost(self, object error) except -1:
        """The server is gone, and was not given back."""
        return 0


cdef class Injection:
    def __cinit__(self):
        self.rows = []

    cdef int completed(self, Server server, bytes tag) except -1:
        """A statement of it has ended well, with this CommandComplete; only who is TOLD learns of it."""
        return 0

    cdef int finished(self, Server server) except -1:
        """The query has ended; `error` and `rows` are complete if they were captured."""
        return 0

    cdef list table(self, Py_ssize_t columns, Py_ssize_t least):
        """The rows, if they are at least so many, of so many columns; ValueError if the server says something else."""
        cdef list rows = self.rows
        if len(rows) < least:
            raise ValueError(f"the server answered the proxy with {len(rows)} rows")
        for row in rows:
            if len(<list?>row) != columns:
                raise ValueError(f"the server answered the proxy with {len(<list>row)} columns, not {columns}")
        return rows

    cdef str explained(self, object error):
        """The server's error in words for a client, who did not send the query."""
        return error.message


cdef Statement DOUBTFUL = Statement.__new__(Statement)  # equals nobody's


cdef class Lender:
    cdef int identified(self, Server server) except -1:
        """The server has taken the login and said its process id; it is not ready yet."""
        return 0

    cdef int ready(self, Server server) except -1:
        """The server has logged in."""
        return 0

    cdef int take_back(self, Server server) except -1:
        """The borrower is done and nothing is owed."""
        return 0

    cdef int lost(self, Server server, object error) except -1:
        """The connection has ended; called once, whatever the phase."""
        return 0

    cdef int cancel(self, Server server) except -1:
        """Ask the database to cancel what the server runs."""
        return 0

    cdef bint notified(self, Server server, const char* body, Py_ssize_t size) except -1:
        """A NotificationResponse came for nobody that borrows the server; what is returned does not matter."""
        return False


cdef class Server(Outgoing):
    """One connection; `backend.Backend` adds the reading of replies."""

    def __cinit__(self):
        self.queue = ReplyQueue()
        self.prepared = {}
        self.status = b'I'
        self.phase = LOGGING_IN

    def __dealloc__(self):
        free(self.held.data)

    def __init__(self, Context context, Lender lender, slot, login, encryption):
        self.context = context
        self.encryption = encryption
        self.lender = lender
        self.slot = slot
        self.login = login
        self.initial = self.applied = self.reported = context.interned.nothing
        self.max_prepared = 500
        self.key = b""

    # --- the borrower's side ------------------------------------------------------------------------------------

    cdef int attach(self, Borrower borrower) except -1:
        self.borrower = borrower
        borrower.server = self
        return 0

    cdef int detach(self) except -1:
        """The borrower lets go; bytes that were staged for it are its own and go out as usual."""
        if self.borrower is not None:
            self.borrower.server = None
            self.borrower = None
        self.last_words = self.holds_ready = False
        if self.paused:
            self.resume()
        return 0

    cdef bint is_ready_held(self) except -1:
        """Whether the borrower has something to do before the end of all that it has asked for is told."""
        return (self.status == b'I' and self.borrower is not None and not self.queue.open_batch
                and not self.queue.owes_replies() and self.borrower.hold_ready())

    cdef int send(self, const char* data, size_t size) except -1:
        self.context.to_servers.put(self.stream, data, size)
        return 0

    cdef int send_bytes(self, bytes data) except -1:
        return self.send(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int inject(self, bytes sql, Injection injection) except -1:
        """Slip in a simple query; its replies are captured. It destroys the unnamed statement."""
        self.send_bytes(query(sql))
        self.queue.push(QUERY, CAPTURE, injection)
        self.unnamed = None
        return 0

    cdef int ask(self, bytes sql, list arguments, Injection injection) except -1:
        """Slip in a query with parameters (text format)."""
        cdef bytes values = b"".join(
            [len(each).to_bytes(4, "big") + each for each in arguments])
        self.send_bytes(parse(b"", sql, b"\0\0"))
        self.send_bytes(message(b'B', b"\0\0\0\0" + len(arguments).to_bytes(2, "big") + values + b"\0\0"))
        self.send_bytes(EXECUTE_AND_SYNC)
        self.queue.push(PARSE, SWALLOW, None)
        self.queue.push(BIND, SWALLOW, None)
        self.queue.push(EXECUTE, CAPTURE, injection)
        self.queue.push(SYNC, CAPTURE, injection)
        return self.doubt_unnamed()

    cdef int ensure(self, Statement statement, tuple context) except -1:
        """See to it that a statement is prepared here, and is the most recently used one.

        `context` is what the borrower has set of what parsing depends on, or None if that is not known now. If it has
        changed since its Parse, the old settings come back for as long as the statement is parsed.
        """
        cdef dict prepared = self.prepared
        if PyDict_Contains(prepared, statement):
            if len(prepared) > 1:
                del prepared[statement]
                prepared[statement] = None
            return 0
        self.prepare(statement, context, None)
        return self.note_prepared(statement)

    cdef int ensure_apart(self, Statement statement, tuple context, Injection note) except -1:
        """The same ahead of a simple query: in a batch of its own, of whose end `note` is told."""
        if statement in self.prepared:
            return self.ensure(statement, context)
        self.prepare(statement, context, note)
        self.note_prepared(statement)
        self.send_bytes(SYNC_MESSAGE)
        return self.queue.push(SYNC, CAPTURE, note)

    cdef int prepare(self, Statement statement, tuple context, Injection note) except -1:
        """Have a statement parsed by the way it was first prepared; `note`: captures the replies, or None."""
        changed = context is not None and isinstance(statement.context, tuple) and statement.context != context
        if changed:
            self.run_aside(context_change(context, statement.context), note)
        if statement.by_sql:
            self.run_aside([statement.prepare_sql()], note, statement)
        else:
            self.send_bytes(message(b'P', statement.name + b"\0" + statement.told()))
            if note is None:
                self.queue.push(PARSE, SWALLOW, statement)
            else:
                self.queue.push(PARSE, CAPTURE, note)
        if changed:
            self.run_aside(context_change(statement.context, context), note)
        return 0

    cdef int note_prepared(self, Statement statement) except -1:
        """The server has been sent a Parse of this: the least recently used statement makes room if it must."""
        cdef dict prepared = self.prepared
        self.context.counters.parses_server += 1
        prepared[statement] = None
        while len(prepared) > self.max_prepared:
            self.close_prepared(<Statement>next(iter(prepared)))
        return 0

    cdef int close_prepared(self, Statement statement) except -1:
        """Drop the server's copy of a statement."""
        cdef Closing note = Closing.__new__(Closing)
        note.statement = statement
        del self.prepared[statement]
        self.send_bytes(close_statement(statement.name))
        return self.queue.push(CLOSE, SWALLOW, note)

    cdef int run_aside(self, list statements, Injection note=None, Statement prepared=None) except -1:
        """Slip utility statements into the borrower's batch, within its transaction.

        `note` captures the replies; without one they are swallowed, and a failure is the borrower's. `prepared`: what
        the statement prepares.
        """
        cdef int action = SWALLOW if note is None else CAPTURE
        for sql in statements:
            self.send_bytes(parse(b"", sql, b"\0\0"))
            self.send_bytes(RUN_ASIDE)
            self.queue.push(PARSE, action, note)
            self.queue.push(BIND, action, note)
            self.queue.push(EXECUTE, action, note if note is not None else prepared)
            self.queue.push(CLOSE, action, note)
        return self.doubt_unnamed()

    cdef int slip_in(self, list statements, Injection note=None) except -1:
        """Utility statements here and now: within the borrower's batch if one is open, as a query of their own if not."""
        if self.queue.open_batch:
            return self.run_aside(statements, note)
        return self.inject(b";".join(statements), Injection() if note is None else note)

    cdef int ensure_unnamed(self, Statement statement) except -1:
        """Make the unnamed statement the borrower's: `statement`, or none at all."""
        if self.unnamed is statement:
            return 0
        if statement is None or statement.content is None:
            self.send_bytes(close_statement(b""))
            self.unnamed = None
            return self.queue.push(CLOSE, SWALLOW, None)
        self.send_bytes(message(b'P', b"\0" + statement.told()))
        self.context.counters.parses_server += 1
        return self.expect_unnamed(SWALLOW, statement, statement)

    cdef int doubt_unnamed(self) except -1:
        """The unnamed statement may be anybody's: whoever uses it next has it parsed or closed first."""
        self.unnamed = DOUBTFUL
        return 0

    cdef int expect_unnamed(self, int action, Statement statement, Statement former) except -1:
        """A Parse of the unnamed statement was sent; `former` is what the client has if it comes to nothing."""
        cdef Unnamed note = Unnamed.__new__(Unnamed)
        note.statement = statement
        note.former = former
        self.unnamed = statement
        return self.queue.push(PARSE, action, note)

    cdef int forget_statements(self) except -1:
        """DEALLOCATE ALL or DISCARD ALL ran here."""
        self.prepared = {}
        return 0

    cdef int resume(self) except -1:
        """Read again after a congestion."""
        self.paused = False
        if self.stream.fd >= 0:
            self.context.loop.again(self.stream, EPOLLIN)
        return 0

    def fileno(self):
        """The descriptor, for its socket name."""
        return self.stream.fd

    # --- the end ------------------------------------------------------------------------------------------------

    cdef int terminate(self) except -1:
        """Say goodbye and wait for the server's own end of the connection: until then its backend may live."""
        if self.phase == LEAVING or self.phase == GONE:
            return 0
        if self.stream is None or self.stream.connecting or self.asking or self.securing:
            return self.lose(None)  # nothing was said yet
        self.phase = LEAVING
        self.queue.clear()
        self.detach()
        self.context.to_servers.flush()
        self.stream.write(PyBytes_AS_STRING(TERMINATE), PyBytes_GET_SIZE(TERMINATE))
        if self.stream.out_len == 0:
            self.stream.end_writing()
        self.context.loop.again(self.stream, EPOLLIN)
        return 0

    cdef int lose(self, object error) except -1:
        """The connection has ended."""
        cdef Borrower borrower = self.borrower
        cdef Server alive = self  # the last reference to it may be one of those that are given up here
        if self.phase == GONE:
            return 0
        alive.phase = GONE
        if self.dying is not None:
            error = self.dying
        self.queue.clear()
        self.detach()
        if self.stream is not None:
            self.stream.close()
        self.lender.lost(self, error)
        if borrower is not None:
            borrower.server_lost(error)
        return 0

    # --- stream events ------------------------------------------------------------------------------------------

    cdef int established(self, bytes end_point) except -1:
        self.send_bytes(self.login.begin(end_point))
        return self.context.to_servers.flush()

    cdef int unreached(self, str words) except -1:
        return self.lose(PgError(f"could not connect: {words}", Sqlstate.CONNECTION_FAILURE))

    cdef int drained(self) except -1:
        if self.borrower is not None:
            self.borrower.drained()
        elif self.phase == LEAVING:
            self.stream.end_writing()
        return 0

    cdef int failed(self, object error) except -1:
        self.context.to_clients.flush()
        self.lose(PgError(f"the proxy failed while it read from the server: {error!r}", Sqlstate.CONNECTION_FAILURE))
        if not isinstance(error, (ValueError, PgError)):
            logger.error("internal error in a server session", exc_info=error)
        return 0

    cdef int readable(self) except -1:
        cdef Stream stream = self.stream
        cdef Context context = self.context
        cdef Py_ssize_t got, used, size = 0
        cdef char* data = NULL
        cdef int turns = 0
        while stream.may_read and not self.paused:
            turns += 1
            if turns > READS_A_TURN:
                context.loop.again(stream, EPOLLIN)
                break
            got = read_behind(&self.held, stream, &data, &size)
            if got == WOULD_BLOCK:
                break
            if got == 0 or got == BROKEN:
                context.to_clients.flush()
                return self.lose(PgError("server closed the connection unexpectedly", Sqlstate.CONNECTION_FAILURE))
            used = self.process(data, size)
            if self.phase == GONE:
                break
            keep_rest(&self.held, data, size, used)
            if self.borrower is not None and self.borrower.congested():
                self.paused = True
        let_go(&self.held)
        context.to_clients.flush()
        context.to_servers.flush()
        return 0

    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1:
        """Deal with whole messages; returns the bytes used."""
        raise NotImplementedError
