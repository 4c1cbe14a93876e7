"""Opening a server connection: from StartupMessage to the first use.

Owns the order of the steps and what the proxy asks a new server about itself. Refuses sockets: messages in, bytes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import ClassVar

from tidegate.auth.backend import BackendLogin, Credential
from tidegate.errors import PgError, Sqlstate
from tidegate.proxy.initializing import Initialization, failure
from tidegate.session.settings import milliseconds
from tidegate.wire.postgres import messages

# One row about the server, in a form that every PostgreSQL since 10 understands.
ABOUT_SQL = (
    b"SELECT pg_catalog.current_setting('max_connections'),"
    b"pg_catalog.current_setting('superuser_reserved_connections'),"
    b"pg_catalog.current_setting('reserved_connections', true),"
    b"pg_catalog.pg_postmaster_start_time()::pg_catalog.text,"
    b"pg_catalog.current_setting('idle_session_timeout', true)"
)


class Step(Enum):
    """Where a server's opening stands."""

    AUTHENTICATING = auto()
    STARTING = auto()
    ASKED_ABOUT = auto()
    LOOKING = auto()
    INITIALIZING = auto()
    LOOKING_AGAIN = auto()
    RESTORING = auto()
    DONE = auto()


class About:
    """What a server said of its database: connection limits, and its own idle_session_timeout in seconds."""

    __slots__ = ("idle_session_timeout", "max_connections", "reserved", "started")

    COLUMNS = 5

    def __init__(self, row: list[bytes | None]) -> None:
        """Raises ValueError if the server answered something else."""
        if len(row) != self.COLUMNS:
            raise ValueError(f"the server said {len(row)} things about itself, not {self.COLUMNS}")
        self.max_connections = int(row[0] or b"0")
        self.reserved = int(row[1] or b"0") + int(row[2] or b"0")
        self.started = row[3] or b""
        self.idle_session_timeout = milliseconds(row[4] or b"") / 1000.0

    @property
    def usable(self) -> int:
        """Connections that a role without privileges can have."""
        return max(self.max_connections - self.reserved, 1)


class ServerLogin:
    """Feed it each message until `done`.

    `curious`: ask the server about itself (a replication connection can't answer). `initialization` runs last; what it
    has set is then in `initial`.
    """

    def __init__(
        self,
        user: str,
        credential: Credential,
        startup: Mapping[bytes, bytes],
        *,
        curious: bool = True,
        initialization: Initialization | None = None,
    ) -> None:
        self.credential = credential
        self.parameters: dict[str, bytes] = {}
        self.pid = 0
        self.key = b""
        self.about: About | None = None
        self.initial: dict[str, bytes] = {}
        self._startup = dict(startup)
        self._backend = BackendLogin(user, credential)
        self._curious = curious
        self._initialization = initialization
        self._step = Step.AUTHENTICATING
        self._row: list[bytes | None] | None = None

    @property
    def done(self) -> bool:
        """Whether the server can be lent."""
        return self._step is Step.DONE

    @property
    def initializing(self) -> bool:
        """Whether init_query runs, or what belongs to it."""
        return self._step in _INITIALIZING

    def begin(self, end_point: bytes = b"") -> bytes:
        """The first bytes to send. `end_point`: what SCRAM can be bound to on this connection; b"": nothing."""
        self._backend.end_point = end_point
        return messages.startup(0, self._startup)

    def feed(self, kind: int, body: bytes) -> bytes | None:
        """Take one message; return bytes to send, or None.

        Raises PgError when the server refuses, InitQueryError when it is init_query that fails.
        """
        if kind == ord("E"):
            error = messages.parse_error(body)
            raise failure(error) if self.initializing and error.severity == "ERROR" else error
        handler = self._HANDLERS.get((self._step, chr(kind))) or self._ANYWHERE.get(chr(kind))
        if handler is None:
            error = PgError(
                f"the database sent message {chr(kind)!r} out of place while logging in",
                Sqlstate.PROTOCOL_VIOLATION,
                "FATAL",
            )
            raise failure(error) if self.initializing else error
        return handler(self, body)

    def _authentication(self, body: bytes) -> bytes | None:
        if len(body) < 4:
            raise PgError("the database sent a truncated message", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        answer = self._backend.feed(int.from_bytes(body[:4], "big"), body[4:])
        if self._backend.done:
            self._step = Step.STARTING
        return None if answer is None else messages.message(ord("p"), answer)

    def _parameter(self, body: bytes) -> None:
        name, value = messages.parse_parameter_status(body)
        self.parameters[name.decode("utf-8", "surrogateescape")] = value

    def _key_data(self, body: bytes) -> None:
        self.pid = int.from_bytes(body[:4], "big")
        self.key = body[4:]

    def _started(self, body: bytes) -> bytes | None:
        if self._curious:
            self._step = Step.ASKED_ABOUT
            return messages.query(ABOUT_SQL)
        return self._initialize()

    def _about_row(self, body: bytes) -> None:
        self._row = messages.parse_data_row(body)

    def _about_done(self, body: bytes) -> bytes | None:
        self.about = About(self._row or [])
        return self._initialize()

    def _initialize(self) -> bytes | None:
        if self._initialization is None:
            self._step = Step.DONE
            return None
        self._step = Step.LOOKING
        return self._initialization.queries

    def _look_row(self, body: bytes) -> None:
        assert self._initialization is not None
        row = messages.parse_data_row(body)
        if self._step is Step.LOOKING:
            self._initialization.seen_before(row)
        else:
            self._initialization.seen_after(row)

    def _looked(self, body: bytes) -> None:
        self._step = Step.INITIALIZING

    def _initialized(self, body: bytes) -> None:
        if body != b"I":
            raise failure(PgError("init_query left a transaction open", Sqlstate.FEATURE_NOT_SUPPORTED))
        self._step = Step.LOOKING_AGAIN

    def _looked_again(self, body: bytes) -> bytes | None:
        assert self._initialization is not None
        self.initial = self._initialization.initial
        if self._initialization.overridden:
            self._step = Step.RESTORING
            return self._initialization.restoring
        self._step = Step.DONE
        return None

    def _restored(self, body: bytes) -> None:
        self._step = Step.DONE

    def _ignore(self, body: bytes) -> None:
        """Row descriptions, tags and notices say nothing that is needed here."""

    _Handler = Callable[["ServerLogin", bytes], bytes | None]
    _HANDLERS: ClassVar[dict[tuple[Step, str], _Handler]] = {
        (Step.AUTHENTICATING, "R"): _authentication,
        (Step.AUTHENTICATING, "v"): _ignore,
        (Step.STARTING, "K"): _key_data,
        (Step.STARTING, "Z"): _started,
        (Step.ASKED_ABOUT, "T"): _ignore,
        (Step.ASKED_ABOUT, "D"): _about_row,
        (Step.ASKED_ABOUT, "C"): _ignore,
        (Step.ASKED_ABOUT, "Z"): _about_done,
        (Step.LOOKING, "T"): _ignore,
        (Step.LOOKING, "D"): _look_row,
        (Step.LOOKING, "C"): _ignore,
        (Step.LOOKING, "Z"): _looked,
        (Step.INITIALIZING, "T"): _ignore,
        (Step.INITIALIZING, "D"): _ignore,
        (Step.INITIALIZING, "C"): _ignore,
        (Step.INITIALIZING, "I"): _ignore,
        (Step.INITIALIZING, "Z"): _initialized,
        (Step.LOOKING_AGAIN, "T"): _ignore,
        (Step.LOOKING_AGAIN, "D"): _look_row,
        (Step.LOOKING_AGAIN, "C"): _ignore,
        (Step.LOOKING_AGAIN, "Z"): _looked_again,
        (Step.RESTORING, "C"): _ignore,
        (Step.RESTORING, "Z"): _restored,
    }
    # A notification comes if init_query listens to a channel that it also notifies.
    _ANYWHERE: ClassVar[dict[str, _Handler]] = {"S": _parameter, "N": _ignore, "A": _ignore}


_INITIALIZING = (Step.LOOKING, Step.INITIALIZING, Step.LOOKING_AGAIN, Step.RESTORING)
