"""A client's way in: start-up packet, authentication, start-up parameters, greeting.

Owns the order of these steps (PostgreSQL documentation, "Start-up"). Refuses to read roles (`roles`), to keep pools
(`target`), and to touch sockets: the client hands it bytes.

    STARTUP -> [role is read] -> SASL_FIRST -> SASL_FINAL -> ADMITTED -> [a server is borrowed] -> greeting
                              -> PASSWORD ---------------->
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import TYPE_CHECKING

from tidegate.auth.backend import Credential, PasswordCredential, ScramCredential
from tidegate.auth.md5 import verify_md5
from tidegate.auth.roles import RoleRecord, denial, empty_password, wrong_password
from tidegate.auth.scram import MECHANISM, ScramServer
from tidegate.auth.scram_errors import ScramFailure, ScramMalformed
from tidegate.auth.verifiers import ClientMethod, Md5Hash, Plain, Secret, asked_method, md5_hash_of, verify_cleartext
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.session.pins import PinReason
from tidegate.wire.postgres import messages
from tidegate.wire.postgres.startup import (
    LARGEST_STARTUP,
    NEWEST_MINOR,
    Opening,
    Startup,
    UnsupportedProtocol,
    parse_options,
    parse_startup,
)

if TYPE_CHECKING:
    from tidegate.proxy.gate import Gate
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.server import Server

LARGEST_PASSWORD = 65536  # bytes; PostgreSQL's own limit
NOT_SETTINGS = frozenset((b"user", b"database", b"options", b"replication"))
CANNOT_CHANGE_NOW = "55P02"


class Step(Enum):
    """What the client's next bytes are."""

    STARTUP = auto()
    READING_ROLE = auto()
    PASSWORD = auto()
    SASL_FIRST = auto()
    SASL_FINAL = auto()
    ADMITTED = auto()


class ClientLogin:
    """One client's login; gone when the greeting is sent."""

    __slots__ = (
        "_encryption_asked",
        "_exchange",
        "_method",
        "_refuted",
        "_salt",
        "_secret",
        "arrived",
        "client",
        "database",
        "gate",
        "minor",
        "options",
        "others",
        "read_at",
        "record",
        "replication",
        "step",
        "user",
        "wanted",
    )

    def __init__(self, gate: Gate, client: Relay, arrived: float) -> None:
        self.gate = gate
        self.client = client
        self.arrived = arrived
        self.step = Step.STARTUP
        self.minor = 0
        self.user = ""
        self.database = ""
        self.wanted: dict[str, bytes] = {}
        self.options = b""
        self.others: list[bytes] = []
        self.replication = b""
        self.record: RoleRecord | None = None
        self.read_at: float | None = None  # loop clock, seconds: when the read of the role began, if it was read
        self._encryption_asked: tuple[bytes, ...] = ()
        self._exchange: ScramServer | None = None
        self._method = ClientMethod.SCRAM
        self._salt = b""
        self._secret: Secret = None
        self._refuted: bytes | None = None  # the proof that did not fit what was known of the role

    def take(self, client: Relay, data: bytes) -> int:
        """Deal with whole packets at the start of `data`; returns the bytes used. Raises PgError."""
        used = 0
        while client.login is self and self.step not in (Step.READING_ROLE, Step.ADMITTED):
            size = self._startup_packet(data, used) if self.step is Step.STARTUP else self._password_packet(data, used)
            if size == 0:
                break
            used += size
        return used

    # --- packets ---------------------------------------------------------------------------------------------------

    def _startup_packet(self, data: bytes, at: int) -> int:
        if len(data) - at < 4:
            return 0
        length = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= length <= LARGEST_STARTUP:
            raise _violation("invalid length of startup packet")
        if len(data) - at < length:
            return 0
        try:
            packet = parse_startup(data[at + 4 : at + length])
        except UnsupportedProtocol as error:
            raise _unsupported(str(error)) from None
        except ValueError as error:
            raise _violation(str(error)) from None
        if packet.opening is Opening.ENCRYPTION:
            code = data[at + 4 : at + 8]
            if code in self._encryption_asked:
                # As with PostgreSQL: what is no start-up packet by now is taken for one of a foreign version.
                major, minor = int.from_bytes(code[:2], "big"), int.from_bytes(code[2:], "big")
                raise _unsupported(f"{major}.{minor}")
            self._encryption_asked += (code,)
            self.client.send_bytes(b"N")
        elif packet.opening is Opening.CANCEL:
            self.step = Step.ADMITTED
            self.gate.cancel(self.client, packet.cancel_pid, packet.cancel_key)
        else:
            self._start(packet)
        return length

    def _password_packet(self, data: bytes, at: int) -> int:
        if len(data) - at < 5:
            return 0
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        if data[at] != ord("p"):
            raise _violation(f"expected password response, got message type {data[at]}")
        if not 4 <= length <= LARGEST_PASSWORD:
            raise _violation("invalid length of password packet")
        if len(data) - at < length + 1:
            return 0
        body = data[at + 5 : at + 1 + length]
        if self.step is Step.SASL_FIRST:
            self._sasl_first(body)
        elif self.step is Step.SASL_FINAL:
            self._sasl_final(body)
        else:
            self._password(body)
        return length + 1

    def _start(self, packet: Startup) -> None:
        parameters = packet.parameters
        self.minor = packet.minor
        self.user = parameters.get(b"user", b"").decode("utf-8", "surrogateescape")
        if not self.user:
            raise PgError(
                "no PostgreSQL user name specified in startup packet", Sqlstate.INVALID_AUTHORIZATION, "FATAL"
            )
        self.database = parameters.get(b"database", b"").decode("utf-8", "surrogateescape") or self.user
        replication = parameters.get(b"replication", b"").lower()
        self.replication = b"" if replication in (b"", b"0", b"off", b"false", b"no") else replication
        self.options = parameters.get(b"options", b"")
        settings, self.others = parse_options(self.options)
        settings.update((name, value) for name, value in parameters.items() if name not in NOT_SETTINGS)
        self.wanted = {name.decode("utf-8", "surrogateescape").lower(): value for name, value in settings.items()}
        if packet.must_negotiate:
            self.client.send_bytes(messages.negotiate_protocol_version(packet.minor, packet.unknown_options))
        self.gate.admit(self)
        self.step = Step.READING_ROLE
        self.gate.find_role(self)

    # --- authentication --------------------------------------------------------------------------------------------

    def role_found(self, secret: Secret, record: RoleRecord | None, method: ClientMethod) -> None:
        """The role is known (or known not to exist: then no secret): ask the client for its proof."""
        self._secret = secret
        self.record = record
        if self._refuted is not None:
            self._judge_again(self._refuted)
            return
        self._method = asked_method(method, secret)
        if self._method is ClientMethod.TRUST:
            self._authenticated(_known_credential(secret))
        elif self._method is ClientMethod.SCRAM:
            self.step = Step.SASL_FIRST
            self.client.send_bytes(messages.authentication(10, MECHANISM.encode() + b"\0\0"))
        elif self._method is ClientMethod.MD5:
            self.step = Step.PASSWORD
            self._salt = os.urandom(4)
            self.client.send_bytes(messages.authentication(5, self._salt))
        else:
            self.step = Step.PASSWORD
            self.client.send_bytes(messages.authentication(3))

    def _sasl_first(self, body: bytes) -> None:
        mechanism, _, rest = body.partition(b"\0")
        if mechanism != MECHANISM.encode():
            raise _violation("client selected an invalid SASL authentication mechanism")
        if len(rest) < 4 or int.from_bytes(rest[:4], "big") != len(rest) - 4:
            raise _violation("malformed SASLInitialResponse")
        self._exchange = ScramServer(self.gate.worker.exchange_keys.keys(self.user, self._secret))
        try:
            answer = self._exchange.first(rest[4:])
        except ScramMalformed as error:
            raise _violation(f"malformed SCRAM message: {error}") from None
        self.step = Step.SASL_FINAL
        self.client.send_bytes(messages.authentication(11, answer))

    def _sasl_final(self, body: bytes) -> None:
        assert self._exchange is not None
        try:
            answer = self._exchange.final(body)
        except ScramMalformed as error:
            raise _violation(f"malformed SCRAM message: {error}") from None
        except ScramFailure:
            self._wrong_password(body)
            return
        self.client.send_bytes(messages.authentication(12, answer))
        if isinstance(self._secret, Plain):
            self._authenticated(PasswordCredential(self._secret.password))
        else:
            self._authenticated(ScramCredential(self._exchange.client_key, self._exchange.keys))

    def _password(self, body: bytes) -> None:
        if not body.endswith(b"\0"):
            raise _violation("invalid password packet size")
        given = body[:-1]
        if not given:
            raise empty_password()
        if self._method is ClientMethod.PASSWORD:
            text = given.decode("utf-8", "surrogateescape")
            if not verify_cleartext(self.user, text, self._secret, self.gate.worker.cleartext):
                self._wrong_password(body)
                return
            self._authenticated(PasswordCredential(text))
            return
        if not isinstance(self._secret, Md5Hash | Plain):  # it was when the client was asked; read again, it is none
            self._wrong_password(body)
            return
        stored = md5_hash_of(self.user, self._secret)
        if not verify_md5(stored, self._salt, given):
            self._wrong_password(body)
            return
        self._authenticated(
            PasswordCredential(self._secret.password) if isinstance(self._secret, Plain) else Md5Hash(stored)
        )

    def _wrong_password(self, proof: bytes) -> None:
        """Refuse; but have the role read once more before that, for its password may just have been changed.

        A SCRAM proof fits one salt: only what is older than the login can be worth it, as memory for the next one.
        """
        one_salt = self._method is ClientMethod.SCRAM and not isinstance(self._secret, Plain)
        since = self.arrived if one_salt else self.gate.worker.loop.now
        if self._refuted is None and self.gate.read_again(self, since):
            self._refuted = proof
            self.step = Step.READING_ROLE
            return
        self.gate.worker.counters.logins_failed += 1
        raise wrong_password(self.user)

    def _judge_again(self, proof: bytes) -> None:
        """The role was read once more: does the proof fit now?"""
        if self._method is not ClientMethod.SCRAM:
            self._password(proof)
        elif self._exchange is not None and self._exchange.renew(
            self.gate.worker.exchange_keys.keys(self.user, self._secret)
        ):
            self._sasl_final(proof)
        else:
            self._wrong_password(proof)

    def _authenticated(self, credential: Credential) -> None:
        self.step = Step.ADMITTED
        self.client.send_bytes(messages.AUTHENTICATION_OK)
        trusted = self._method is ClientMethod.TRUST
        if self.gate.passes_through:
            refusal = denial(self.record, self.user, self.database, self.gate.worker.wall_clock(), trusted=trusted)
            if refusal is not None:
                raise refusal
        self.gate.worker.counters.logins += 1
        self.gate.enter(self, credential)

    # --- entering a pool -------------------------------------------------------------------------------------------

    def server_lent(self, client: Relay, server: Server) -> None:
        """A server is there: have it check what start-up parameters it has not been asked about yet."""
        if client.pin in (PinReason.STARTUP_OPTION, PinReason.REPLICATION):
            self.gate.greet_dedicated(self, server)
            return
        info = self.gate.info_of(client)
        if not self.wanted or info.canonical(self.wanted) is not None:
            self.gate.greet(self, info)
            return
        client.validate(self.wanted)

    def validated(self, values: list[bytes], error: PgError | None) -> None:
        """The server has taken, or refused, the start-up parameters."""
        if error is not None and error.sqlstate == CANNOT_CHANGE_NOW:
            self.gate.enter_dedicated(self, PinReason.STARTUP_OPTION)
            return
        if error is not None:
            fatal = PgError(error.message, error.sqlstate, "FATAL", error.detail, error.hint)
            self.client.refuse(fatal, CloseReason.LOGIN_REFUSED)
            return
        info = self.gate.info_of(self.client)
        info.learn(self.wanted, values)
        self.gate.greet(self, info)


def _known_credential(secret: Secret) -> Credential:
    """How to log in for a client that proved nothing: by what is stored, if that answers a database's question."""
    if isinstance(secret, Plain):
        return PasswordCredential(secret.password)
    return secret if isinstance(secret, Md5Hash) else None


def _unsupported(version: str) -> PgError:
    return PgError(
        f"unsupported frontend protocol {version}: server supports 3.0 to 3.{NEWEST_MINOR}",
        Sqlstate.FEATURE_NOT_SUPPORTED,
        "FATAL",
    )


def _violation(message: str) -> PgError:
    return PgError(message, Sqlstate.PROTOCOL_VIOLATION, "FATAL")
