"""Addresses as settings write them: where to listen, and where the control socket lies.

Owns their syntax. Refuses to open, resolve or remove anything: that is the supervisor's.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POSTGRES_PORT = 5432
MAX_PORT = 65_535
MAX_UNIX_PATH = 107
"""Bytes that fit in sockaddr_un.sun_path on Linux with its closing NUL (unix(7))."""

_SOCKET_NAME = ".s.PGSQL."
"""libpq knows a Unix socket only as a folder and a port, and looks for this name and the port in it."""


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or IP address (without brackets) and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The full path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return self.path


Address = TcpAddress | UnixAddress


def parse_port(text: str, least: int = 0) -> int:
    """A port number in decimal digits; ValueError says what to write."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= MAX_PORT):
        raise ValueError(f"port must be {least} to {MAX_PORT}")
    return int(text)


def split_host_port(text: str) -> tuple[str, str | None]:
    """Split "host", "host:port", "[ipv6]" or "[ipv6]:port" into host and port text; ValueError says what to write."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError('an IPv6 address is written "[::1]:port"')
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError('an IPv6 address is written "[::1]:port"')
    host, colon, port = text.partition(":")
    return host, port if colon else None


def parse_tcp(text: str) -> TcpAddress:
    """Read one "host:port"; ValueError says what to write."""
    host, port = split_host_port(text)
    if port is None:
        raise ValueError('the port is missing; write "host:port"')
    if not host or host == "*":
        raise ValueError('for every interface write "0.0.0.0:port" or "[::]:port"')
    return TcpAddress(host, parse_port(port))


def unix_path(text: str, port: int) -> str:
    """The socket that a path means: itself if it is named .s.PGSQL.*, else the one for `port` in that folder.

    ValueError if it is longer than the kernel takes.
    """
    path = text if Path(text).name.startswith(_SOCKET_NAME) else str(Path(text) / f"{_SOCKET_NAME}{port}")
    if len(os.fsencode(path)) > MAX_UNIX_PATH:
        raise ValueError(f"the socket's path would be longer than {MAX_UNIX_PATH} bytes")
    return path


def listen_addresses(listen: Sequence[str]) -> tuple[Address, ...]:
    """Read a proxy's `listen`, in order; ValueError names the first entry at fault.

    A folder gets the socket for the port of the first TCP address (5432 without one or where that is 0).
    """
    found: list[Address | str] = []
    port = 0
    for text in listen:
        if text.startswith("/"):
            found.append(text)
            continue
        try:
            address = parse_tcp(text)
        except ValueError as error:
            raise ValueError(f'"{text}": {error}') from None
        port = port or address.port
        found.append(address)
    return tuple(UnixAddress(unix_path(one, port or POSTGRES_PORT)) if isinstance(one, str) else one for one in found)


def default_control_socket(what: str) -> str:
    """Where `tidegate reload` finds the supervisor that runs `what` (a configuration file's path, or an address).

    The folder is the user's own where there is one; in /tmp the name carries the user's number instead.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", Path(what).stem if what.startswith("/") else what).strip("-")[:24]
    digest = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    name = f"tidegate-{readable}-{digest}.sock"
    own = _own_folder()
    if own and len(os.fsencode(f"{own}/{name}")) <= MAX_UNIX_PATH:
        return f"{own}/{name}"
    return f"/tmp/tidegate-{os.getuid()}-{readable}-{digest}.sock"


def default_control_sockets() -> list[str]:
    """Patterns for glob of all that default_control_socket names for this user."""
    own = _own_folder()
    return [f"/tmp/tidegate-{os.getuid()}-*.sock", *([f"{glob.escape(own)}/tidegate-*.sock"] if own else [])]


def _own_folder() -> str:
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return own if own.startswith("/") and Path(own).is_dir() else ""
