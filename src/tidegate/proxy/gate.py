"""What one configured proxy asks of its clients: who may come in, by which method, into which pool.

Owns the way from a start-up packet to a pool and a greeting. Refuses the order of the login's steps (`login`), the
reading of roles (`roles`), and the lending (`target`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.auth.backend import Credential, PasswordCredential
from tidegate.auth.cache import Answer, Resumed
from tidegate.auth.roles import exchange_secret
from tidegate.auth.verifiers import ClientMethod
from tidegate.config.model import PoolMode, ProxyConfig
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.session.pins import PinReason
from tidegate.wire.postgres import messages

if TYPE_CHECKING:
    from tidegate.pool.client_limit import ClientLimit
    from tidegate.proxy.login import ClientLogin
    from tidegate.proxy.poolinfo import PoolInfo
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.server import Server
    from tidegate.proxy.target import Target
    from tidegate.proxy.worker import Worker


class Gate:
    """One proxy of the configuration, in one worker."""

    def __init__(self, worker: Worker, proxy: ProxyConfig, target: Target, limit: ClientLimit) -> None:
        self.worker = worker
        self.proxy = proxy
        self.target = target
        self.limit = limit
        # A dict: a set of thousands takes three times the memory.
        self.clients: dict[Relay, None] = {}
        """Every connection by which one may come, those included that have said nothing yet."""

    @property
    def passes_through(self) -> bool:
        """Whether users come from the database rather than from the configuration."""
        return not self.worker.config.users

    # --- who may come in ---------------------------------------------------------------------------------------------

    def admit(self, login: ClientLogin) -> None:
        """Count a client that has said who it wants to be. Raises PgError if no more are let in.

        Connections that have not sent their start-up packet are none: who opens some and says nothing would else keep
        clients out.
        """
        if self.worker.context.draining:
            raise PgError("the proxy is shutting down", Sqlstate.CANNOT_CONNECT_NOW, "FATAL")
        if not self.limit.admit(self.proxy.max_client_connections):
            self.worker.counters.clients_rejected += 1
            raise PgError(
                "sorry, too many clients already",
                Sqlstate.TOO_MANY_CONNECTIONS,
                "FATAL",
                f"The proxy {self.proxy.name} has reached its limit of {self.proxy.max_client_connections} clients.",
                "Raise the setting max_client_connections of this proxy.",
            )
        login.client.counted_in = self.limit

    def find_role(self, login: ClientLogin) -> None:
        """Find the user's secret, now or later; `login.role_found` is called."""
        method = ClientMethod(self.worker.config.auth_method(self.proxy, login.user))
        if self.passes_through:
            if method is ClientMethod.TRUST and not self.target.config.user:
                login.role_found(None, None, method)
                return
            self.worker.targets.roles_of(self.target).find(login)
            return
        listed = self.worker.config.user(login.user)
        secret = self.worker.secret_of(listed) if listed is not None and listed.password else None
        if listed is None and method is ClientMethod.TRUST:
            raise PgError(
                f'no such user: "{login.user}"',
                Sqlstate.INVALID_AUTHORIZATION,
                "FATAL",
                hint="Add a [[user]] to the proxy's configuration.",
            )
        login.role_found(secret, None, method)

    def role_read(self, login: ClientLogin, resumed: Resumed[ClientLogin]) -> None:
        """The role was read, or could not be."""
        if resumed.answer is None:
            error = resumed.error
            assert error is not None
            fatal = PgError(error.message, error.sqlstate, "FATAL", error.detail, error.hint)
            login.client.refuse(fatal, CloseReason.LOGIN_REFUSED)
            return
        answer = resumed.answer
        login.client.resume_login(lambda: self.role_known(login, answer))

    def role_known(self, login: ClientLogin, answer: Answer) -> None:
        """The role as it was at a time. Raises PgError if the login can't go on."""
        record = answer.record
        if record is not None and not record.is_role and not self._has_forced_user(login):
            record = None
        login.read_at = answer.read_at
        method = ClientMethod(self.worker.config.auth_method(self.proxy, login.user))
        login.role_found(exchange_secret(record, self.worker.wall_clock()), record, method)

    def _has_forced_user(self, login: ClientLogin) -> bool:
        entry = self.proxy.database(login.database)
        return entry is not None and entry.user is not None

    def read_again(self, login: ClientLogin, since: float) -> bool:
        """Have a login's role read once more if what is known of it is older than `since` (loop clock, seconds)."""
        if login.read_at is None or login.read_at >= since:
            return False
        self.worker.targets.roles_of(self.target).find_again(login)
        return True

    # --- into a pool -------------------------------------------------------------------------------------------------

    def enter(self, login: ClientLogin, credential: Credential) -> None:
        """The client is who it says: find its pool, and greet it, as soon as its parameters are known to be good."""
        entry = self.proxy.database(login.database)
        if entry is None:
            raise PgError(f'database "{login.database}" does not exist', Sqlstate.INVALID_CATALOG_NAME, "FATAL")
        client = login.client
        user = entry.user or login.user
        database = entry.database or login.database
        if entry.user is not None:
            password = self.worker.config.server_password(self.proxy, entry, entry.user)
            credential = PasswordCredential(password) if password else None
        self.target.keep_credential(user, credential)
        client.door = self.target
        client.pool = self.target.pool(database, user, self.proxy)
        if login.replication:
            self.enter_dedicated(login, PinReason.REPLICATION)
            return
        if login.others:
            self.enter_dedicated(login, PinReason.STARTUP_OPTION)
            return
        if self.worker.config.pool_mode(self.proxy, entry, login.user) is PoolMode.SESSION:
            client.pin = PinReason.SESSION_MODE
            self.worker.counters.pins += 1
            self._count_pin(PinReason.SESSION_MODE)
        info = self.info_of(client)
        if info.base is not None and info.canonical(login.wanted) is not None:
            self.greet(login, info)
        else:
            client.enter_pool()

    def enter_dedicated(self, login: ClientLogin, reason: PinReason) -> None:
        """A server of the client's own, started with the client's own parameters."""
        client = login.client
        client.abandon_for_another()
        startup = {name.encode("utf-8", "surrogateescape"): value for name, value in login.wanted.items()}
        if login.options:
            startup = {name: value for name, value in startup.items() if not self._in_options(login, name)}
            startup[b"options"] = login.options
        if login.replication:
            startup[b"replication"] = login.replication
        client.pin = reason
        client.closes_server = True
        self.worker.counters.pins += 1
        self._count_pin(reason)
        client.pool = self.target.dedicated_pool(client.pool.key, startup, login.wanted.keys(), self.proxy)
        client.enter_pool()

    @staticmethod
    def _in_options(login: ClientLogin, name: bytes) -> bool:
        from tidegate.wire.postgres.startup import parse_options

        return name in parse_options(login.options)[0]

    def info_of(self, client: Relay) -> PoolInfo:
        """What is known of the client's pool."""
        return self.target.info(client.pool.key)

    # --- the greeting ------------------------------------------------------------------------------------------------

    def greet(self, login: ClientLogin, info: PoolInfo) -> None:
        """Tell the client its parameters and its key; from here on it is relayed."""
        client = login.client
        given = info.canonical(login.wanted)
        assert given is not None
        begun = info.greeting(given)
        greeting = begun.messages + self._key_and_ready(login)
        client.begin(begun.defaults, given, begun.seen, info.idle_session_timeout, greeting)

    def greet_dedicated(self, login: ClientLogin, server: Server) -> None:
        """The same with a server of its own: what that server said at its start is the truth.

        What the client gave are that server's own defaults, to which it returns by itself.
        """
        client = login.client
        server.tunnel = bool(login.replication)
        block = b"".join(
            messages.parameter_status(name.encode("utf-8", "surrogateescape"), value)
            for name, value in server.reported.values.items()
        )
        nothing = self.worker.context.interned.nothing
        client.begin(server.applied, nothing, server.reported, 0.0, block + self._key_and_ready(login))

    def _key_and_ready(self, login: ClientLogin) -> bytes:
        pid, key = self.worker.cancel_keys.issue(login.client, 32 if login.minor >= 2 else 4)
        return messages.backend_key_data(pid, key) + messages.ready_for_query(ord("I"))

    # --- clients' events ---------------------------------------------------------------------------------------------

    def cancel(self, client: Relay, pid: int, key: bytes) -> None:
        """A CancelRequest came by this connection."""
        self.worker.counters.cancels += 1
        self.clients.pop(client, None)
        self.worker.cancels.request(client, pid, key)

    def pinned(self, client: Relay, reason: PinReason, text: bytes) -> None:
        """A session was pinned: count it, and say so, with the statement."""
        self._count_pin(reason)
        self.worker.log.info(
            "client session pinned to server %d (%s): %s",
            client.server_pid,
            reason,
            text.decode("utf-8", "replace") or "-",
        )

    def _count_pin(self, reason: PinReason) -> None:
        self.worker.pins_by_reason[reason] = self.worker.pins_by_reason.get(reason, 0) + 1

    def why_refused(self, client: Relay, error: PgError) -> CloseReason:
        """What a session that ends with this error counts as."""
        if client.login is None or error.sqlstate == Sqlstate.PROTOCOL_VIOLATION:
            return CloseReason.PROTOCOL_ERROR
        if self.worker.context.draining:
            return CloseReason.SHUTDOWN
        if error.sqlstate == Sqlstate.TOO_MANY_CONNECTIONS and client.counted_in is None:
            return CloseReason.TOO_MANY_CLIENTS
        return CloseReason.LOGIN_REFUSED

    def left(self, client: Relay, reason: CloseReason) -> None:
        """A client's session has ended."""
        self.worker.closed_by_reason[reason] = self.worker.closed_by_reason.get(reason, 0) + 1
        self.clients.pop(client, None)
        if client.counted_in is not None:
            client.counted_in.leave()
            client.counted_in = None
        if client.login is not None and self.passes_through:
            self.worker.targets.forget_login(client.login)
        self.worker.cancel_keys.revoke(client)

    def forget(self, client: Relay) -> None:
        """A client's connection is closed."""
        self.worker.lingering.discard(client)
        self.clients.pop(client, None)
