"""Keeping up with what hides in the databases of one target.

Owns when a database's catalogue is read, by which server, and who waits for it. Refuses to know what to ask and what the
answers mean (`session.catalogue_queries`), and to say what becomes of a client that used a hidden change (`borrowing`).

The first server of a database is not lent before the catalogue has been read; so no statement runs unjudged, and only
the first login waits. Each reading begins with one cheap question, whether anything has changed. One is made

- after a transaction in which functions were made, or objects on suspicious ones. Until it is over, what other clients
  send goes to their servers as ever, but its text is kept, and its server is given back only when the text has been
  judged with the new names. Other workers are told, and do the same.
- every `catalogue_refresh` seconds, for changes that don't pass the proxy; a server that is opened later than that after
  the last reading waits for one.
- within seconds after what may have changed functions unseen: DO, CALL, and functions that run SQL given as text.

The questions run on whichever server of the database is between two clients, or idle: each is a transaction of its own.
"""

from tidegate.pool.slot cimport Slot
from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.server cimport READY, Borrower, Injection, Server
from tidegate.session.facts cimport READS_SEQUENCES
from tidegate.errors import PgError, Sqlstate
from tidegate.pool.slot import SlotState
from tidegate.proxy.control import CatalogueChanged
from tidegate.session.catalogue import everything_unknown
from tidegate.session.catalogue_queries import major_version, read
from tidegate.wire.postgres import messages

cdef bytes FLUSH = messages.FLUSH
cdef int IDLE_STATE = int(SlotState.IDLE)

cdef enum:
    FAILURES = 3  # in a row, after which nothing is known

cdef double RETRY = 60.0  # seconds until a catalogue that could not be read is tried again


cdef class Question(Injection):
    cdef Catalogue catalogue

    cdef int finished(self, Server server) except -1:
        if self.catalogue.asked is server:
            self.catalogue.answered(server, self.rows, self.error)
        return 0


cdef inline bint is_free(Server server) noexcept:
    """Nothing is under way there, and no transaction is open."""
    return (server.phase == READY and server.status == b'I' and server.queue.count == 0
            and not server.queue.open_batch and not server.tainted and not server.tunnel)


cdef inline bint is_idle(Server server) noexcept:
    """In the pool; who borrows it meanwhile has his statement queued behind a question."""
    return (server.borrower is None and (<Slot>server.slot).state == IDLE_STATE and is_free(server)
            and not server.dedicated)


cdef class Catalogue(Knowledge):
    """One database. A reading goes through `due`, `steps` and `wanted` or `asked` in turn."""

    def __init__(self, Catalogues all, str database):
        self.all = all
        self.database = database
        self.detained = []
        self.waiting = {}
        self.memory = {}
        self.due = True

    # --- why it is read -------------------------------------------------------------------------------------------

    cdef int changed(self) except -1:
        if self.known:
            self.told()
            if self.all.target.worker.config.workers > 1:
                self.all.target.worker.tell_supervisor(
                    CatalogueChanged(target=self.all.target.number, database=self.database))
        return 0

    def told(self):
        """Another worker has seen a change, or this one."""
        self.due = self.changing = self.all.wanting = True
        if self.known:
            self.all.context.loop.call_later(0, self.find)

    cdef int doubted(self) except -1:
        self.soon = 2  # the first may come before the change is committed
        return 0

    cdef int wait(self, Borrower client) except -1:
        self.waiting[client] = self.all.context.loop.now
        if is_free(client.server):
            self.offer(client.server)
        return 0

    cdef int check(self, double now, double period, Server idle) except -1:
        """Called every second while the database has servers: is it time to read again? `idle`: one of them, or None."""
        if self.soon and not self.due and self.steps is None:
            self.soon -= 1
            self.due = True
        if self.is_overdue(now, period):
            self.due = True
        if self.wants():
            return self.find_server() if idle is None else self.ask(idle)
        return 0

    cdef bint is_overdue(self, double now, double period) noexcept:
        if self.failures >= FAILURES and (period == 0 or period > RETRY):
            period = RETRY
        return period > 0 and now - self.checked_at > period and self.steps is None

    # --- how it is read -------------------------------------------------------------------------------------------

    cdef bint wants(self) noexcept:
        """Whether a server is of use now."""
        return self.wanted is not None or (self.due and self.steps is None)

    cdef bint offer(self, Server server) except -1:
        """Put the next question to a server that is free; False if there is none."""
        cdef Question question
        if not self.wants():
            return False
        if self.steps is None:
            self.due = False
            self.began_at = self.all.context.loop.now
            self.steps = read(
                major_version(server.reported.values.get("server_version", b"")), self.fingerprint, self.memory)
            self.wanted = next(self.steps)
        question = Question()
        question.catalogue = self
        sql = self.wanted
        self.wanted = None
        self.asked = server
        server.inject(sql, question)
        return True

    cdef int answered(self, Server server, list rows, object error) except -1:
        self.asked = None
        if error is not None:
            return self.failed(error)
        self.advance(rows)
        if self.wanted is not None and is_free(server):
            self.offer(server)
        return 0

    cdef int advance(self, list rows) except -1:
        """Go on with the reading until it has a question, or wants a pause."""
        try:
            self.wanted = self.steps.send(rows)
        except StopIteration as end:
            return self.done(end.value)
        except (ValueError, IndexError) as problem:
            return self.failed(PgError(f"the catalogue was not understood: {problem}", Sqlstate.PROTOCOL_VIOLATION))
        if self.wanted is None:
            self.all.context.loop.call_later(0, self.resume)
        else:
            self.all.wanting = True
        return 0

    def resume(self):
        """Go on after a pause."""
        if self.steps is not None and self.wanted is None and self.asked is None:
            self.advance([])
            self.find()

    def find(self):
        """Find a server for what is to be asked."""
        if self.wants():
            self.find_server()

    cdef int find_server(self) except -1:
        cdef Server server
        cdef Borrower client
        self.all.wanting = True
        for server in self.detained:
            if is_free(server):
                return self.ask(server)
        for client in self.waiting:
            if client.server is not None and is_free(client.server):
                return self.ask(client.server)
        for server in self.all.target.servers:
            if is_idle(server) and server.slot.pool.key[0] == self.database:
                return self.ask(server)
        return 0

    cdef int ask(self, Server server) except -1:
        self.offer(server)
        return self.all.context.to_servers.flush()

    cdef int done(self, object reading) except -1:
        self.steps = None
        self.known = True
        self.failures = 0
        self.checked_at = self.began_at
        self.fingerprint = reading.fingerprint
        if not reading.unchanged:
            self.all.context.statements.renew()
            self.names = reading.names
            if self.names is not None and self.names.flags & READS_SEQUENCES:
                self.reads_sequences = True
        self.all.context.loop.call_later(0, self.settle)
        return 0

    cdef int failed(self, object error) except -1:
        self.steps = None
        self.failures += 1
        if self.failures < FAILURES:
            self.due = True
            self.all.context.loop.call_later(0, self.find)
            return 0
        if self.failures == FAILURES:
            self.all.target.worker.log.warning(
                "cannot read what hides in database %s, so anything may: %s", self.database, error)
        self.known = True
        self.fingerprint = None
        self.names = everything_unknown()
        self.checked_at = self.began_at
        self.all.context.loop.call_later(0, self.settle)
        return 0

    def settle(self):
        """A reading is done: let go of those who waited for it.

        If something has changed meanwhile, others wait for the next one; so changes without end keep nobody for ever.
        """
        cdef Server server
        cdef bint again = self.due or self.steps is not None
        self.changing = self.changing and again
        detained, self.detained = self.detained, []
        for server in detained:
            if server.phase == READY:
                self.all.target.resume(server)
        for client, since in list(self.waiting.items()):
            if not again or since < self.checked_at:
                del self.waiting[client]
                (<Borrowing>client).resume_release()
        if again:
            self.find()
        self.all.context.to_servers.flush()
        self.all.context.to_clients.flush()

    def lost(self, Server server):
        """A server is gone; it may have had a question."""
        if server in self.detained:
            self.detained.remove(server)
        if self.asked is server:
            self.asked = None
            self.steps = None
            self.due = True
            self.all.context.loop.call_later(0, self.find)


cdef class Catalogues:
    """Those of one target."""

    def __init__(self, target):
        self.target = target
        self.context = target.context
        self.known = {}

    cdef Catalogue of(self, str database):
        """What is known of a database; that it exists has been seen by a login."""
        cdef Catalogue found = self.known.get(database)
        if found is None:
            found = self.known[database] = Catalogue(self, database)
        return found

    cdef bint detains(self, Server server) except -1:
        """Whether a server that has logged in must wait until its database's catalogue is known."""
        cdef Catalogue one
        if server.dedicated or server.login.about is None:
            return False
        one = self.of(server.slot.pool.key[0])
        if one.is_overdue(self.context.loop.now, self.target.config.catalogue_refresh):
            one.due = True
        elif one.known:
            return False
        one.detained.append(server)
        if not one.offer(server):
            server.send_bytes(FLUSH)  # until its next use it is outside the database's idle_session_timeout
        return True

    cdef bint take(self, Server server) except -1:
        """Whether a server that comes back is used for a question first."""
        cdef Catalogue one
        if server.dedicated or not is_free(server):
            return False
        one = self.known.get(server.slot.pool.key[0])
        return one is not None and one.offer(server)

    cdef int lost(self, Server server) except -1:
        one = self.known.get(server.slot.pool.key[0])
        if one is not None:
            one.lost(server)
        return 0

    def told(self, database):
        """Another worker has seen a change."""
        one = self.known.get(database)
        if one is not None:
            one.told()

    def forget(self, database):
        """It may be made anew, or be gone: the next server there waits until the catalogue has been read."""
        cdef Catalogue one = self.known.get(database)
        if one is not None:
            one.known = False
            one.due = True
            one.fingerprint = None

    def check(self, double now):
        """Called every second."""
        cdef Catalogue one
        cdef Server server
        cdef double period = self.target.config.catalogue_refresh
        cdef bint wanting = False
        cdef dict idle = {}
        for server in self.target.servers:
            database = server.slot.pool.key[0]
            if is_idle(server) or database not in idle:
                idle[database] = server if is_idle(server) else None
        for database, server in idle.items():
            one = self.known.get(database)
            if one is not None:
                one.check(now, period, server)
                wanting = wanting or one.wants()
        self.wanting = wanting
