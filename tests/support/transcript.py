"""Transcripts of protocol sessions, normalised so that a direct and a proxied one can be compared for equality.

Owns what may differ between two correct sessions and is left out: process ids, cancel keys, OIDs of things that a test
made, and where in PostgreSQL's source an error was raised. Everything else counts, order and wording included.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

from .wire import Message, RawClient, error_fields, row

FIRST_NORMAL_OID = 16384  # src/include/access/transam.h: what initdb made has a smaller OID
SOURCE_FIELDS = frozenset("FLR")  # file, line, routine

Entry = tuple[object, ...]


def _oid(value: int) -> int | str:
    return value if value < FIRST_NORMAL_OID else "fresh"


def _row_description(body: bytes) -> Entry:
    (count,) = struct.unpack_from("!h", body)
    at, columns = 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        name = body[at:end].decode()
        table, attribute, type_oid, size, modifier, form = struct.unpack_from("!IhIhih", body, end + 1)
        columns.append((name, _oid(table), attribute, _oid(type_oid), size, modifier, form))
        at = end + 1 + 18
    return ("RowDescription", *columns)


def _parameter_description(body: bytes) -> Entry:
    (count,) = struct.unpack_from("!h", body)
    return ("ParameterDescription", *(_oid(oid) for oid in struct.unpack_from(f"!{count}I", body, 2)))


def _notification(body: bytes) -> Entry:
    channel, payload, _ = body[4:].split(b"\0")
    return ("NotificationResponse", channel.decode(errors="replace"), payload.decode(errors="replace"))


def _parameter_status(body: bytes) -> Entry:
    name, value, _ = body.split(b"\0")
    return ("ParameterStatus", name.decode(), value.decode())


def _report(name: str) -> Callable[[bytes], Entry]:
    """ErrorResponse and NoticeResponse, without where in the source they were raised."""

    def show(body: bytes) -> Entry:
        fields = error_fields(Message("E", body))
        return (name, {code: text for code, text in fields.items() if code not in SOURCE_FIELDS})

    return show


def _copy_response(name: str) -> Callable[[bytes], Entry]:
    def show(body: bytes) -> Entry:
        form, columns = struct.unpack_from("!bh", body)
        return (name, form, struct.unpack_from(f"!{columns}h", body, 3))

    return show


def _plain(name: str) -> Callable[[bytes], Entry]:
    def show(body: bytes) -> Entry:
        return (name, body) if body else (name,)

    return show


SHOW: dict[str, Callable[[bytes], Entry]] = {
    "1": _plain("ParseComplete"),
    "2": _plain("BindComplete"),
    "3": _plain("CloseComplete"),
    "A": _notification,
    "C": _plain("CommandComplete"),
    "D": lambda body: ("DataRow", *row(Message("D", body))),
    "E": _report("ErrorResponse"),
    "G": _copy_response("CopyInResponse"),
    "H": _copy_response("CopyOutResponse"),
    "I": _plain("EmptyQueryResponse"),
    "N": _report("NoticeResponse"),
    "R": _plain("Authentication"),
    "S": _parameter_status,
    "T": _row_description,
    "V": _plain("FunctionCallResponse"),
    "W": _copy_response("CopyBothResponse"),
    "Z": _plain("ReadyForQuery"),
    "c": _plain("CopyDone"),
    "d": _plain("CopyData"),
    "n": _plain("NoData"),
    "s": _plain("PortalSuspended"),
    "t": _parameter_description,
    "v": _plain("NegotiateProtocolVersion"),
}


def normalise(replies: list[Message]) -> list[Entry]:
    """One readable tuple for each message; BackendKeyData is left out."""
    return [SHOW[reply.kind](reply.body) for reply in replies if reply.kind != "K"]


class Recorder:
    """A client whose replies are written down: the subject of a comparison."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.transcript: list[Entry] = []

    def note(self, replies: list[Message]) -> list[Message]:
        self.transcript += normalise(replies)
        return replies

    def send(self, *parts: bytes) -> None:
        self.client.send(*parts)

    def ask(self, *parts: bytes, count: int = 1) -> list[Message]:
        """Send, and write down everything up to the `count`-th ReadyForQuery."""
        self.client.send(*parts)
        return self.note(self.client.read_ready(count))

    def hear(self, kinds: Collection[str] = "Z", count: int = 1) -> list[Message]:
        """Write down everything up to the `count`-th message of these types."""
        return self.note(self.client.read_until(kinds, count))
