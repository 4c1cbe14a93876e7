"""The demo's own small PostgreSQL client: protocol 3.0, SCRAM-SHA-256, simple queries; independent of the proxy's code.

Owns what one client says and what it makes of the answers: bytes in, bytes out (`Conversation`), and a blocking
connection on top of it for the demo's own questions (`Session`). Refuses TLS, other authentication and COPY.

One honesty: SaltedPassword (PBKDF2, about 3 ms) is computed once a process and not at every login, so that hundreds of
clients on the same two cores as the database don't measure their own arithmetic. A real function pays it in its own
environment. Everything else of the SCRAM exchange is done at every login.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

PROTOCOL_3_0 = 0x00030000
TERMINATE = b"X\x00\x00\x00\x04"
_AUTH_OK, _AUTH_SASL, _AUTH_SASL_CONTINUE, _AUTH_SASL_FINAL = 0, 10, 11, 12


class ClientError(Exception):
    """The server refused or broke off; `reason` groups equal failures, as `SQLSTATE message` where there is one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect, and as whom."""

    host: str
    port: int
    user: str
    password: str
    database: str

    def dsn(self) -> str:
        """The same as a connection URL."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


def message(kind: bytes, body: bytes) -> bytes:
    """A typed message; an empty `kind` gives the start-up form without a type byte."""
    return kind + struct.pack("!I", len(body) + 4) + body


def query(sql: str) -> bytes:
    """Query (simple protocol)."""
    return message(b"Q", sql.encode() + b"\0")


@functools.lru_cache(maxsize=64)
def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword of RFC 5802, section 3."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


class Scram:
    """A client's SCRAM-SHA-256 exchange without channel binding (RFC 5802, RFC 7677).

    `user` stays empty with PostgreSQL, which takes it from the StartupMessage. `nonce` is random unless given.
    """

    def __init__(self, password: str, user: str = "", nonce: str = "") -> None:
        self._password = password
        self._nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self._bare = f"n={user},r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """client-first-message."""
        return f"n,,{self._bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """client-final-message in answer to the server-first-message."""
        fields = _scram_fields(server_first)
        if not fields["r"].startswith(self._nonce):
            raise ClientError("SCRAM: the server's nonce does not continue ours")
        salted = salted_password(self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = f"c=biws,r={fields['r']}"
        signed = f"{self._bare},{server_first.decode()},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final: bytes) -> None:
        """Check that the server knows the password too."""
        if base64.b64decode(_scram_fields(server_final)["v"]) != self._server_signature:
            raise ClientError("SCRAM: the server's signature is wrong")


class Conversation:
    """Start-up, login, then each statement after the answer to the one before.

    start() and feed() return bytes to send; feed() raises ClientError at an ErrorResponse. `logged_in` is true from
    the first ReadyForQuery on, `done` when the last statement was answered; `rows` are those of the last statement.
    """

    def __init__(self, login: Login, statements: Sequence[str] = ()) -> None:
        self._login = login
        self._statements = list(reversed(statements))
        self._scram = Scram(login.password)
        self._buffer = b""
        self.backend_pid = 0
        self.logged_in = False
        self.done = False
        self.rows: list[list[str]] = []

    def start(self) -> bytes:
        """StartupMessage."""
        parameters = f"user\0{self._login.user}\0database\0{self._login.database}\0\0"
        return message(b"", struct.pack("!I", PROTOCOL_3_0) + parameters.encode())

    def ask(self, statement: str) -> bytes:
        """One more statement, once `done`."""
        self.done = False
        self.rows = []
        return query(statement)

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, in pieces of any size; returns what to send next."""
        self._buffer += data
        answer = b""
        while len(self._buffer) >= 5:
            kind = self._buffer[:1]
            size = 1 + int.from_bytes(self._buffer[1:5], "big")
            if len(self._buffer) < size:
                break
            body, self._buffer = self._buffer[5:size], self._buffer[size:]
            answer += self._message(kind, body)
        return answer

    def _message(self, kind: bytes, body: bytes) -> bytes:
        if kind == b"E":
            raise ClientError(_error_text(body))
        if kind == b"R":
            return self._authenticate(int.from_bytes(body[:4], "big"), body[4:])
        if kind == b"Z":
            self.logged_in = True
            if self._statements:
                return self.ask(self._statements.pop())
            self.done = True
        elif kind == b"K":
            self.backend_pid = int.from_bytes(body[:4], "big")
        elif kind == b"D":
            self.rows.append(_row(body))
        return b""

    def _authenticate(self, request: int, body: bytes) -> bytes:
        if request == _AUTH_SASL:
            first = self._scram.first()
            return message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        if request == _AUTH_SASL_CONTINUE:
            return message(b"p", self._scram.final(body))
        if request == _AUTH_SASL_FINAL:
            self._scram.verify(body)
        elif request != _AUTH_OK:
            raise ClientError(f"the server asks for authentication {request}; the demo's client has SCRAM only")
        return b""


class Session:
    """A blocking connection for the demo's own questions. `timeout` in seconds bounds each wait."""

    def __init__(self, login: Login, timeout: float = 10.0) -> None:
        self._conversation = Conversation(login)
        self._socket = socket.create_connection((login.host, login.port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._exchange(self._conversation.start())

    @property
    def backend_pid(self) -> int:
        """The backend's process id, from BackendKeyData."""
        return self._conversation.backend_pid

    def ask(self, sql: str) -> list[list[str]]:
        """Rows of one query as text; raises ClientError, OSError."""
        self._exchange(self._conversation.ask(sql))
        return self._conversation.rows

    def close(self) -> None:
        """Terminate and close."""
        self._socket.sendall(TERMINATE)
        self._socket.close()

    def _exchange(self, data: bytes) -> None:
        self._socket.sendall(data)
        while not self._conversation.done:
            received = self._socket.recv(65536)
            if not received:
                raise ClientError("the server closed the connection")
            if answer := self._conversation.feed(received):
                self._socket.sendall(answer)


def _scram_fields(text: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in text.decode().split(",")}


def _error_text(body: bytes) -> str:
    """`SQLSTATE message` of an ErrorResponse."""
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return f"{fields.get(b'C', '?')} {fields.get(b'M', '')}"


def _row(body: bytes) -> list[str]:
    """Values of a DataRow; NULL reads as an empty string."""
    values, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        size = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4
        values.append(body[at : at + max(size, 0)].decode())
        at += max(size, 0)
    return values
