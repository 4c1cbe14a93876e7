"""A raw PostgreSQL client: one blocking socket, any message in any order, replies as they came.

Owns the socket, the login and the framing of replies. Refuses to be helpful: no retry, no state beyond what the server
reported, nothing sent that the test did not ask for. Builders are in `messages`, comparing replies in `transcript`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
import socket
import struct
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from . import messages as m

OPENED: weakref.WeakSet[RawClient] = weakref.WeakSet()
"""Every client that still exists: a failed test's frames keep theirs, and with them servers and locks."""

PASSWORD_MD5 = 5
PASSWORD_CLEARTEXT = 3
SASL, SASL_CONTINUE, SASL_FINAL = 10, 11, 12


class Message(NamedTuple):
    """One backend message: its type byte as text, and the body without the length."""

    kind: str
    body: bytes


class ConnectionEnded(Exception):
    """The server closed the connection; `received` is what had come before in this read."""

    def __init__(self, why: str, received: list[Message]) -> None:
        super().__init__(f"connection ended: {why}, after {received!r}")
        self.received = received


class ServerError(Exception):
    """An ErrorResponse where the client's helper expected success."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.sqlstate = fields["C"]


def error_fields(reply: Message) -> dict[str, str]:
    """Fields of an ErrorResponse or NoticeResponse by their one-letter code."""
    return {part[:1].decode(): part[1:].decode() for part in reply.body.split(b"\0") if part}


def errors(replies: list[Message]) -> list[dict[str, str]]:
    return [error_fields(reply) for reply in replies if reply.kind == "E"]


def heard(reply: Message) -> tuple[int, str, str]:
    """(pid, channel, payload) of a NotificationResponse."""
    assert reply.kind == "A", reply
    channel, payload, _ = reply.body[4:].split(b"\0")
    return struct.unpack("!i", reply.body[:4])[0], channel.decode(errors="replace"), payload.decode()


def notifications(replies: Iterable[Message]) -> list[tuple[int, str, str]]:
    """Those among the replies."""
    return [heard(reply) for reply in replies if reply.kind == "A"]


def sqlstates(replies: list[Message]) -> list[str]:
    return [fields["C"] for fields in errors(replies)]


def row(reply: Message) -> tuple[bytes | None, ...]:
    """Values of a DataRow."""
    (count,) = struct.unpack_from("!h", reply.body)
    values: list[bytes | None] = []
    at = 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", reply.body, at)
        at += 4
        values.append(None if size < 0 else reply.body[at : at + size])
        at += max(size, 0)
    return tuple(values)


def rows(replies: list[Message]) -> list[tuple[bytes | None, ...]]:
    return [row(reply) for reply in replies if reply.kind == "D"]


def tags(replies: list[Message]) -> list[str]:
    """CommandComplete tags."""
    return [reply.body.rstrip(b"\0").decode() for reply in replies if reply.kind == "C"]


class RawClient:
    """A client session on one socket.

    `timeout` (seconds) bounds every single read and write. After `login`, `pid`, `key`, `parameters`, `negotiated` and
    `status` hold what the server said; `parameters` and `status` follow later replies too.
    """

    def __init__(self, host: str, port: int, timeout: float = 15.0) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self.sock = socket.create_connection((host, port), timeout)
        OPENED.add(self)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.parameters: dict[str, str] = {}
        self.pid = 0
        self.key = b""
        self.status = "?"
        self.negotiated: Message | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.quit()

    # -- login ---------------------------------------------------------------------------------------------------

    def login(
        self,
        user: str,
        database: str,
        password: str = "",
        protocol: int = m.PROTOCOL_3_0,
        parameters: Mapping[str, str] | None = None,
    ) -> list[Message]:
        """StartupMessage and whatever authentication is asked for; returns the replies, raises ServerError."""
        self.send(m.startup({"user": user, "database": database, **(parameters or {})}, protocol))
        return self.authenticate(user, password)

    def authenticate(self, user: str, password: str) -> list[Message]:
        """Answer requests for a password until ReadyForQuery; raises ServerError on a refusal."""
        replies: list[Message] = []
        answer: Callable[[bytes], None] | None = None
        while True:
            reply = self.read()
            replies.append(reply)
            if reply.kind == "E":
                raise ServerError(error_fields(reply))
            if reply.kind == "R":
                (code,) = struct.unpack_from("!i", reply.body)
                if code == PASSWORD_CLEARTEXT:
                    self.send(m.password(password))
                elif code == PASSWORD_MD5:
                    self.send(m.password(_md5(user, password, reply.body[4:8])))
                elif code == SASL:
                    answer = self._scram(password)
                elif code in (SASL_CONTINUE, SASL_FINAL):
                    assert answer is not None, "SASL continues that never began"
                    answer(reply.body[4:])
            elif reply.kind == "K":
                self.pid, self.key = struct.unpack_from("!I", reply.body)[0], reply.body[4:]
            elif reply.kind == "v":
                self.negotiated = reply
            elif reply.kind == "Z":
                return replies

    def _scram(self, password: str) -> Callable[[bytes], None]:
        """SCRAM-SHA-256 (RFC 5802, 7677) without channel binding; returns the handler of both server messages."""
        nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        first = f"n=,r={nonce}"
        initial = f"n,,{first}".encode()
        self.send(m.message("p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(initial)) + initial))
        expected = b""

        def answer(data: bytes) -> None:
            nonlocal expected
            fields = dict(part.split("=", 1) for part in data.decode().split(","))
            if "v" in fields:
                assert base64.b64decode(fields["v"]) == expected, "wrong server signature"
                return
            assert fields["r"].startswith(nonce), "nonce was not continued"
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
            client_key = _hmac(salted, b"Client Key")
            without_proof = f"c=biws,r={fields['r']}"
            auth = f"{first},{data.decode()},{without_proof}".encode()
            signature = _hmac(hashlib.sha256(client_key).digest(), auth)
            proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
            expected = _hmac(_hmac(salted, b"Server Key"), auth)
            self.send(m.message("p", f"{without_proof},p={base64.b64encode(proof).decode()}".encode()))

        return answer

    # -- messages ------------------------------------------------------------------------------------------------

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def send_slowly(self, data: bytes, pause: float = 0.0) -> None:
        """Byte by byte, each in a packet of its own."""
        for at in range(len(data)):
            self.sock.sendall(data[at : at + 1])
            if pause:
                time.sleep(pause)

    def read_bytes(self, size: int) -> bytes:
        """Exactly `size` bytes; raises ConnectionEnded, TimeoutError."""
        while len(self._buffer) < size:
            try:
                data = self.sock.recv(max(65536, min(size - len(self._buffer), 4 << 20)))
            except ConnectionError as error:
                raise ConnectionEnded(type(error).__name__, []) from error
            if not data:
                raise ConnectionEnded("end of stream", [])
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def read(self) -> Message:
        """The next message, whatever it is."""
        header = self.read_bytes(5)
        kind, size = chr(header[0]), struct.unpack_from("!i", header, 1)[0]
        assert size >= 4, f"message {kind} of length {size}"
        reply = Message(kind, self.read_bytes(size - 4))
        if kind == "S":
            name, value, _ = reply.body.split(b"\0")
            self.parameters[name.decode()] = value.decode()
        elif kind == "Z":
            self.status = reply.body.decode()
        return reply

    def read_until(self, kinds: Collection[str], count: int = 1) -> list[Message]:
        """Messages up to and including the `count`-th whose type is in `kinds`."""
        replies: list[Message] = []
        while count:
            try:
                reply = self.read()
            except ConnectionEnded as end:
                raise ConnectionEnded(str(end), replies) from end
            replies.append(reply)
            count -= reply.kind in kinds
        return replies

    def read_ready(self, count: int = 1) -> list[Message]:
        """Messages up to the `count`-th ReadyForQuery."""
        return self.read_until("Z", count)

    def read_to_end(self) -> list[Message]:
        """Messages until the server closes; raises TimeoutError when it does not."""
        replies: list[Message] = []
        while True:
            try:
                replies.append(self.read())
            except ConnectionEnded:
                return replies

    def read_rest(self) -> bytes:
        """Whatever bytes come before the server closes, framed or not."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        while data := self.sock.recv(65536):
            rest += data
        return rest

    def silent(self, seconds: float) -> bool:
        """Whether nothing arrives (no byte, no end) for that long."""
        if self._buffer:
            return False
        self.sock.settimeout(seconds)
        try:
            self._buffer += self.sock.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(self.timeout)
        return False

    # -- verbs ---------------------------------------------------------------------------------------------------

    def ask(self, *parts: bytes) -> list[Message]:
        """Send and read up to ReadyForQuery, errors included."""
        self.send(*parts)
        return self.read_ready()

    def query(self, sql: str) -> list[tuple[bytes | None, ...]]:
        """Rows of a simple query; raises ServerError."""
        replies = self.ask(m.query(sql))
        for fields in errors(replies):
            raise ServerError(fields)
        return rows(replies)

    def value(self, sql: str) -> str | None:
        """First value of a simple query's first row."""
        value = self.query(sql)[0][0]
        return None if value is None else value.decode()

    def cancel(self) -> None:
        """CancelRequest for this session, on a connection of its own; returns when the server closed that."""
        send_cancel(self.host, self.port, self.pid, self.key, self.timeout)

    # -- ends ----------------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Terminate and close; silent when the other side is gone already."""
        with contextlib.suppress(OSError):
            self.sock.sendall(m.terminate())
        self.sock.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)


def send_cancel(host: str, port: int, pid: int, key: bytes, timeout: float = 15.0) -> None:
    """A CancelRequest with any pid and key; returns when the server closed the connection.

    One of proper form is never answered; one with a key of no known length may hear of its mistake.
    """
    with socket.create_connection((host, port), timeout) as sock:
        sock.sendall(m.cancel_request(pid, key))
        answer = sock.recv(1)
    assert answer == b"" or (answer == b"E" and len(key) not in (4, 32)), "a CancelRequest is never answered"


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _md5(user: str, password: str, salt: bytes) -> str:
    inner = hashlib.md5((password + user).encode()).hexdigest().encode()
    return "md5" + hashlib.md5(inner + salt).hexdigest()
