"""A stand-in for PostgreSQL at the far end of a socketpair, which knows the protocol and hardly any SQL.

Owns the protocol's states as a real backend has them: pipelines that fail up to their Sync, COPY in both protocols,
transaction status, prepared statements, settings. Refuses to be fast or complete. What it is told is echoed, so that a
reply which reaches the wrong client shows. Steps may also mute it, or have it send any bytes at all.

It notes in `broken` what a proxy must never do: send bytes that are no message, prepare under a name of its own what is
prepared, or use what is not.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress

from fuzz import sql
from tests.support.messages import message

KINDS = frozenset("QPBDECSHFXdcfp")
SHORT_KINDS = frozenset("CDEHSXc")  # those that PostgreSQL lets be 10,000 bytes long at most
LARGEST_SHORT, LARGEST = 10_000, 0x40000000
CANCEL_CODE = 80877102
OWN_NAME = re.compile(rb"tidegate_[0-9a-f]+")


class Failed(Exception):
    """A request that the database answers with an error."""

    def __init__(self, sqlstate: str, text: str, severity: str = "ERROR") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.severity = severity


class Database:
    """One backend. `pump` reads what has come and answers it."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.broken: str | None = None
        self.muted = False
        self.scripted = True  # nothing but what a database says has been sent
        self.closed = False
        self.tunnel = False  # replication: whatever the client sends is passed on unread
        self.session = sql.Session()
        self._in = bytearray()
        self._out = bytearray()
        self._handle: Callable[[], bool] = self._start_up
        self._skipping = False
        self._copying: str | None = None  # kind of the message that began it
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}

    # --- bytes ---------------------------------------------------------------------------------------------------

    def pump(self) -> bool:
        """Take what has come, answer it, send what fits; whether anything moved."""
        moved = self._receive()
        if not self.muted:
            while not self.closed and self._handle():
                moved = True
        return self._send() or moved

    def say(self, data: bytes) -> None:
        """Send bytes that no database would."""
        self.scripted = False
        self._out += data

    def close(self) -> None:
        """The backend is gone."""
        if not self.closed:
            self.closed = True
            self.sock.close()

    def _receive(self) -> bool:
        moved = False
        while not self.closed:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                break
            moved = True
            if not data:
                self.close()
            self._in += data
        return moved

    def _send(self) -> bool:
        if self.closed or not self._out:
            return False
        sent = 0
        with suppress(BlockingIOError):
            try:
                sent = self.sock.send(self._out, socket.MSG_NOSIGNAL)
            except (BrokenPipeError, ConnectionResetError):
                self._out.clear()
        del self._out[:sent]
        return sent > 0

    # --- messages ------------------------------------------------------------------------------------------------

    def _start_up(self) -> bool:
        if len(self._in) < 8 or len(self._in) < (length := int.from_bytes(self._in[:4], "big")):
            return False
        code = int.from_bytes(self._in[4:8], "big")
        self.tunnel = b"\0replication\0" in self._in[:length]
        del self._in[:length]
        if code == CANCEL_CODE:
            self.close()
            return True
        self._out += message("R", bytes(4))
        for name, value in self.session.reported().items():
            self._out += message("S", name.encode() + b"\0" + value + b"\0")
        self._out += message("K", self.pid.to_bytes(4, "big") + b"key!")
        self._ready()
        self._handle = self._next_message
        return True

    def _next_message(self) -> bool:
        if len(self._in) < 5:
            return False
        kind, length = chr(self._in[0]), int.from_bytes(self._in[1:5], "big")
        if kind not in KINDS or not 4 <= length <= LARGEST:
            if not self.tunnel:
                self.broken = f"message {kind!r} of length {length}"
            self._error(Failed("08P01", "invalid message", "FATAL"))
            return True
        if kind in SHORT_KINDS and length > LARGEST_SHORT:
            self._error(Failed("08P01", "invalid message", "FATAL"))
            return True
        if len(self._in) < length + 1:
            return False
        body = bytes(self._in[5 : length + 1])
        del self._in[: length + 1]
        self._take(kind, body)
        return True

    def _take(self, kind: str, body: bytes) -> None:
        if kind == "X":
            self.close()
        elif self._copying is not None:
            self._copy(kind)
        elif kind in "dcf" or (self._skipping and kind != "S"):
            pass
        else:
            try:
                self._TAKERS[kind](self, body)
            except Failed as error:
                self._error(error)
                if kind in "QFS":
                    self._ready()
                else:
                    self._skipping = True

    def _error(self, error: Failed) -> None:
        fields = f"S{error.severity}\0V{error.severity}\0C{error.sqlstate}\0M{error}\0\0"
        self._out += message("E", fields.encode("utf-8", "surrogateescape"))
        if error.severity == "FATAL":
            self._send()
            self.close()
        self.session.fail()

    def _ready(self) -> None:
        self._out += message("Z", self.session.status.encode())

    def _copy(self, kind: str) -> None:
        """Data is awaited: Flush and Sync count for nothing, and whatever else is no data ends the session."""
        by_query = self._copying == "Q"
        if kind in "dHS":
            return
        self._copying = None
        if kind == "c":
            self._out += message("C", b"COPY 1\0")
        elif kind != "f":
            self._error(Failed("08P01", "terminating connection because protocol synchronization was lost", "FATAL"))
            return
        else:
            self._error(Failed("57014", "COPY from stdin failed"))
            self._skipping = not by_query
        if by_query:
            self._ready()

    # --- simple query --------------------------------------------------------------------------------------------

    def _query(self, body: bytes) -> None:
        text = whole_text(body)
        self._portals.pop(b"", None)
        self._statements.pop(b"", None)
        statements = sql.split(text)
        if not statements:
            self._out += message("I")
        for statement in statements:
            if self._run(statement, "Q"):
                return
        self._end_transaction()
        self._ready()

    def _end_transaction(self) -> None:
        self.session.end_statement()
        if self.session.status == "I":
            self._portals.clear()

    def _run(self, text: bytes, by: str, describe: bool = True) -> bool:
        """Answer one statement; True if data is awaited now."""
        result = self._executed(text)
        if result.copy == "in":
            self._out += message("G", b"\0\0\0")
            self._copying = by
            return True
        if result.copy == "out":
            self._out += message("H", b"\0\0\0") + message("d", text) + message("c")
        if result.notice:
            self._out += message("N", b"SNOTICE\0VNOTICE\0C00000\0Mnotice\0\0")
        for name, value in result.changed.items():
            self._out += message("S", name.encode() + b"\0" + value + b"\0")
        if result.rows and describe:
            self._out += row_description(len(result.rows[0]))
        for row in result.rows:
            self._out += data_row(row)
        self._out += message("C", result.tag + b"\0")
        return False

    def _executed(self, text: bytes) -> sql.Result:
        if b"FATAL" in text:
            raise Failed("57P01", "terminating connection", "FATAL")
        if self.session.status == "E" and not re.match(rb"(?i)\s*(rollback|commit|end|abort)\b", text):
            raise Failed("25P02", "current transaction is aborted")
        if b"FAIL" in text:
            raise Failed("22012", "failed as told by " + text[:80].decode("utf-8", "surrogateescape"))
        try:
            return self.session.run(text, self._statements)
        except LookupError as error:
            raise Failed("26000", str(error)) from None

    # --- extended query ------------------------------------------------------------------------------------------

    def _parse(self, body: bytes) -> None:
        name, rest = first_text(body)
        text, types = first_text(rest)
        if len(types) < 2 or len(types) != 2 + 4 * int.from_bytes(types[:2], "big"):
            raise Failed("08P01", "invalid message format")
        if name and name in self._statements:
            self._wrong(name, "prepared twice")
            raise Failed("42P05", "prepared statement already exists")
        if b"FAIL PARSE" in text:
            raise Failed("42601", "syntax error")
        self._statements[name] = text
        self._out += message("1")

    def _wrong(self, name: bytes, what: str) -> None:
        if OWN_NAME.fullmatch(name):
            self.broken = f"a batch in which {name.decode()} is {what}"

    def _bind(self, body: bytes) -> None:
        portal, rest = first_text(body)
        name, _ = first_text(rest)
        if name not in self._statements:
            self._wrong(name, "bound, but not there")
            raise Failed("26000", "prepared statement does not exist")
        if portal and portal in self._portals:
            raise Failed("42P03", "cursor already exists")
        self._portals[portal] = self._statements[name]
        self._out += message("2")

    def _describe(self, body: bytes) -> None:
        of = self._statements if body[:1] == b"S" else self._portals
        name = whole_text(body[1:])
        if body[:1] not in (b"S", b"P") or name not in of:
            raise Failed("26000", "nothing of that name")
        if body[:1] == b"S":
            self._out += message("t", b"\0\0")
        self._out += row_description(1) if of[name].strip() else message("n")

    def _execute(self, body: bytes) -> None:
        name, rest = first_text(body)
        if len(rest) != 4:
            raise Failed("08P01", "invalid message format")
        if name not in self._portals:
            raise Failed("34000", "portal does not exist")
        text = self._portals[name]
        if not text.strip():
            self._out += message("I")
        elif int.from_bytes(rest, "big") == 1 and b"ROWS" in text:
            self._out += data_row([text]) + message("s")
        else:
            self._run(text, "E", describe=False)

    def _close(self, body: bytes) -> None:
        if body[:1] not in (b"S", b"P"):
            raise Failed("08P01", "invalid CLOSE message subtype")
        (self._statements if body[:1] == b"S" else self._portals).pop(whole_text(body[1:]), None)
        self._out += message("3")

    def _sync(self, body: bytes) -> None:
        self._skipping = False
        if body:
            raise Failed("08P01", "invalid message format")
        self._end_transaction()
        self._ready()

    def _function_call(self, body: bytes) -> None:
        self._out += message("V", (-1).to_bytes(4, "big", signed=True))
        self._ready()

    def _nothing(self, body: bytes) -> None:
        """Flush: everything is sent at once anyway."""

    _TAKERS = {  # noqa: RUF012  a table of what is below this line's class
        "Q": _query,
        "P": _parse,
        "B": _bind,
        "D": _describe,
        "E": _execute,
        "C": _close,
        "S": _sync,
        "F": _function_call,
        "H": _nothing,
        "p": _nothing,
    }


def first_text(body: bytes) -> tuple[bytes, bytes]:
    """A string, and what follows its NUL."""
    text, nul, rest = body.partition(b"\0")
    if not nul:
        raise Failed("08P01", "invalid string in message")
    return text, rest


def whole_text(body: bytes) -> bytes:
    """A string behind which nothing may follow."""
    text, rest = first_text(body)
    if rest:
        raise Failed("08P01", "invalid message format")
    return text


def row_description(columns: int) -> bytes:
    """Text columns without names."""
    return message(
        "T", columns.to_bytes(2, "big") + (b"\0" + bytes(6) + b"\0\0\0\x19\xff\xff" + b"\xff" * 4 + bytes(2)) * columns
    )


def data_row(values: list[bytes | None]) -> bytes:
    """One row; None is NULL."""
    out = len(values).to_bytes(2, "big")
    for value in values:
        out += b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "big") + value
    return message("D", out)
