"""Who listens to which channel, and what a transaction has made of it.

Owns the registry of a shared listener, the SQL that moves channels between server sessions, and the settling of
UNLISTEN by its outcome. Refuses connections, and clients' messages: a listener is any object.

Channels are names as bytes in the database's encoding.

How an UNLISTEN is settled: the server session that runs it does not listen to what the shared listener delivers to
its client, so the statement leaves no trace there. A LISTEN to a marker, a channel of the proxy's own, is sent behind
it. It lives and dies with the UNLISTEN, by commit, ROLLBACK and ROLLBACK TO SAVEPOINT alike, and PostgreSQL keeps the
order: a LISTEN after the UNLISTEN leaves both, channel and marker; an UNLISTEN * drops earlier markers and leaves its
own. So what the session listens to after the transaction, markers included, says all (`settle`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence, Set

from tidegate.session.encodings import CODECS

MARKER = b"tidegate_unlistened_"
FENCE = b"tidegate_fence_"

# Behind all settings that a client can have: no search_path, no client_encoding changes what it says.
CHANNELS_SQL = (
    b"SELECT pg_catalog.convert_to(c,pg_catalog.getdatabaseencoding()) FROM pg_catalog.pg_listening_channels() AS l(c)"
)
UNLISTEN_ALL_SQL = b"UNLISTEN *"


def quoted(channel: bytes) -> bytes:
    """A channel as an identifier."""
    return b'"' + channel.replace(b'"', b'""') + b'"'


def escaped(channel: bytes, encoding: bytes | None) -> bytes:
    """The same in ASCII, for a session with any client_encoding; as it is where the channel's `encoding` is not known.

    (Before PostgreSQL 13 this takes a database in UTF8.)
    """
    codec = None if encoding is None else CODECS.get(encoding.decode())
    if channel.isascii() or codec is None:
        return quoted(channel)
    letters = (
        letter if letter.isascii() else f"\\+{ord(letter):06X}"
        for letter in channel.decode(codec, "replace").replace("\\", "\\\\").replace('"', '""')
    )
    return b'U&"' + "".join(letters).encode() + b'"'


def listen_sql(channels: Iterable[bytes], encoding: bytes | None = None) -> bytes:
    """LISTEN to each. `encoding`: the database's, where client_encoding may be another."""
    return b";".join(b"LISTEN " + escaped(channel, encoding) for channel in channels)


def unlisten_sql(channels: Iterable[bytes]) -> bytes:
    """UNLISTEN of each."""
    return b";".join(b"UNLISTEN " + quoted(channel) for channel in channels)


def fence_sql(channel: bytes, serial: int) -> bytes:
    """Have this session and whoever else listens to `channel` told of one place in the order of all notifications."""
    return b"LISTEN %b;NOTIFY %b,'%d'" % (quoted(channel), quoted(channel), serial)


def settle(
    channels: Set[bytes], at_server: Iterable[bytes], unlistened: Sequence[bytes | None], complete: bool
) -> set[bytes]:
    """What a client listens to after a transaction.

    `channels`: what it listened to before. `at_server`: what its server session listens to now. `unlistened`: what each
    marker stands for, by its number; None for all channels. `complete`: the session had been made to listen to
    `channels` before the transaction, so `at_server` is the whole truth.
    """
    there = set(at_server)
    marks = {name for name in there if name.startswith(MARKER)}
    heard = {name for name in there - marks if not name.startswith(FENCE)}
    if complete:
        return heard
    gone: set[bytes] = set()
    for mark in marks:
        number = mark.removeprefix(MARKER)
        if number.isdigit() and int(number) < len(unlistened):
            name = unlistened[int(number)]
            gone |= channels if name is None else {name}
    return heard.union(channels - gone)


class Channels:
    """A registry: the listeners of each channel, in the order in which they came."""

    def __init__(self) -> None:
        self._by_channel: dict[bytes, dict[Hashable, None]] = {}

    def __len__(self) -> int:
        return len(self._by_channel)

    def __iter__(self) -> Iterator[bytes]:
        """The channels that somebody listens to."""
        return iter(self._by_channel)

    def add(self, listener: Hashable, channels: Iterable[bytes]) -> None:
        """Register a listener."""
        for channel in channels:
            self._by_channel.setdefault(channel, {})[listener] = None

    def remove(self, listener: Hashable, channels: Iterable[bytes]) -> None:
        """Take a listener out; it need not be there."""
        for channel in channels:
            found = self._by_channel.get(channel)
            if found is not None:
                found.pop(listener, None)
                if not found:
                    del self._by_channel[channel]

    def listeners(self, channel: bytes) -> list[Hashable]:
        """Who listens to a channel now."""
        return list(self._by_channel.get(channel, ()))

    def everyone(self) -> list[Hashable]:
        """All listeners, each once, in the order in which they came."""
        return list(dict.fromkeys(one for found in self._by_channel.values() for one in found))
