"""Bringing a server back whose client left in the middle of something.

Owns the steps from any state to a clean, idle server: end a COPY, end the batch, roll back, reset. Refuses to
interrupt a statement that still runs: with a direct connection it would run on, too; it is cancelled only when it
goes on sending rows that nobody reads.
"""

from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Borrower, Injection, Server
from tidegate.wire.postgres.replies cimport BIND, COPY_END, EXECUTE, FORWARD, REPLACE, SWALLOW, SYNC
from tidegate.wire.postgres import messages

cdef bytes COPY_FAIL = messages.copy_fail(b"the client has left")
cdef bytes SYNC_MESSAGE = messages.SYNC
cdef bytes FAILING_BIND = messages.FAILING_BIND

cdef enum:
    UNREAD = 1048576  # bytes of rows for nobody, after which the statement is cancelled
    STEPS = 4  # more than these and the server does not do as it is told


cdef class Reset(Injection):
    """DISCARD ALL ran: nothing of the session is left."""

    cdef int finished(self, Server server) except -1:
        server.forget_statements()
        server.applied = server.context.interned.nothing
        server.stain = 0
        if self.error is not None:
            server.tainted = True
        return 0


cdef class Cleanup(Borrower):
    def __init__(self, Context context, bint dirty, bint doomed):
        self.context = context
        self.dirty = dirty
        self.doomed = doomed

    cdef int take_over(self, Server server) except -1:
        """Borrow the server from where the client left it, until it is clean."""
        cdef unsigned int i
        if self.doomed or server.tunnel or server.tainted:
            server.tainted = True
            return server.terminate()
        server.attach(self)
        server.last_words = True  # what is owed may end without ReadyForQuery
        for i in range(server.queue.count):
            if server.queue.at(i).action == FORWARD or server.queue.at(i).action == REPLACE:
                server.queue.at(i).action = SWALLOW
        if server.queue.copying_in:
            self.copy_requested()
        elif server.queue.open_batch or server.queue.skipping:
            self.end_batch()
        if server.queue.count == 0:
            self.next_step()
        self.context.to_servers.flush()
        return 0

    cdef int end_batch(self) except -1:
        """Have the server undo what it has done of a batch without Sync, as it would for a direct client that left."""
        cdef Server server = self.server
        if not server.queue.skipping:
            # A Sync alone would commit that.
            server.send_bytes(FAILING_BIND)
            server.queue.push(BIND, SWALLOW, None)
        server.send_bytes(SYNC_MESSAGE)
        server.queue.push(SYNC, SWALLOW, None)
        return 0

    cdef int copy_requested(self) except -1:
        """The server wants data that nobody will send, or has it, but a Sync before the data was read as part of it."""
        cdef Server server = self.server
        cdef bint extended = server.queue.ring[server.queue.first].kind == EXECUTE
        if not server.queue.copying_in:
            return self.end_batch() if server.queue.open_batch else 0
        server.send_bytes(COPY_FAIL)
        server.queue.push(COPY_END, SWALLOW, None)
        if extended:
            server.send_bytes(SYNC_MESSAGE)
            server.queue.push(SYNC, SWALLOW, None)
        return 0

    cdef int unread(self, size_t size) except -1:
        """A row came that nobody reads."""
        self.dropped += size
        if self.dropped > UNREAD and self.server.cancels == 0:
            self.dropped = 0
            self.server.lender.cancel(self.server)
        return 0

    cdef int settled(self) except -1:
        return self.next_step()

    cdef int next_step(self) except -1:
        """One thing at a time; each ends with ReadyForQuery and comes back here."""
        cdef Server server = self.server
        self.steps += 1
        if self.steps > STEPS:
            server.tainted = True
            server.terminate()
        elif server.queue.open_batch or server.queue.skipping:
            self.end_batch()  # what failed was the last thing that was owed
        elif server.status != b'I':
            server.inject(b"ROLLBACK", Injection())
        elif self.dirty:
            self.dirty = False
            server.inject(b"DISCARD ALL", Reset())
        else:
            server.detach()
            server.lender.take_back(server)
        return 0
