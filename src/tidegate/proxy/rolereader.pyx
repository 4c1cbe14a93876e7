"""Reading roles from the database, for pass-through authentication.

Owns one connection of the proxy's own to a target, opened when a role is asked for and closed when it has been idle.
Refuses to run under any client's settings: nothing but this module uses the connection, and its query names every
function, table and operator with its schema (CVE-2025-12819 was the lack of that).
"""

from tidegate.proxy.backend cimport Backend
from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Borrower, Injection, Lender, READY, Server
from tidegate.auth.cache import RoleCache
from tidegate.auth.roles import (
    ADMISSION_SQL, LOOKUP_SQL, admits, check_auth_query, parse_auth_query_row, parse_row, unreadable_roles,
)
from tidegate.auth.backend import PasswordCredential
from tidegate.errors import PgError, Sqlstate
from tidegate.proxy.opening import ServerLogin

IDLE = 60.0  # seconds after which the connection is closed
AT_ONCE = 64  # roles read in one write
RETRY = 0.2  # seconds
# This connection is seen by no client. PostgreSQL before 14 has no such setting.
NO_IDLE_TIMEOUT_SQL = (
    b"SELECT pg_catalog.set_config(s.name, '0', false) FROM pg_catalog.pg_settings AS s"
    b" WHERE s.name OPERATOR(pg_catalog.=) 'idle_session_timeout'"
)
SHORTEST_DELAY = 0.001  # seconds: a timer may come a moment early


cdef class Found(Injection):
    """What a configured auth_query says of one user; an Answer follows."""


cdef class Answer(Injection):
    """What the database says of one role."""
    cdef RoleReader reader
    cdef object key
    cdef Found found  # what the auth_query said, if there is one

    cdef int finished(self, Server server) except -1:
        cdef object error = self.error if self.found is None or self.found.error is None else self.found.error
        self.reader.answered(self.key, self.rows, None if self.found is None else self.found.rows, error)
        return 0


cdef class Result(Injection):
    """The answer to some other question."""
    cdef object done

    cdef int finished(self, Server server) except -1:
        self.done(self.rows, self.error)
        return 0


cdef class RoleReader(Lender):
    """Roles of one target. Keys are (user, database); waiters are logins."""
    cdef readonly Context context
    cdef object worker, target, cache
    cdef bytes query  # of a role: user and database are its parameters
    cdef bytes auth_query  # or None
    cdef Server server
    cdef set reading
    cdef double used_at
    cdef bint alarm_set
    cdef list questions  # (SQL, callback) that wait for the connection

    def __init__(self, worker, target):
        self.worker = worker
        self.context = worker.context
        self.target = target
        self.cache = RoleCache(target.config.verifier_cache_ttl)
        self.reading = set()
        self.questions = []
        if target.config.auth_query:
            check_auth_query(target.config.auth_query)
            self.auth_query = target.config.auth_query.encode()
        self.query = (ADMISSION_SQL if target.config.auth_query else LOOKUP_SQL).encode()

    # --- the logins' side -----------------------------------------------------------------------------------------

    def find(self, login):
        """Have `gate.role_known` called for a login now, or `gate.role_read` later. Raises PgError."""
        cdef double now = self.context.loop.now
        key = self.key_of(login)
        answer = self.cache.need(key, now, login)
        if answer is not None and not admits(answer.record, self.worker.wall_clock()):
            # Nobody is shut out on the strength of memory.
            answer = self.cache.need(key, now, login, now)
        if answer is not None:
            login.gate.role_known(login, answer)
            return
        login.client.wait_for_role()
        self.read_due()

    def find_again(self, login):
        """Have `gate.role_read` called, later, with what a login's role is from now on: it is about to be refused."""
        self.cache.recheck(self.key_of(login), self.context.loop.now, login)
        login.client.wait_for_role()
        self.read_due()

    def set_alarm(self):
        """Come back when a read that is held back may begin."""
        delay = self.cache.held_for(self.context.loop.now)
        if delay is not None and not self.alarm_set:
            self.alarm_set = True
            self.context.loop.call_later(max(delay, SHORTEST_DELAY), self.alarm)

    def alarm(self):
        self.alarm_set = False
        self.read_due()

    def key_of(self, login):
        entry = login.gate.proxy.database(login.database)
        return login.user, (entry.database if entry is not None and entry.database else login.database)

    def invalidate(self, user, database):
        """The database has another verifier than the one by which the user was let in."""
        self.cache.invalidate((user, database))

    def forget(self, login):
        """Its client has left."""
        if login.user:
            self.cache.forget(self.key_of(login), login)

    # --- reading --------------------------------------------------------------------------------------------------

    def read_due(self):
        """Send what is due, if the connection stands."""
        if self.server is None:
            self.open()
            return
        if self.server.phase != READY:
            return
        while self.questions:
            sql, done = self.questions.pop(0)
            result = Result()
            (<Result>result).done = done
            self.server.inject(sql, result)
        for key in self.cache.next_batch(self.context.loop.now, AT_ONCE - len(self.reading)):
            self.ask(key)
        self.set_alarm()
        self.context.to_servers.flush()

    def run(self, sql, done):
        """Ask the database something else: `done(rows, error)` is called, in this connection's time."""
        self.questions.append((sql, done))
        self.used_at = self.context.loop.now
        self.read_due()

    cdef int ask(self, tuple key) except -1:
        cdef Answer answer = Answer()
        cdef bytes user = key[0].encode("utf-8", "surrogateescape")
        answer.reader = self
        answer.key = key
        self.reading.add(key)
        if self.auth_query is not None:
            answer.found = Found()
            self.server.ask(self.auth_query, [user], answer.found)
        self.server.ask(self.query, [user, key[1].encode("utf-8", "surrogateescape")], answer)
        return 0

    def answered(self, key, rows, found, error):
        """One role was read; `found` are the rows of the auth_query, None without one."""
        self.reading.discard(key)
        cdef object record = None
        self.used_at = self.context.loop.now
        if error is None:
            try:
                record = self.record_of(key, rows, found)
            except (PgError, ValueError) as bad:
                error = bad if isinstance(bad, PgError) else PgError(str(bad), Sqlstate.INVALID_AUTHORIZATION, "FATAL")
        elif error.sqlstate == Sqlstate.INSUFFICIENT_PRIVILEGE:
            error = unreadable_roles(error, self.target.config.user)
        resumed = (self.cache.loaded(key, record) if error is None
                   else self.cache.failed([key], error, self.context.loop.now))
        self.resume(resumed)
        self.read_due()

    def record_of(self, key, rows, found):
        if found is None:
            return parse_row(rows[0]) if rows else None
        return parse_auth_query_row(key[0], found[0], rows[0] if rows else None) if found else None

    def resume(self, resumed):
        for one in resumed:
            one.waiter.gate.role_read(one.waiter, one)

    # --- the connection -------------------------------------------------------------------------------------------

    def open(self):
        """Connect; everything due is read when the connection stands."""
        cdef object config = self.target.config
        cdef object credential
        startup = {b"user": config.user.encode(), b"database": config.database.encode(),
                   b"application_name": b"tidegate"}
        credential = PasswordCredential(config.password) if config.password else None
        self.server = Backend(self.context, self, None, ServerLogin(config.user, credential, startup))
        self.used_at = self.context.loop.now
        self.target.address.connect(self.server)

    cdef int ready(self, Server server) except -1:
        self.target.learn_limit(server.login.about)
        server.login = None
        server.inject(NO_IDLE_TIMEOUT_SQL, Injection())
        self.read_due()
        return 0

    cdef int take_back(self, Server server) except -1:
        return 0

    cdef int lost(self, Server server, object error) except -1:
        """Whoever waits gets what was known last, or the error."""
        opened = server.login is None
        self.server = None
        keys = list(self.reading)
        self.reading.clear()
        if not opened:
            self.target.address.failed()
            keys += self.cache.next_batch(self.context.loop.now)
        if keys:
            self.resume(self.cache.failed(keys, self.explain(error), self.context.loop.now))
        for _, done in self.questions:
            done([], self.explain(error))
        self.questions.clear()
        if self.cache.waiting:
            self.context.loop.call_later(RETRY, self.retry)
        return 0

    def retry(self):
        """Roles are still asked for: connect again."""
        if self.cache.waiting and self.server is None:
            self.read_due()

    def explain(self, error):
        """Why no role could be read, in terms of what to do."""
        return PgError(
            "the proxy cannot read users from the database",
            Sqlstate.CANNOT_CONNECT_NOW if error is None or error.sqlstate[:2] != "28" else error.sqlstate, "FATAL",
            str(error) if error is not None else "",
            f"Check that the database is up, and user and password of target {self.target.config.name}.")

    def check(self, double now):
        """Called every second: give up a connection that stands idle or does not come up."""
        if self.server is None or self.reading:
            return
        if self.server.phase == READY:
            if now - self.used_at > IDLE:
                self.server.terminate()
        elif now - self.used_at > self.target.config.server_login_timeout:
            self.server.lose(PgError("timed out while logging in to the database", Sqlstate.CONNECTION_FAILURE))

    def shut(self):
        """The worker ends."""
        if self.server is not None:
            self.server.terminate()

