"""The database's idle_session_timeout, which must not end the idle servers of a pool.

Owns what is known of that setting, and the message that keeps a server alive. Refuses to hold the limit against
clients (`client` does), and to know which servers are idle for how long (`pool`).

Wherever the setting comes from (postgresql.conf, ALTER SYSTEM, DATABASE or ROLE), servers keep it, so SHOW tells clients
what it tells them directly. PostgreSQL starts the clock with ReadyForQuery, and the next message of any kind stops it
until the next ReadyForQuery (postgres.c, PostgresMain, step 4). So a Flush, which has no answer, lets an idle server
stand for as long as it is idle.

A reload of the database's configuration reaches servers that are open. So one server of a pool that has lately been
used is asked for the setting now and then, as soon as it is idle.
"""

from tidegate.pool.slot cimport Slot
from tidegate.proxy.client cimport Client
from tidegate.proxy.server cimport READY, Injection, Server
from tidegate.pool.slot import SlotState
from tidegate.session.settings import milliseconds
from tidegate.wire.postgres import messages

cdef bytes FLUSH = messages.FLUSH
cdef int IDLE_STATE = int(SlotState.IDLE)
cdef bytes TIMEOUT_SQL = b"SELECT pg_catalog.current_setting('idle_session_timeout',true)"

cdef double REST = 0.5  # seconds of idleness after which a server is seen to: one that is in use costs nothing
cdef double ASK_PERIOD = 1.0  # seconds between two questions to one pool's servers
cdef double SHORT = 1.0  # seconds: servers with a shorter limit are seen to at once

cdef enum:
    POOLS_KEPT = 10_000  # whose last question is remembered

# A pool whose servers live by a limit below REST + ASK_PERIOD may lose idle ones just after a reload has set it.


cdef class Timeout(Injection):
    """What a server's idle_session_timeout is now."""
    cdef Resting resting

    cdef int finished(self, Server server) except -1:
        if self.error is None:
            self.resting.learned(server, milliseconds(self.table(1, 1)[0][0] or b"") / 1000.0)
        return 0


cdef inline bint is_idle(Server server) noexcept:
    return server.phase == READY and server.borrower is None and (<Slot>server.slot).state == IDLE_STATE


cdef class Resting:
    def __init__(self, target):
        self.target = target
        self.context = target.context
        self.watched = []
        self.asked_at = {}

    cdef int opened(self, Server server, double timeout) except -1:
        """A server of a pool is ready, and has told its idle_session_timeout in seconds, or 0."""
        server.idle_timeout = timeout
        return self.came_back(server)

    cdef int came_back(self, Server server) except -1:
        """A server is idle."""
        if 0 < server.idle_timeout < SHORT and is_idle(server):
            server.send_bytes(FLUSH)
            return self.context.to_servers.flush()
        if not server.watched:
            server.watched = True
            self.watched.append(server)
        return 0

    cdef int watch(self, double now) except -1:
        """Called every tick: see to servers that have come to rest."""
        cdef Server server
        cdef list servers = self.watched
        cdef double asked_at, since
        if not servers:
            return 0
        self.watched = []
        for server in servers:
            server.watched = False
            if not is_idle(server):
                continue
            since = (<Slot>server.slot).idle_since
            asked_at = self.asked_at.get(server.slot.pool.key, 0.0)
            if now - since < REST:
                self.came_back(server)
            elif asked_at < since and now - asked_at >= ASK_PERIOD:
                self.ask(server, now)
            elif server.idle_timeout > 0:
                server.send_bytes(FLUSH)
            elif asked_at < since:
                self.came_back(server)
        return self.context.to_servers.flush()

    cdef int ask(self, Server server, double now) except -1:
        """Have a server tell its idle_session_timeout; it speaks for its pool."""
        cdef Timeout timeout = Timeout()
        timeout.resting = self
        if len(self.asked_at) >= POOLS_KEPT:
            self.asked_at.clear()
        self.asked_at[server.slot.pool.key] = now
        return server.inject(TIMEOUT_SQL, timeout)

    cdef int learned(self, Server server, double timeout) except -1:
        """A server has told; those that had the same limit before have the same now."""
        cdef double before = server.idle_timeout
        cdef Server each
        key = server.slot.pool.key
        if timeout != before:
            for each in self.target.servers:
                if each.idle_timeout == before and each.slot.pool.key == key:
                    each.idle_timeout = timeout
                    if each is not server and is_idle(each):
                        self.came_back(each)
            self.target.info(key).idle_session_timeout = timeout
            self.tell_clients(key, timeout)
        if timeout > 0 and is_idle(server):
            server.send_bytes(FLUSH)
        return 0

    cdef int tell_clients(self, object key, double timeout) except -1:
        """The limit on the idleness of a pool's clients has changed."""
        cdef Client client
        for gate in self.target.worker.gates.values():
            for client in gate.clients:
                if client.door is self.target and client.pool is not None and client.pool.key == key:
                    client.role_idle_timeout = timeout
        return 0
