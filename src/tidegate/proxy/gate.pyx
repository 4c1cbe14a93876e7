"""What one configured proxy asks of its clients: who may come in, by which method, into which pool.

Owns the way from a start-up packet to a pool and a greeting. Refuses the order of the login's steps (`login`), the
reading of roles (`rolereader`), and the lending (`target`).

What the configuration says of a user, and of a user's clients of one database, is worked out once and kept until the
next configuration: `Listed`, and `Route`, which only those come to have who have logged in.
"""

from tidegate.engine.stream cimport is_local
from tidegate.engine.tls cimport TlsStream
from tidegate.pool.client_limit cimport ClientLimit
from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.client cimport Client, Entrance
from tidegate.proxy.keys cimport LONG_KEY, SHORT_KEY
from tidegate.proxy.login cimport ClientLogin
from tidegate.proxy.poolinfo cimport PoolInfo
from tidegate.proxy.server cimport Server
from tidegate.proxy.target cimport Target
from tidegate.wire.postgres.integers cimport put32
from tidegate.wire.postgres.messages cimport parameter_status
from tidegate.auth.backend import PasswordCredential
from tidegate.auth.roles import exchange_secret
from tidegate.auth.verifiers import ClientMethod, asked_method
from tidegate.config.model import PoolMode
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.proxy.iam_logins import no_credentials
from tidegate.proxy.journal import peer
from tidegate.proxy.poolinfo import Greeting
from tidegate.session.pins import PinReason
from tidegate.wire.postgres.options import parse_options

cdef frozenset NEEDS_NO_SECRET = frozenset((ClientMethod.TRUST, ClientMethod.CERT))
cdef object TRUST = ClientMethod.TRUST

cdef enum:
    ROUTES_KEPT = 4096
    KEY_AND_READY = 9 + 6  # bytes of BackendKeyData without its key, and of ReadyForQuery


cdef class Gate(Entrance):
    def __init__(self, worker, proxy, Target target, ClientLimit limit):
        self.worker = worker
        self.context = worker.context
        self.keys = worker.cancel_keys
        self.closed_by_reason = worker.closed_by_reason
        # A dict: a set of thousands takes three times the memory.
        self.clients = {}
        self.configure(proxy, target, limit)

    cpdef int configure(self, object proxy, Target target, ClientLimit limit) except -1:
        """Take a new configuration, which is the worker's already."""
        self.proxy = proxy
        self.target = target
        self.exchange_keys = self.worker.exchange_keys[proxy.target]
        self.limit = limit
        self.most_clients = proxy.max_client_connections
        self.passes_through = self.worker.config.passes_through(proxy)
        self.stranger = Listed()
        self.stranger.method = asked_method(ClientMethod(proxy.auth_method), None)
        self.listed = {}
        self.routes = {}
        self.tls = self.worker.tls_of(proxy)
        return 0

    # --- TLS ---------------------------------------------------------------------------------------------------------

    cdef bint requires_tls(self, Client client) except -1:
        """Whether a client that has not encrypted its connection is refused: not on a Unix socket, as with hostssl."""
        return self.proxy.require_tls and not is_local(client.stream)

    cdef int secured(self, Client client, TlsStream stream) except -1:
        (<ClientLogin>client.login).secured(stream)
        self.context.counters.clients_encrypted += 1
        return 0

    def certificate_names(self, str user):
        """What a certificate may call a user who logs in by it."""
        listed = self.worker.config.user(user, self.proxy.name)
        return (user,) if listed is None or not listed.certificate_names else listed.certificate_names

    # --- who may come in -------------------------------------------------------------------------------------------

    cdef int admit(self, ClientLogin login) except -1:
        """Count a client that has said who it wants to be. Raises PgError if no more are let in.

        Connections that have not sent their start-up packet are none: who opens some and says nothing would else keep
        clients out.
        """
        if self.context.draining:
            raise PgError("the proxy is shutting down", Sqlstate.CANNOT_CONNECT_NOW, "FATAL")
        if not self.limit.admit(self.most_clients):
            self.context.counters.clients_rejected += 1
            raise PgError(
                "sorry, too many clients already", Sqlstate.TOO_MANY_CONNECTIONS, "FATAL",
                f"The proxy {self.proxy.name} has reached its limit of {self.most_clients} clients.",
                "Raise the setting max_client_connections of this proxy.")
        login.client.counted_in = self.limit
        return 0

    cdef int find_role(self, ClientLogin login) except -1:
        """Find the user's secret, now or later; `login.role_found` is called."""
        cdef Listed known
        if self.passes_through:
            if self.stranger.method is TRUST and not self.target.config.user:
                login.role_found(None, None, TRUST)
            else:
                self.worker.targets.roles_of(self.target).find(login)
            return 0
        known = <Listed>self.listed.get(login.user)
        if known is None:
            known = self.listed_user(login.user)
        login.spare = known.spare
        return login.ask(known.secret, None, known.method)

    cdef Listed listed_user(self, str user):
        """What the configuration says of a user; of one whom it does not name, what looks like a wrong password."""
        cdef Listed found
        listed = self.worker.config.user(user, self.proxy.name)
        if listed is None:
            if self.proxy.pass_through is False:
                raise no_credentials(user)  # as RDS Proxy, which does not make a secret of whom it serves
            if self.stranger.method in NEEDS_NO_SECRET:
                raise PgError(f'no such user: "{user}"', Sqlstate.INVALID_AUTHORIZATION, "FATAL",
                              hint="Add a [[user]] to the proxy's configuration.")
            return self.stranger  # names that anyone makes up leave nothing behind
        found = Listed()
        found.secret = self.worker.secret_of(listed.password, listed.plain_passwords) if listed.password else None
        found.spare = [self.worker.secret_of(text, listed.plain_passwords) for text in listed.other_passwords]
        found.method = asked_method(ClientMethod(self.worker.config.auth_method(self.proxy, user)), found.secret)
        if listed.secret_arn and found.secret is None and found.method not in NEEDS_NO_SECRET:
            raise no_credentials(user)
        if listed.name == user:
            self.listed[user] = found  # of names that anyone makes up nothing is kept
        return found

    cdef bint look_again(self, ClientLogin login) except -1:
        """Have the secret of a listed user read once more, if it may have changed; `secret_looked` is called then."""
        listed = None if self.passes_through else self.worker.config.user(login.user, self.proxy.name)
        if listed is None or not listed.source or not self.worker.database_logins.wait(listed.source, login):
            return False
        login.client.wait_for_role()
        return True

    def fresh(self, str user):
        """What the settings have of a listed user now: a secret, and the spare ones. Raises PgError."""
        cdef Listed found = self.listed_user(user)
        return found.secret, found.spare

    def judge_token(self, ClientLogin login, str token):
        """Have an IAM token judged; `token_judged` is called."""
        login.client.wait_for_role()
        self.worker.iam_logins.verify(login, self.proxy.name, token, peer(login.client.stream.fd))

    def role_read(self, ClientLogin login, resumed):
        """The role was read, or could not be."""
        if resumed.answer is None:
            error = resumed.error
            fatal = PgError(error.message, error.sqlstate, "FATAL", error.detail, error.hint)
            login.client.refuse(fatal, CloseReason.LOGIN_REFUSED)
            return
        answer = resumed.answer
        login.client.resume_login(lambda: self.role_known(login, answer))

    def role_known(self, ClientLogin login, answer):
        """The role as it was at a time. Raises PgError if the login can't go on."""
        record = answer.record
        if record is not None and not record.is_role and not self.has_forced_user(login):
            record = None
        login.read_at = answer.read_at
        method = ClientMethod(self.worker.config.auth_method(self.proxy, login.user))
        login.role_found(exchange_secret(record, self.worker.wall_clock()), record, method)

    def has_forced_user(self, ClientLogin login):
        """Whether clients of the login's database are served as another user."""
        entry = self.proxy.database(login.database)
        return entry is not None and entry.user is not None

    cdef bint read_again(self, ClientLogin login, double since) except -1:
        """Have a login's role read once more if what is known of it is older than `since` (loop clock, seconds)."""
        if login.read_at is None or login.read_at >= since:
            return False
        self.worker.targets.roles_of(self.target).find_again(login)
        return True

    # --- into a pool -----------------------------------------------------------------------------------------------

    cdef int enter(self, ClientLogin login) except -1:
        """The client is who it says: find its pool, and greet it, as soon as its parameters are known to be good."""
        cdef Borrowing client = login.client
        cdef Route route = self.route(login.user, login.database)
        self.keep_credential(route, login)
        client.door = self.target
        client.pool = self.target.pool(route.key, self.proxy)
        if login.replication:
            return self.enter_dedicated(login, PinReason.REPLICATION)
        if login.others:
            return self.enter_dedicated(login, PinReason.STARTUP_OPTION)
        if route.keeps_server:
            client.pin = PinReason.SESSION_MODE
            client.pinned_at = self.context.loop.now
            self.count_pin(PinReason.SESSION_MODE)
        if not self.greet(login):
            client.enter_pool()
        return 0

    cdef Route route(self, str user, str database):
        """Where a user's clients of a database go. Raises PgError if the proxy does not serve that database."""
        cdef Route found = <Route>self.routes.get((user, database))
        if found is not None:
            return found
        config = self.worker.config
        entry = self.proxy.database(database)
        if entry is None:
            raise PgError(f'database "{database}" does not exist', Sqlstate.INVALID_CATALOG_NAME, "FATAL")
        found = Route()
        found.user = entry.user or user
        found.key = self.target.key_of(entry.database or database, found.user, self.proxy)
        found.keeps_server = config.pool_mode(self.proxy, entry, user) is PoolMode.SESSION
        if entry.user is not None:
            password = config.server_password(self.proxy, entry, entry.user)
            found.forced = True
            found.credential = PasswordCredential(password) if password else None
        if len(self.routes) >= ROUTES_KEPT:
            self.routes.clear()
        self.routes[user, database] = found
        return found

    def keep_login(self, ClientLogin login):
        """The proxy has another target than when the client was let in: keep there how to log in for it.

        Raises PgError if the proxy no longer serves the client's database.
        """
        self.keep_credential(self.route(login.user, login.database), login)

    cdef int keep_credential(self, Route route, ClientLogin login) except -1:
        """How to log in to the database for this client."""
        if route.forced:
            return self.target.keep_credential(route.user, route.credential)
        if login.exchange is not None and self.target.holds_keys(
                route.user, login.exchange.keys, login.exchange.client_key):
            return 0
        return self.target.keep_credential(route.user, login.shown())

    def enter_dedicated(self, ClientLogin login, reason):
        """A server of the client's own, started with the client's own parameters."""
        cdef Borrowing client = login.client
        client.abandon_for_another()
        startup = {name.encode("utf-8", "surrogateescape"): value for name, value in login.wanted.items()}
        if login.packet.options:
            own = parse_options(login.packet.options)[0]
            startup = {name: value for name, value in startup.items() if name not in own}
            startup[b"options"] = login.packet.options
        if login.replication:
            startup[b"replication"] = login.replication
        client.pin = reason
        client.pinned_at = self.context.loop.now
        client.closes_server = True
        self.count_pin(reason)
        client.pool = self.target.dedicated_pool(client.pool.key, startup, login.wanted.keys(), self.proxy)
        client.enter_pool()
        return 0

    # --- the greeting ----------------------------------------------------------------------------------------------

    cdef bint greet(self, ClientLogin login) except -1:
        """Tell the client its parameters and its key; False if a server must be asked about its wishes first."""
        cdef PoolInfo info = self.target.info(login.client.pool.key)
        greeting = info.known_greeting(login.packet.body)
        if greeting is None:
            greeting = info.greeting_for(login.wanted)
            if greeting is None:
                return False
            info.remember(login.packet.body, greeting)
        self.complete(login, greeting, info.idle_session_timeout)
        return True

    def learn(self, ClientLogin login, list values):
        """A server has taken the client's start-up parameters and spells them so."""
        cdef PoolInfo info = self.target.info(login.client.pool.key)
        info.learn(login.wanted, values)
        self.greet(login)

    def greet_dedicated(self, ClientLogin login, Server server):
        """The same with a server of its own: what that server said at its start is the truth.

        What the client gave are that server's own defaults, to which it returns by itself.
        """
        cdef bytes block = b"".join(
            [parameter_status(name.encode("utf-8", "surrogateescape"), value)
             for name, value in server.reported.values.items()])
        server.tunnel = len(login.replication) > 0
        self.complete(login, Greeting(server.applied, self.context.nothing, server.reported, block), 0.0)

    cdef int complete(self, ClientLogin login, object greeting, double idle_timeout) except -1:
        """ParameterStatus messages, BackendKeyData, ReadyForQuery; from here on the client is relayed."""
        cdef char tail[KEY_AND_READY + LONG_KEY]
        cdef Borrowing client = login.client
        cdef unsigned int size = LONG_KEY if login.packet.minor >= 2 else SHORT_KEY
        self.keys.issue(client, size)
        tail[0] = b'K'
        put32(tail + 1, 8 + size)
        put32(tail + 5, self.keys.pid_of(client))
        self.keys.write_key(client, tail + 9)
        tail[9 + size] = b'Z'
        put32(tail + 10 + size, 5)
        tail[14 + size] = b'I'
        client.catalogue = self.target.catalogues.of(client.pool.key[0])
        client.send_bytes(<bytes>greeting.messages)
        client.send(tail, KEY_AND_READY + size)
        if self.context.verbose:
            self.context.journal.client_entered(self.proxy.name, login, client.stream.fd)
        return client.begin(greeting.defaults, greeting.given, greeting.seen, idle_timeout)

    # --- clients' events -------------------------------------------------------------------------------------------

    def cancel(self, Client client, pid, key):
        """A CancelRequest came by this connection."""
        self.context.counters.cancels += 1
        self.clients.pop(client, None)
        self.worker.cancels.request(client, pid, key)

    def pinned(self, Client client, reason, bytes text):
        """A session was pinned: count it, and say so, with the statement."""
        self.count_pin(reason)
        self.context.journal.pinned(self.proxy.name, client.server_pid, reason, text)

    def unpinned(self, Client client, reason):
        """What a session was pinned for is gone."""
        self.context.counters.unpins += 1
        self.worker.unpins_by_reason[reason] = self.worker.unpins_by_reason.get(reason, 0) + 1
        self.context.journal.unpinned(self.proxy.name, client.server_pid, reason)

    def missed(self, Client client, what, heard):
        """An audit found state of which the tracker knew nothing."""
        self.context.counters.audit_findings += 1
        self.context.journal.missed(client.server_pid, what, heard)

    def count_pin(self, reason):
        """One session more that keeps its server."""
        self.context.counters.pins += 1
        self.worker.pins_by_reason[reason] = self.worker.pins_by_reason.get(reason, 0) + 1

    def why_refused(self, Client client, error):
        """What a session that ends with this error counts as."""
        if client.login is None or error.sqlstate == Sqlstate.PROTOCOL_VIOLATION:
            return CloseReason.PROTOCOL_ERROR
        if self.context.draining:
            return CloseReason.SHUTDOWN
        if error.sqlstate == Sqlstate.TOO_MANY_CONNECTIONS and client.counted_in is None:
            return CloseReason.TOO_MANY_CLIENTS
        return CloseReason.LOGIN_REFUSED

    cdef int login_failed(self, Client client, object error, object reason) except -1:
        if reason is not CloseReason.SHUTDOWN:
            self.context.journal.login_failed(self.proxy.name, client.login, client.stream.fd, error, reason)
        return 0

    cdef int left(self, Client client, object reason) except -1:
        """A client's session has ended."""
        self.closed_by_reason[reason] = self.closed_by_reason.get(reason, 0) + 1
        visit = self.clients.pop(client, None)
        if self.context.verbose:
            self.context.journal.client_went(self.proxy.name, visit, client.stream.fd, reason)
        if client.counted_in is not None:
            (<ClientLimit>client.counted_in).leave()
            client.counted_in = None
        if client.login is not None and self.passes_through:
            self.worker.targets.forget_login(client.login)
        self.keys.revoke(client)
        return 0

    cdef int forget(self, Client client) except -1:
        self.worker.lingering.discard(client)
        self.clients.pop(client, None)
        return 0
