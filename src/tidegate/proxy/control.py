"""The control channel between the supervisor and one worker: its messages, and how they become bytes.

Owns the table of messages, one JSON object a line with its name under "type", and the file descriptors that travel
with a `configure`. Refuses sockets: bytes and descriptors come in and go out as arguments, so that the worker's epoll
loop and the supervisor's asyncio use the same code.

The channel is a Unix stream socket pair. Its first message is `boot`; when either end closes, the other one stops
(the worker) or counts a crash (the supervisor).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tidegate.auth.rds_token import SigningKeys
from tidegate.proxy.boot import Boot, Listener
from tidegate.proxy.learnt import Learnt
from tidegate.proxy.plain import from_plain, to_plain

MAX_LINE = 64 * 1024 * 1024
"""Bytes of one message. The largest are settings with many users and statistics of many pools, far below this."""

MAX_FDS = 250
"""File descriptors in one message, below the kernel's SCM_MAX_FD of 253 (unix(7))."""


class ControlError(Exception):
    """What came over the channel is no message; the text says why. The channel cannot be used further."""


class StopMode(StrEnum):
    """How a worker ends."""

    GRACEFUL = "graceful"
    """Close the listeners; close each client when its transaction ends; close all after `seconds`."""
    IMMEDIATE = "immediate"
    """Close every client now with 57P01 and every server with Terminate."""


# From the supervisor to a worker (the first one is Boot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """New settings. First stop listening where `removed` says, then listen on `added`; answered by Configured."""

    round: int
    config: dict[str, Any]
    targets: dict[str, int]
    """As in Boot. A target whose address changed has a new number: another database, another budget."""
    proxies: dict[str, int]
    """As in Boot."""
    mock_keys: dict[str, str]
    """As in Boot."""
    aws_keys: dict[str, SigningKeys]
    """As in Boot."""
    removed: tuple[str, ...]
    """Addresses of listeners."""
    added: tuple[Listener, ...]
    ended: tuple[str, ...]
    """Names of proxies that are gone, and whose clients are told so. Others that are gone keep theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Ask for statistics; answered by StatsReply."""

    round: int
    pinned: bool = False
    """Whether to list the pinned sessions in place of all numbers ("pinned"; see `pinned`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End. A later Stop replaces an earlier one. When all is closed: Stopped, then exit status 0."""

    mode: StopMode
    seconds: float
    """For how long transactions may go on (graceful only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanSlot:
    """A slot of the shared budget that a dead worker held, and how to recognise its backend."""

    slot: int
    pid: int
    """Backend process id, or 0 if the login had not come so far: then by the port."""
    port: int
    """Client port in pg_stat_activity, or 0 if not known (or a Unix socket). Never both 0 in a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """Ask the target's database which of these backends are gone; answered by Reclaimed.

    An answer is due only from a look into pg_stat_activity that began after the question came.
    """

    round: int
    target: str
    slots: tuple[OrphanSlot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLooked:
    """A secret was looked at, in a read that began after the question; new settings have come before, if it changed."""

    serial: int
    source: str
    """Both as in CredentialRefused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerdict:
    """Of a VerifyToken: "" if the token is good, else why not, for the log."""

    serial: int
    refusal: str


# From a worker to the supervisor (and from there to the other workers: Learnt, CatalogueChanged)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueChanged:
    """A transaction has ended that may have changed what hides in a database."""

    target: int
    """Its number in the shared budget."""
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRefused:
    """A database refused all that a secret says, or it does not fit a client's proof; answered by CredentialLooked."""

    serial: int
    source: str
    """The secret's ARN, or "iam"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyToken:
    """Ask for a TokenVerdict on a client's IAM token."""

    serial: int
    proxy: str
    user: str
    token: str = field(repr=False)
    source: str
    """The client's address, "" on a Unix socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker accepts clients."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The settings of this round are in use, or are not because of `error` (else "")."""

    round: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsReply:
    """A worker's statistics: name -> number, and "pools": a list of objects (see `merged`)."""

    round: int
    stats: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A worker's numbers that never fall, unasked: once a second if they have grown, and before each StatsReply."""

    totals: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """The slots of this round's question whose backends are gone."""

    round: int
    target: str
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """All clients and servers are closed; the worker exits."""


Message = (
    Boot
    | Configure
    | Stats
    | Stop
    | Reclaim
    | CredentialLooked
    | TokenVerdict
    | CredentialRefused
    | VerifyToken
    | Ready
    | Configured
    | StatsReply
    | Told
    | Learnt
    | CatalogueChanged
    | Reclaimed
    | Stopped
)

TYPES: dict[str, type[Message]] = {
    "boot": Boot,
    "configure": Configure,
    "stats": Stats,
    "stop": Stop,
    "reclaim": Reclaim,
    "credential_looked": CredentialLooked,
    "token_verdict": TokenVerdict,
    "credential_refused": CredentialRefused,
    "verify_token": VerifyToken,
    "ready": Ready,
    "configured": Configured,
    "stats_reply": StatsReply,
    "told": Told,
    "learnt": Learnt,
    "catalogue_changed": CatalogueChanged,
    "reclaimed": Reclaimed,
    "stopped": Stopped,
}

_NAMES = {kind: name for name, kind in TYPES.items()}


def encode(message: Message) -> tuple[bytes, list[int]]:
    """The message as one line, and the file descriptors to send with its first byte (SCM_RIGHTS)."""
    fds: list[int] = []
    if isinstance(message, Configure):
        fds = [listener.fd for listener in message.added]
        numbered = tuple(replace(listener, fd=at) for at, listener in enumerate(message.added))
        message = replace(message, added=numbered)
    line = json.dumps({"type": _NAMES[type(message)], **to_plain(message)}, separators=(",", ":")).encode()
    if len(line) >= MAX_LINE or len(fds) > MAX_FDS:
        raise ControlError(f"a message of {len(line)} bytes with {len(fds)} file descriptors is too large")
    return line + b"\n", fds


class Decoder:
    """Messages from the bytes of a channel, in pieces of any size.

    The descriptors of a message arrive before or with its first byte, in order, so they are queued until its line is
    whole. Those of a message that never comes must be closed by the caller: `unclaimed`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._fds: deque[int] = deque()

    def feed(self, data: bytes, fds: Iterable[int] = ()) -> list[Message]:
        """Take what was received; the messages that are complete now. ControlError: close the channel."""
        self._fds.extend(fds)
        self._buffer += data
        messages = []
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            messages.append(self._decode(line))
        self._searched = len(self._buffer)
        if self._searched >= MAX_LINE:
            raise ControlError(f"a message is longer than {MAX_LINE} bytes")
        return messages

    @property
    def unclaimed(self) -> list[int]:
        """Descriptors that came with no message yet."""
        return list(self._fds)

    def _decode(self, line: bytes) -> Message:
        try:
            data = json.loads(line)
            kind = TYPES[data.pop("type")]
            message = from_plain(kind, data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ControlError(f"not a message: {line[:80]!r}: {type(error).__name__}: {error}") from None
        return self._claim(message) if isinstance(message, Configure) else message

    def _claim(self, message: Configure) -> Configure:
        """Put real descriptors where the line only says which of them."""
        if len(message.added) > len(self._fds) or [one.fd for one in message.added] != list(range(len(message.added))):
            raise ControlError("a configure message came without its file descriptors")
        return replace(message, added=tuple(replace(one, fd=self._fds.popleft()) for one in message.added))
