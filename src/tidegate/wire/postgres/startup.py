"""The first packet of a connection: what the client asks for, and how its version is negotiated.

Owns StartupMessage, CancelRequest, SSLRequest and GSSENCRequest (PostgreSQL documentation, "Message Formats") and the
splitting of the `options` parameter. Refuses to judge who may log in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

LARGEST_STARTUP = 10000  # bytes; PostgreSQL's MAX_STARTUP_PACKET_LENGTH
NEWEST_MINOR = 2
CANCEL_CODE = 80877102
SSL_CODE = 80877103
GSSENC_CODE = 80877104
SMALLEST_CANCEL_KEY = 4  # bytes
LARGEST_CANCEL_KEY = 256  # bytes, protocol 3.2


class Opening(Enum):
    """What the first packet is."""

    STARTUP = "startup"
    CANCEL = "cancel"
    ENCRYPTION = "encryption"


class UnsupportedProtocol(ValueError):
    """A protocol version other than 3.x."""


@dataclass(slots=True)
class Startup:
    """A parsed first packet."""

    opening: Opening
    minor: int = 0  # the protocol 3.x spoken from now on
    asked_minor: int = 0
    unknown_options: list[bytes] = field(default_factory=list)  # `_pq_.` names
    parameters: dict[bytes, bytes] = field(default_factory=dict)
    cancel_pid: int = 0
    cancel_key: bytes = b""

    @property
    def must_negotiate(self) -> bool:
        """Whether NegotiateProtocolVersion is due."""
        return self.asked_minor > NEWEST_MINOR or bool(self.unknown_options)


def parse_startup(body: bytes) -> Startup:
    """Read a first packet without its length word.

    Raises UnsupportedProtocol for another major version, ValueError for bytes that are no first packet.
    """
    if len(body) < 4:
        raise ValueError("invalid length of startup packet")
    code = int.from_bytes(body[:4], "big")
    if code in (SSL_CODE, GSSENC_CODE):
        if len(body) != 4:
            raise ValueError("invalid length of encryption request")
        return Startup(Opening.ENCRYPTION)
    if code == CANCEL_CODE:
        return _parse_cancel(body)
    if code >> 16 != 3:
        raise UnsupportedProtocol(f"{code >> 16}.{code & 0xFFFF}")
    return _parse_parameters(body, code & 0xFFFF)


def _parse_cancel(body: bytes) -> Startup:
    key = body[8:]
    if not SMALLEST_CANCEL_KEY <= len(key) <= LARGEST_CANCEL_KEY:
        key = b""  # fits nobody's: a cancel request is never answered, not even a malformed one
    return Startup(Opening.CANCEL, cancel_pid=int.from_bytes(body[4:8], "big"), cancel_key=key)


def _parse_parameters(body: bytes, asked: int) -> Startup:
    # PostgreSQL 17 and older take 3.1 for 3.0; 3.1 was never released, so it is served as 3.0 here, too.
    minor = NEWEST_MINOR if asked >= NEWEST_MINOR else 0
    found = Startup(Opening.STARTUP, minor, asked)
    parts = body[4:].split(b"\0")
    # name NUL value NUL ... NUL: the list ends with an empty name, after which nothing may follow.
    if len(parts) < 2 or parts[-1] or parts[-2] or len(parts) % 2:
        raise ValueError("invalid startup packet layout: expected terminator as last byte")
    for name, value in zip(parts[0:-2:2], parts[1:-2:2], strict=True):
        if not name:
            raise ValueError("invalid startup packet layout: empty parameter name")
        if name.startswith(b"_pq_."):
            found.unknown_options.append(name)
        else:
            found.parameters[name] = value
    return found


def split_options(text: bytes) -> list[bytes]:
    """Split an `options` value into arguments: spaces separate, a backslash takes the next byte literally."""
    words: list[bytes] = []
    word = bytearray()
    inside = escaped = False
    for byte in text:
        if escaped:
            word.append(byte)
            escaped = False
        elif byte == 0x5C:
            inside = escaped = True
        elif byte in b" \t\n\r\v\f":
            if inside:
                words.append(bytes(word))
                word.clear()
            inside = False
        else:
            inside = True
            word.append(byte)
    if inside:
        words.append(bytes(word))
    return words


def parse_options(text: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Settings (`-c name=value`, `--name=value`) of an `options` value, and the arguments that are something else."""
    settings: dict[bytes, bytes] = {}
    others: list[bytes] = []
    words = iter(split_options(text))
    for word in words:
        if word == b"-c":
            assignment = next(words, b"")
        elif word.startswith((b"--", b"-c")):
            assignment = word[2:]
        else:
            others.append(word)
            continue
        name, equals, value = assignment.partition(b"=")
        if not equals or not name:
            others.append(word + b" " + assignment if word == b"-c" else word)
            continue
        settings[name.replace(b"-", b"_")] = value
    return settings, others
