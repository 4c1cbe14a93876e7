"""Reading roles from the database, for pass-through authentication.

Owns one connection of the proxy's own to a target, opened when a role is asked for and closed when it has been idle, and
how long a login waits for its role. Refuses to run under any client's settings: nothing but this module uses the
connection, and its query names every function, table and operator with its schema (CVE-2025-12819 was the lack of that).
"""

from tidegate.proxy.backend cimport Backend
from tidegate.proxy.context cimport Context
from tidegate.proxy.server cimport Injection, Lender, READY, Server

import random
from collections import deque

from tidegate.auth.cache import RoleCache
from tidegate.auth.roles import (
    ADMISSION_SQL, LOOKUP_SQL, admits, check_auth_query, parse_auth_query_row, parse_row, unreadable_roles,
)
from tidegate.errors import CloseReason, LoginUnsettled, PgError, Sqlstate
from tidegate.pool.pacing import Backoff, FailureScope, failure_scope
from tidegate.proxy.database_logins import OWN
from tidegate.proxy.opening import ServerLogin

IDLE = 60.0  # seconds after which the connection is closed
AT_ONCE = 64  # roles read in one write
GIVE_WAY = 1.0  # seconds that a read which got no answer before may keep others waiting
RETRY = 0.1  # seconds
CANCEL_GRACE = 1.0  # seconds that a cancelled query has to end
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
        self.reader.heard()
        self.reader.answered(self.key, self.rows, None if self.found is None else self.found.rows, error)
        return 0


cdef class Result(Injection):
    """The answer to some other question."""
    cdef RoleReader reader
    cdef object done

    cdef int finished(self, Server server) except -1:
        self.reader.heard()
        self.done(self.rows, self.error)
        self.reader.read_due()
        return 0


# How long a login may take, and how long a read.
#
# login_timeout is for whoever has to do something next: the client, its start-up packet and its proof together
# (`Client.check`; its clock stands still while it waits for the database); the database, each answer.
# connection_borrow_timeout is for waiting until the database can do it: for the role here, for a server connection in
# the pool's queue.
#
# So a read without an answer for login_timeout is given up: its query is cancelled, and if that doesn't end it, the
# connection is closed and another opened. Reads are answered in their order, so it is the oldest that is to blame. Those
# behind it are read at once; it becomes a suspect (`auth.cache`), and gives way after GIVE_WAY where others wait.
#
# A read that is given up, a connection that fails or breaks, a database that is starting up (57P03), full (53300) or in
# other passing trouble (`pool.pacing`) are no answers: the login goes on waiting, and attempts follow with growing
# pauses, until connection_borrow_timeout has passed since it began to wait (with 0, the first attempt is the only one).
# If it is known from earlier what the role was like, it goes on with that instead. What no waiting helps (the proxy's own
# password is wrong, it may not read pg_authid) is told at once.


cdef class RoleReader(Lender):
    """Roles of one target. Keys are (user, database); waiters are logins."""
    cdef readonly Context context
    cdef object worker, target, cache
    cdef bytes query  # of a role: user and database are its parameters
    cdef bytes auth_query  # or None
    cdef Server server
    cdef object under_way  # deque of what was asked and not answered, oldest first: keys, and callbacks of questions
    cdef double used_at
    cdef double heard_at  # when the oldest of `under_way` became that
    cdef double cancelled_at  # when its query was cancelled, or 0
    cdef bint alarm_set
    cdef bint retry_set
    cdef bint recall_set
    cdef object backoff
    cdef object last_error  # why the last attempt came to nothing
    cdef list questions  # (SQL, callback) that wait for the connection

    def __init__(self, worker, target):
        self.worker = worker
        self.context = worker.context
        self.target = target
        self.cache = RoleCache(target.config.verifier_cache_ttl)
        self.under_way = deque()
        self.backoff = Backoff()
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
        self.wait(login)

    def find_again(self, login):
        """Have `gate.role_read` called, later, with what a login's role is from now on: it is about to be refused."""
        self.cache.recheck(self.key_of(login), self.context.loop.now, login)
        self.wait(login)

    def wait(self, login):
        """The login goes on when its role has been read."""
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

    def release(self):
        """The logins that wait here, each of which is to wait at another reader."""
        return self.cache.release()

    def take_over(self, login):
        """Have a login wait here that has waited at another reader; the time that it has waited counts on."""
        self.cache.recheck(self.key_of(login), self.context.loop.now, login)
        self.read_due()

    # --- reading --------------------------------------------------------------------------------------------------

    def read_due(self):
        """Send what is due, if the connection stands."""
        if self.server is None:
            self.open_soon()
            return
        if self.server.phase != READY or self.server.cancels:
            return
        if not self.under_way:
            self.heard_at = self.context.loop.now
        while self.questions:
            sql, done = self.questions.pop(0)
            self.put(sql, done)
        for key in self.cache.next_batch(self.context.loop.now, max(AT_ONCE - len(self.under_way), 0)):
            self.ask(key)
        self.set_alarm()
        self.context.to_servers.flush()

    def run(self, sql, done):
        """Ask the database something else: `done(rows, error)` is called, in this connection's time."""
        self.questions.append((sql, done))
        self.used_at = self.context.loop.now
        self.read_due()

    cdef int put(self, bytes sql, object done) except -1:
        cdef Result result = Result()
        result.reader = self
        result.done = done
        self.under_way.append(done)
        return self.server.inject(sql, result)

    cdef int ask(self, tuple key) except -1:
        cdef Answer answer = Answer()
        cdef bytes user = key[0].encode("utf-8", "surrogateescape")
        answer.reader = self
        answer.key = key
        self.under_way.append(key)
        if self.auth_query is not None:
            answer.found = Found()
            self.server.ask(self.auth_query, [user], answer.found)
        self.server.ask(self.query, [user, key[1].encode("utf-8", "surrogateescape")], answer)
        return 0

    def heard(self):
        """The oldest of what is under way was answered."""
        self.under_way.popleft()
        self.heard_at = self.used_at = self.context.loop.now
        self.cancelled_at = 0

    def answered(self, key, rows, found, error):
        """One role was read; `found` are the rows of the auth_query, None without one."""
        cdef object record = None
        if error is None:
            try:
                record = self.record_of(key, rows, found)
            except (PgError, ValueError) as bad:
                error = bad if isinstance(bad, PgError) else PgError(str(bad), Sqlstate.INVALID_AUTHORIZATION, "FATAL")
        elif error.sqlstate == Sqlstate.INSUFFICIENT_PRIVILEGE:
            error = unreadable_roles(error, self.target.config.user)
        if error is None:
            self.backoff.succeed()
            self.resume(self.cache.loaded(key, record))
        elif passing(error):
            self.last_error = error
            self.resume(self.cache.stalled(key, self.context.loop.now))
            self.refuse_late([key])
        else:
            self.resume(self.cache.failed([key], error, self.context.loop.now))
        self.read_due()

    def record_of(self, key, rows, found):
        if found is None:
            return parse_row(rows[0]) if rows else None
        return parse_auth_query_row(key[0], found[0], rows[0] if rows else None) if found else None

    def resume(self, resumed):
        for one in resumed:
            one.waiter.gate.role_read(one.waiter, one)

    # --- the connection -------------------------------------------------------------------------------------------

    def open_soon(self):
        """Connect, unless it is a pause after a failure: then when that is over.

        Whoever comes while nobody else waits is not kept out by the pause that others have brought about.
        """
        delay = self.backoff.until - self.context.loop.now
        if self.target.config.database in self.target.vacated:
            self.retry_in(RETRY)
            return
        if delay <= 0 or self.cache.one_waits:
            self.open()
        else:
            self.retry_in(delay)
            if not self.recall_set:
                self.recall_set = True
                self.context.loop.call_later(0, self.recall)

    def reads(self, host, port, database):
        """Whether it is to this database that it connects."""
        config = self.target.config
        return (config.host, config.port, config.database) == (host, port, database)

    def vacate(self, shut):
        """Whether there is a connection; `shut`: the database is to be left alone, so it closes if nothing is under way."""
        if shut and self.server is not None and self.server.phase == READY and not self.under_way:
            self.server.terminate()
        return self.server is not None

    def recall(self):
        """During a pause as after a failure: whose role was known earlier goes on with that."""
        cdef double now = self.context.loop.now
        self.recall_set = False
        if self.server is None:
            self.resume(self.cache.postponed(self.cache.next_batch(now), now))

    def retry_in(self, delay):
        """Connect after so many seconds, if anything is still asked for then."""
        if not self.retry_set:
            self.retry_set = True
            self.context.loop.call_later(delay + SHORTEST_DELAY, self.retry)

    def retry(self):
        """The pause is over."""
        self.retry_set = False
        if self.server is None and (self.cache.waiting or self.questions):
            self.open_soon()

    def open(self):
        """Connect; everything due is read when the connection stands."""
        cdef object config = self.target.config
        cdef object credential
        startup = {b"user": config.user.encode(), b"database": config.database.encode(),
                   b"application_name": b"tidegate"}
        credential = self.worker.database_logins.own(self.target)
        login = ServerLogin(config.user, credential, startup)
        self.server = Backend(self.context, self, None, login, self.target.encryption)
        self.used_at = self.context.loop.now
        self.target.address.connect(self.server)

    cdef int ready(self, Server server) except -1:
        self.target.learn_limit(server.login.about)
        self.worker.database_logins.succeeded(self.target, OWN)
        server.login = None
        server.inject(NO_IDLE_TIMEOUT_SQL, Injection())
        self.read_due()
        return 0

    cdef int take_back(self, Server server) except -1:
        return 0

    cdef int lost(self, Server server, object error) except -1:
        """The connection has ended: who waits gets what was known last, or waits for the next one, or is told why."""
        cdef double now = self.context.loop.now
        cdef bint opened = server.login is None
        cdef list keys = [one for one in self.under_way if isinstance(one, tuple)]
        cdef list asked = [one for one in self.under_way if not isinstance(one, tuple)]
        cdef bint blamed = opened and isinstance(self.under_way[0] if self.under_way else None, tuple)
        asked += [done for _, done in self.questions]
        if not opened and error is not None:
            error = self.worker.database_logins.refused(self.target, OWN, server.login.credential, error)
        self.server = None
        self.cancelled_at = 0
        self.under_way.clear()
        self.questions.clear()
        if not opened:
            self.address.failed()
            keys = self.cache.next_batch(now)
        if not passing(error) and not isinstance(error, LoginUnsettled):
            self.resume(self.cache.failed(keys, self.explain(error), now))
        elif keys or not opened:
            self.last_error = error
            self.backoff.fail(now, now, 0.0, random)
            if blamed:
                self.resume(self.cache.stalled(keys[0], now))
            self.resume(self.cache.postponed(keys[blamed:], now))
            self.refuse_late(keys)
        for done in asked:
            done([], self.explain(error))
        if self.server is None and self.cache.waiting:
            self.retry_in(max(RETRY, self.backoff.until - now))
        return 0

    def explain(self, error):
        """Why no role could be read, in terms of what to do."""
        return PgError(
            "the proxy cannot read users from the database",
            Sqlstate.CANNOT_CONNECT_NOW if error is None or error.sqlstate[:2] != "28" else error.sqlstate, "FATAL",
            str(error) if error is not None else "",
            f"Check that the database is up, and user and password of target {self.target.config.name}.")

    # --- limits ---------------------------------------------------------------------------------------------------

    @property
    def address(self):
        """Where the reader connects to; cancel requests too."""
        return self.target.address

    @property
    def encryption(self):
        """Likewise."""
        return self.target.encryption

    @property
    def config(self):
        """How long to wait for the database to take a cancel request: as for those of clients."""
        return self.target.config

    def cancel_ended(self, Server server):
        """The database has dealt with a cancel request for a read."""
        server.cancels -= 1
        if server is self.server:
            self.read_due()

    def check(self, double now):
        """Called every second: give up a wait, a read, a connection that stands idle or does not come up."""
        self.refuse_late(None)
        if self.server is None:
            return
        if self.server.phase != READY:
            if now - self.used_at > self.target.config.server_login_timeout:
                self.server.lose(PgError("timed out while logging in to the database", Sqlstate.CONNECTION_FAILURE))
        elif self.under_way:
            self.check_read(now)
        elif now - self.used_at > IDLE:
            self.server.terminate()

    cdef int check_read(self, double now) except -1:
        """End what the database gives no answer to: first the query, then the connection."""
        cdef double patience = GIVE_WAY if self.cache.kept_waiting else self.patience()
        if self.cancelled_at:
            if now - self.cancelled_at > CANCEL_GRACE:
                self.server.lose(PgError(f"the database gave no answer for {now - self.heard_at:.0f} seconds",
                                         Sqlstate.CONNECTION_FAILURE))
        elif now - self.heard_at > patience:
            self.worker.log.warning(
                "the database %s does not answer about a role: cancelling the query", self.target.config.name)
            self.cancelled_at = now
            self.worker.cancels.send(self, self.server, None)
        return 0

    def patience(self):
        """Seconds that an answer may take: login_timeout, the longest of those proxies that this target serves."""
        gates = list(self.worker.gates.values())
        return max([gate.proxy.login_timeout for gate in [g for g in gates if g.target is self.target] or gates])

    def refuse_late(self, failed):
        """Tell those who have waited long enough. `failed`: keys whose read just has (the only one for some), or None."""
        cdef double now = self.context.loop.now
        for login in self.cache.waiters(failed):
            limit = login.gate.proxy.connection_borrow_timeout
            if failed is None and limit == 0:
                limit = self.patience() + CANCEL_GRACE  # the attempt ends first
            if now - login.asked_at >= limit:
                self.context.counters.borrow_timeouts += 1
                login.client.refuse(self.too_late(now - login.asked_at), CloseReason.LOGIN_TIMEOUT)

    def too_late(self, seconds):
        """The words of a borrow timeout: it is one."""
        why = self.last_error or "FATAL: the database gave no answer"
        return PgError(
            "Timed-out waiting to acquire database connection.", Sqlstate.CONNECTION_EXCEPTION, "FATAL",
            f"The user could not be read from the database for {seconds:.1f} seconds: {why}.",
            "See whether the database is up; the wait is the setting connection_borrow_timeout.")

    def shut(self):
        """The worker ends."""
        if self.server is not None:
            self.server.terminate()


cdef bint passing(object error) except -1:
    """Whether waiting may help: `error` is a failed opening's or query's, None for a connection that broke off."""
    return failure_scope(error) is not FailureScope.CLIENTS
