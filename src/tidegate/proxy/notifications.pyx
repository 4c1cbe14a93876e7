"""The connection on which a worker listens for all its clients of one database.

Owns that connection from opening to closing, the LISTEN and UNLISTEN on it, the reading of NotificationResponse, and who
is to hear it. Refuses to know when a client may hear (`subscription`), and what its statements say of channels.

The connection is the proxy's own, as the reader's of roles is: it takes no slot of the budget. A client that says LISTEN
holds a server until the shared connection listens; one that had to wait for a slot could wait for itself.

A question without a statement (`fence`) is answered when all has been heard that was committed before: PostgreSQL
signals listeners before it answers the COMMIT, and a backend deals with that signal before it reads the next message
(async.c, SignalBackends; postgres.c, ProcessClientReadInterrupt). Questions of one moment share one message.

When the connection is lost it is opened again, with growing pauses, and listens anew. What was sent meanwhile PostgreSQL
has kept for nobody: so then every listening client is told by a notice (01T01).
"""


from cpython.bytes cimport PyBytes_FromStringAndSize

from tidegate.proxy.backend cimport Backend
from tidegate.proxy.hearing cimport Hearing
from tidegate.proxy.server cimport LOGGING_IN, READY, Injection, Lender, Server
from tidegate.wire.postgres.integers cimport get32, put32, string_end
from tidegate.wire.postgres.messages cimport HEADER, error_response, message
from tidegate.errors import PgError, Sqlstate
from tidegate.proxy.opening import ServerLogin
from tidegate.session.channels import FENCE, Channels, listen_sql, unlisten_sql
from tidegate.session.encodings import recoded
from tidegate.session.settings import set_config


IDLE = 5.0  # seconds for which the connection stays when nobody listens
MOST_USERS = 3  # that are tried at once, one after the other
PAUSE_FIRST, PAUSE_MOST = 0.1, 10.0  # seconds between two attempts to open it; each pause is twice the one before

# This connection is seen by no client. PostgreSQL before 14 has no such setting.
NO_IDLE_TIMEOUT_SQL = (
    b"SELECT pg_catalog.set_config(s.name, '0', false) FROM pg_catalog.pg_settings AS s"
    b" WHERE s.name OPERATOR(pg_catalog.=) 'idle_session_timeout'"
)

MISSED = PgError(
    "notifications may have been missed", Sqlstate.NOTIFICATIONS_MISSED, "WARNING",
    "The connection on which the proxy listens was interrupted; it listens again to all channels of this session.",
    "Look for yourself at what the notifications tell of.")
MISSED_NOTICE = message(b'N', error_response(MISSED)[HEADER:])


cdef class Synced(Injection):
    """LISTEN and UNLISTEN were sent."""
    cdef SharedListener listener

    cdef int finished(self, Server server) except -1:
        return self.listener.synced(server, self.error)


cdef class Passed(Injection):
    """The empty query."""
    cdef SharedListener listener

    cdef int finished(self, Server server) except -1:
        return self.listener.passed()


cdef class Listeners:
    def __init__(self, target):
        self.target = target
        self.by_database = {}

    cdef SharedListener of(self, str database):
        """The listener of a database, made on demand; it connects when somebody joins."""
        cdef SharedListener found = self.find(database)
        if found is None:
            found = self.by_database[database] = SharedListener(self.target, database)
        return found

    cdef SharedListener find(self, str database):
        """The same, or None if nobody listens."""
        return <SharedListener>self.by_database.get(database)

    cdef int check(self, double now) except -1:
        """Called every tick: drop what is no longer needed."""
        for database, listener in list(self.by_database.items()):
            if (<SharedListener>listener).check(now):
                del self.by_database[database]
        return 0

    def vacate(self, database):
        """The database is to be left alone: close its connection, unless clients listen there, who are in the way too."""
        cdef SharedListener listener = self.find(database)
        if listener is not None and len(listener.registry) == 0:
            listener.close()

    cdef int shut(self) except -1:
        """The worker ends."""
        cdef SharedListener listener
        for listener in self.by_database.values():
            listener.close()
        return 0


cdef class SharedListener(Lender):
    def __init__(self, target, str database):
        self.target = target
        self.context = target.context
        self.database = database
        self.registry = Channels()
        self.missed_notice = MISSED_NOTICE
        self.joining = {}
        self.applied = set()
        self.fences = {}
        self.next_passing = []
        self.senders = {}
        self.pause = PAUSE_FIRST
        self.since = self.context.loop.now

    # --- the clients' side ----------------------------------------------------------------------------------------

    cdef int join(self, Hearing hearing, set channels) except -1:
        """Have these channels listened to; then `joined` is called, or `refused`."""
        self.registry.add(hearing, channels)
        self.joining[hearing] = channels
        return self.sync()

    cdef int leave(self, Hearing hearing, object channels) except -1:
        """It no longer listens to these."""
        self.registry.remove(hearing, channels)
        waits_for = self.joining.get(hearing)
        if waits_for is not None and waits_for <= set(channels):
            del self.joining[hearing]
        self.since = self.context.loop.now
        return self.sync()

    cdef long long new_fence(self, Hearing hearing) except -1:
        """The number of a NOTIFY to `fence_channel`: `arrived` is called when this connection has it, or never will."""
        self.serial += 1
        self.fences[self.serial] = hearing
        return self.serial

    cdef bint fence(self, object passed) except -1:
        """Have `passed` called when all is heard that has been committed by now; False if nothing is listened to."""
        cdef Passed note
        if self.server is None or not self.heard:
            return False
        if self.passing is not None:
            self.next_passing.append(passed)
            return True
        self.passing = [passed]
        self.asked_at = self.context.loop.now
        note = Passed()
        note.listener = self
        self.server.inject(b"", note)
        self.context.to_servers.flush()
        return True

    cdef int passed(self) except -1:
        cdef list whom = self.passing
        cdef list others = self.next_passing
        self.passing = None
        self.next_passing = []
        if others and self.fence(others[0]):
            self.passing += others[1:]
            others = []
        for each in whom + others:
            each()
        return 0

    # --- channels -------------------------------------------------------------------------------------------------

    cdef int sync(self) except -1:
        """Bring what the connection listens to in line with what clients do."""
        cdef Synced note
        if self.server is None:
            if len(self.registry) and (self.attempts == 0 or self.joining):
                self.open()
            return 0
        if self.server.phase != READY or self.asked is not None:
            return 0
        wanted = {self.fence_channel, *self.registry}
        changes = [sql for sql in (listen_sql(wanted - self.applied), unlisten_sql(self.applied - wanted)) if sql]
        if changes:
            self.asked = wanted
            note = Synced()
            note.listener = self
            self.server.inject(b";".join(changes), note)
            return self.context.to_servers.flush()
        for hearing, channels in list(self.joining.items()):
            if channels <= self.applied:
                del self.joining[hearing]
                (<Hearing>hearing).joined()
        return 0

    cdef int synced(self, Server server, object error) except -1:
        if error is not None:
            return server.lose(error)
        self.applied = self.asked
        self.asked = None
        self.heard = True
        self.attempts = 0
        self.pause = PAUSE_FIRST
        if self.missed:
            self.tell_missed()
        return self.sync()

    cdef int tell_missed(self) except -1:
        """After an interruption: all who listened hear of it."""
        self.missed = False
        for hearing in self.registry.everyone():
            (<Hearing>hearing).hear(MISSED_NOTICE)
        return 0

    # --- notifications --------------------------------------------------------------------------------------------

    cdef bint notified(self, Server server, const char* body, Py_ssize_t size) except -1:
        """A NotificationResponse: pid (4 bytes), channel, payload."""
        cdef Py_ssize_t end = string_end(body + 4, size - 4) if size > 4 else -1
        cdef bytes channel
        if end < 0:
            raise ValueError("malformed NotificationResponse")
        channel = PyBytes_FromStringAndSize(body + 4, end)
        if channel == self.fence_channel:
            hearing = self.fences.pop(int(PyBytes_FromStringAndSize(body + 5 + end, size - 6 - end)), None)
            if hearing is not None:
                (<Hearing>hearing).arrived()
            return False
        self.context.counters.notifications += 1
        self.fan_out(get32(body), channel, PyBytes_FromStringAndSize(body + 4, size - 4))
        return False

    cdef int fan_out(self, unsigned int pid, bytes channel, bytes rest) except -1:
        """Give it to all who listen. `rest`: channel and payload with their NULs, in the database's encoding.

        The sender knows itself by the pid that the proxy gave it, and hears that. Others hear the backend's, unless it
        is, by chance, the very number that they know themselves by.
        """
        cdef Hearing hearing
        cdef char shown[4]
        cdef bytes text
        cdef unsigned int sender = self.senders.get(pid, 0)
        cdef dict built = {}
        for one in self.registry.listeners(channel):
            hearing = <Hearing>one
            if channel not in hearing.channels:
                continue  # its server tells it, until the fence has come
            put32(shown, sender if sender else 0 if pid == hearing.pid else pid)
            key = shown[:4], hearing.encoding()
            if key not in built:
                text = rest if self.encoding is None else recoded(rest, self.encoding, key[1])
                built[key] = message(b'A', <bytes>key[0] + text)
            hearing.hear(<bytes>built[key])
        return 0

    # --- the connection -------------------------------------------------------------------------------------------

    def open(self):
        """Connect: as the proxy's own user where there is one, else (or if that fails) as one who listens."""
        config = self.target.config
        users = self.users()
        user = users[self.attempts % len(users)]
        logins = self.target.worker.database_logins
        credential = logins.own(self.target) if user == config.user else logins.credential(self.target, user)
        startup = {b"user": user.encode("utf-8", "surrogateescape"),
                   b"database": self.database.encode("utf-8", "surrogateescape"), b"application_name": b"tidegate"}
        self.attempts += 1
        self.since = self.context.loop.now
        login = ServerLogin(user, credential, startup, curious=False)
        self.server = Backend(self.context, self, None, login, self.target.encryption)
        self.target.address.connect(self.server)

    def users(self):
        """As whom to log in, in this order."""
        return list(dict.fromkeys([self.target.config.user, *[one.user for one in self.registry.everyone()]]))

    cdef int ready(self, Server server) except -1:
        server.login = None
        self.context.counters.listeners_opened += 1
        self.fence_channel = <bytes>FENCE + b"%d" % server.pid
        self.encoding = server.reported.values.get("server_encoding")
        server.inject(NO_IDLE_TIMEOUT_SQL, Injection())
        if self.encoding is not None:
            server.inject(b"SELECT " + set_config("client_encoding", self.encoding), Injection())
        return self.sync()

    cdef int lost(self, Server server, object error) except -1:
        """Whoever waits for the connection waits no longer; those who listen are told when it is there again."""
        cdef list waiting = [*(self.passing or ()), *self.next_passing]
        cdef dict fences = self.fences
        cdef dict joining = self.joining
        cdef int attempts = max(self.attempts, 1)
        if server is not self.server:
            return 0  # nobody needed it any more
        if server.login is not None and 0 < self.attempts < min(len(self.users()), MOST_USERS):
            self.open()
            return 0
        self.joining = {}
        self.fences = {}
        self.forget_server()
        if server.login is not None:
            self.target.address.failed()
        if self.heard and len(self.registry):
            self.missed = True
            self.context.counters.listeners_lost += 1
            self.target.worker.log.warning(
                "the connection that listens in database %s of %s was lost: %s", self.database,
                self.target.config.name, error)
        elif not self.heard:
            self.target.worker.log.warning(
                "cannot listen in database %s of %s: %s", self.database, self.target.config.name, error)
        self.heard = False
        for hearing in fences.values():
            (<Hearing>hearing).arrived()
        for each in waiting:
            each()
        for hearing in joining:
            (<Hearing>hearing).refused()
        if len(self.registry):
            self.context.loop.call_later(self.pause, self.retry)
            self.pause = min(2 * self.pause, PAUSE_MOST)
            self.attempts = attempts
        else:
            self.pause = PAUSE_FIRST
        return 0

    def retry(self):
        """Connect again, if somebody listens still."""
        self.attempts = max(self.attempts, 1) if len(self.registry) else 0
        if self.server is None and len(self.registry):
            self.open()

    cdef bint check(self, double now) except -1:
        """Give up a connection that does not come up, or that nobody needs; True if all of this can be forgotten."""
        if self.server is None:
            return len(self.registry) == 0 and now - self.since > PAUSE_MOST
        if self.server.phase == LOGGING_IN:
            if now - self.since > self.target.config.server_login_timeout:
                self.server.lose(PgError("timed out while logging in to the database", Sqlstate.CONNECTION_FAILURE))
        elif self.passing is not None and now - self.asked_at > self.target.config.server_login_timeout:
            self.server.lose(PgError("timed out while listening", Sqlstate.CONNECTION_FAILURE))
        elif len(self.registry) == 0 and now - self.since > IDLE:
            self.close()
        return False

    cdef int close(self) except -1:
        """Nobody needs the connection."""
        cdef Server server = self.server
        if server is not None:
            self.heard = self.missed = False
            self.forget_server()
            server.terminate()
        return 0

    cdef int forget_server(self) except -1:
        """Nothing of what was said on the connection holds any more."""
        self.server = None
        self.applied = set()
        self.asked = self.passing = None
        self.next_passing = []
        self.senders.clear()
        self.attempts = 0
        return 0
