"""What a prepared statement's result looks like: as clients were told, and as it is now.

Owns the notes on the reply queue that learn it. Refuses to decide when to ask (`prepared`).
"""

from tidegate.proxy.server cimport Injection, Server
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.messages cimport close_statement
from tidegate.wire.postgres.replies cimport CLOSE, SWALLOW, SYNC
from tidegate.wire.postgres import messages

cdef bytes SYNC_MESSAGE = messages.SYNC
# In PostgreSQL's words.
cdef bytes PLAN_CHANGED = b"SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0RRevalidateCachedQuery\0\0"
cdef object DROPPED = object()


cdef int drop(Server server, Statement statement) except -1:
    """A statement proved to have other columns here than clients were told: nobody may use it here, or parse it anew."""
    server.context.statements.retire(statement)
    if server.prepared.pop(statement, DROPPED) is DROPPED:
        return 0
    return close_copy(server, statement)


cdef int close_copy(Server server, Statement statement) except -1:
    """Have a server close a statement, in the batch that is under way or in one of its own."""
    cdef bint batch = server.queue.open_batch
    server.send_bytes(close_statement(statement.name))
    server.queue.push(CLOSE, SWALLOW, None)
    if not batch:
        server.send_bytes(SYNC_MESSAGE)
        server.queue.push(SYNC, SWALLOW, None)
    return 0


cdef class Description(Injection):
    """Describe of a prepared statement, for a client: what it is told is what it relies on."""

    cdef int parameters_told(self, Server server, bytes types) except -1:
        """ParameterDescription: how the client will encode its values."""
        if self.statement.parameters is None:
            self.statement.parameters = types
        elif self.statement.parameters != types:
            self.types_differ(server, types)
        return 0

    cdef int types_differ(self, Server server, bytes types) except -1:
        """Others, whose statement is the same, were told other types."""
        return drop(server, self.statement)

    cdef int described(self, Server server, bytes shape) except -1:
        if self.statement.shape is None:
            self.statement.shape = shape
        elif self.statement.shape != shape:
            # Another client was told otherwise, at another server.
            drop(server, self.statement)
        return 0


cdef class TypesTold(Description):
    cdef int types_differ(self, Server server, bytes types) except -1:
        """From here on this client's is one of its own."""
        cdef Statement statement = self.statement
        cdef Statement apart = server.context.statements.typed(statement, statement.with_types(types))
        if self.client.unnamed is statement:
            self.client.unnamed = apart
        if server.unnamed is statement:
            server.unnamed = apart
        return 0

    cdef int described(self, Server server, bytes shape) except -1:
        return 0  # of its columns it is told anew with its next Describe; its values it may have encoded already


cdef class ShapeCheck(Description):
    """A statement from before a change of the catalogue was parsed and described at a server that lacked it."""

    cdef int described(self, Server server, bytes shape) except -1:
        self.shape = shape
        return 0

    cdef int finished(self, Server server) except -1:
        cdef Statement statement = self.statement
        self.done = True
        if self.error is not None:
            # The client's own message meets the same error, in its place.
            server.prepared.pop(statement, None)
        elif self.shape != statement.shape:
            drop(server, statement)
        elif self.generation == server.context.statements.generation:
            statement.generation = self.generation
        return 0
