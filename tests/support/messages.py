"""Builders of PostgreSQL frontend messages, one function a message (protocol documentation, "Message Formats").

Owns bytes that a client sends, well-formed unless a test changes them afterwards. Refuses sockets and replies: those
are in `wire` and `transcript`. Written apart from the product's own builders, so that a mistake there can't hide here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

PROTOCOL_3_0 = 196608
PROTOCOL_3_2 = 196610
PROTOCOL_3_9999 = 196608 + 9999
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)
CANCEL_REQUEST_CODE = 80877102


def message(kind: str, body: bytes = b"") -> bytes:
    """One framed message: type byte, length that counts itself, body."""
    return kind.encode("ascii") + struct.pack("!i", len(body) + 4) + body


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def startup(parameters: Mapping[str, str], protocol: int = PROTOCOL_3_0) -> bytes:
    """StartupMessage; `protocol` is major << 16 | minor."""
    pairs = b"".join(_text(name) + _text(value) for name, value in parameters.items())
    return struct.pack("!ii", len(pairs) + 9, protocol) + pairs + b"\0"


def cancel_request(pid: int, key: bytes) -> bytes:
    """CancelRequest; `key` is 4 bytes on protocol 3.0 and up to 256 from 3.2 on."""
    return struct.pack("!iiI", 12 + len(key), CANCEL_REQUEST_CODE, pid) + key


def query(sql: str) -> bytes:
    return message("Q", _text(sql))


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> bytes:
    return message("P", _text(name) + _text(sql) + struct.pack(f"!h{len(types)}I", len(types), *types))


def bind(
    values: Sequence[bytes | str | None] = (),
    statement: str = "",
    portal: str = "",
    formats: Sequence[int] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    """Bind; formats are 0 (text) or 1 (binary), none of them means all text."""
    body = [_text(portal), _text(statement), struct.pack(f"!h{len(formats)}h", len(formats), *formats)]
    body.append(struct.pack("!h", len(values)))
    for value in values:
        data = value.encode() if isinstance(value, str) else value
        body.append(struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data)
    body.append(struct.pack(f"!h{len(result_formats)}h", len(result_formats), *result_formats))
    return message("B", b"".join(body))


def describe_statement(name: str = "") -> bytes:
    return message("D", b"S" + _text(name))


def describe_portal(name: str = "") -> bytes:
    return message("D", b"P" + _text(name))


def execute(portal: str = "", max_rows: int = 0) -> bytes:
    return message("E", _text(portal) + struct.pack("!i", max_rows))


def close_statement(name: str) -> bytes:
    return message("C", b"S" + _text(name))


def close_portal(name: str) -> bytes:
    return message("C", b"P" + _text(name))


def sync() -> bytes:
    return message("S")


def flush() -> bytes:
    return message("H")


def terminate() -> bytes:
    return message("X")


def password(value: str) -> bytes:
    return message("p", _text(value))


def copy_data(data: bytes) -> bytes:
    return message("d", data)


def copy_done() -> bytes:
    return message("c")


def copy_fail(reason: str) -> bytes:
    return message("f", _text(reason))


def function_call(oid: int, values: Sequence[bytes | None], binary: bool = True) -> bytes:
    """FunctionCall of function `oid`; all arguments and the result in one format."""
    form = int(binary)
    body = [struct.pack("!Ihhh", oid, 1, form, len(values))]
    body += [struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values]
    return message("F", b"".join(body) + struct.pack("!h", form))


def batch(
    sql: str,
    values: Sequence[bytes | str | None] = (),
    name: str = "",
    max_rows: int = 0,
) -> bytes:
    """Parse, Bind, Describe, Execute, Sync: what a driver sends for one statement of the extended protocol."""
    return b"".join([parse(sql, name), bind(values, name), describe_portal(), execute(max_rows=max_rows), sync()])


def run_prepared(name: str, values: Sequence[bytes | str | None] = ()) -> bytes:
    """Bind, Execute, Sync of a statement that was prepared earlier."""
    return b"".join([bind(values, name), execute(), sync()])
