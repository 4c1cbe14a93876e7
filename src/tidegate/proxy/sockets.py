"""Listening sockets, made from addresses: by the supervisor, before any worker starts.

Owns their options and the life of Unix socket files. The supervisor keeps every socket open beside its workers, so
that what a crashed worker had not yet accepted waits in the backlog for its successor.
Refuses to accept a connection or to read settings.
"""

from __future__ import annotations

import errno
import glob
import os
import socket
import stat
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.config.addresses import Address, TcpAddress, UnixAddress
from tidegate.errors import ConfigError
from tidegate.proxy.logs import LOG

MAX_BACKLOG = 4096
"""Connections that wait to be accepted, per socket; the kernel cuts it to net.core.somaxconn."""

UNIX_MODE = 0o777
"""Anyone on the machine may connect, as with PostgreSQL's unix_socket_permissions; logins are what protects."""

STARTING = 60.0
"""Seconds within which a process listens on a socket that it has bound, or never will."""

PICK_ATTEMPTS = 20
"""How often to let the kernel pick a port again that turns out to be taken in another address family."""

SocketAddress = tuple[Any, ...]
"""What socket.bind takes: (host, port), and for IPv6 also flow and scope."""

_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


@dataclass(slots=True)
class Bound:
    """One listening address: for TCP a socket for each worker, for a Unix path one that they share."""

    configured: Address
    address: Address
    sockets: list[socket.socket]
    _inode: tuple[int, int] | None = field(default=None)

    @property
    def unix(self) -> bool:
        """Whether it is a Unix socket."""
        return isinstance(self.address, UnixAddress)

    def socket_for(self, worker: int) -> socket.socket:
        """The socket on which that worker accepts."""
        return self.sockets[0 if self.unix else worker]

    def close(self) -> None:
        """Close this process's sockets; a Unix socket's file goes too, unless somebody has put another in its place."""
        for one in self.sockets:
            one.close()
        if isinstance(self.address, UnixAddress) and self._inode is not None:
            remove_socket_file(self.address.path, self._inode)
            self._inode = None


def open_bound(configured: Address, workers: int, setting: str, leaving: Collection[int] = frozenset()) -> list[Bound]:
    """Listen on an address, one Bound for each address that its host name has.

    `leaving`: TCP ports on which this process listens at another address and soon will not: for the kernel a wildcard
    and one interface are the same, so these may be shared until then.
    ConfigError names `setting` and the address: in use, not this machine's, not permitted, name not known.
    """
    try:
        if isinstance(configured, UnixAddress):
            return [_open_unix(configured)]
        return _open_tcp(configured, workers, configured.port in leaving)
    except UnicodeError:
        raise ConfigError(f'{setting}: cannot listen on "{configured}": that is no name of a host') from None
    except OSError as error:
        raise ConfigError(f'{setting}: cannot listen on "{configured}": {_reason(error)}') from None


def _open_tcp(configured: TcpAddress, workers: int, shared: bool) -> list[Bound]:
    found = _resolve(configured)
    for attempt in range(PICK_ATTEMPTS):
        opened: list[Bound] = []
        try:
            for family, sockaddr in found:
                # Port 0: what the first address was given holds for the others too.
                port = opened[0].sockets[0].getsockname()[1] if opened and configured.port == 0 else configured.port
                opened.append(_open_group(configured, family, (sockaddr[0], port, *sockaddr[2:]), workers, shared))
            return opened
        except OSError as error:
            _close_all(opened)
            again = error.errno == errno.EADDRINUSE and configured.port == 0 and attempt < PICK_ATTEMPTS - 1
            if not again:
                raise
    raise AssertionError("the last attempt returns or raises")


def _resolve(address: TcpAddress) -> list[tuple[socket.AddressFamily, SocketAddress]]:
    """The socket addresses of a host, each once."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, tuple(sockaddr)) for family, _, _, _, sockaddr in found))


def _open_group(
    configured: TcpAddress, family: socket.AddressFamily, sockaddr: SocketAddress, workers: int, shared: bool
) -> Bound:
    """A socket for each worker, all bound to one address with SO_REUSEPORT.

    The first is bound without the option, and gets it only then: else two proxies of the same user could bind the
    same port unnoticed and would share its clients. With `shared` the port is known to be ours.
    """
    group: list[socket.socket] = []
    try:
        for _ in range(workers):
            one = socket.socket(family, socket.SOCK_STREAM)
            group.append(one)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if shared or len(group) > 1:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(sockaddr)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sockaddr = one.getsockname()
        for one in group:  # only now, so that no connection arrives before all can be given one
            one.listen(backlog())
    except OSError:
        for one in group:
            one.close()
        raise
    return Bound(configured, TcpAddress(str(sockaddr[0]), int(sockaddr[1])), group)


def _open_unix(configured: UnixAddress) -> Bound:
    one, inode = bind_unix(configured.path, UNIX_MODE)
    one.listen(backlog())
    return Bound(configured, configured, [one], inode)


def bind_unix(path: str, mode: int) -> tuple[socket.socket, tuple[int, int]]:
    """A non-blocking Unix stream socket bound to path with that mode, and its file's (device, inode).

    A socket file that nobody listens on (its process was killed) is replaced. OSError otherwise.
    """
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.setblocking(False)
    before = os.umask(0o777 & ~mode)  # no moment with another mode; this process has one thread
    try:
        try:
            one.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_stale(path):
                raise
            os.unlink(path)
            one.bind(path)
        status = os.lstat(path)
    except OSError:
        one.close()
        raise
    finally:
        os.umask(before)
    return one, (status.st_dev, status.st_ino)


def remove_socket_file(path: str, inode: tuple[int, int]) -> None:
    """Delete a socket's file if it is still the one with this (device, inode)."""
    try:
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) == inode:
            os.unlink(path)
    except FileNotFoundError:
        return


def remove_abandoned(patterns: Sequence[str]) -> None:
    """Delete this user's socket files, named by patterns of glob, that nobody listens on: their process was killed.

    Not those of the last minute: a process that starts has bound its socket before it listens.
    """
    for path in (path for pattern in patterns for path in glob.glob(pattern)):
        try:
            status = os.lstat(path)
            is_old = time.time() - status.st_mtime > STARTING
            if is_old and status.st_uid == os.geteuid() and _is_stale(path):
                remove_socket_file(path, (status.st_dev, status.st_ino))
        except OSError as error:
            LOG.debug("%s: %s", path, error.strerror)  # another one that starts was quicker


def _is_stale(path: str) -> bool:
    """Whether path is a socket that nobody listens on."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def backlog() -> int:
    """What to pass to listen(2)."""
    try:
        return min(MAX_BACKLOG, int(_SOMAXCONN.read_text()))
    except (OSError, ValueError):  # not mounted, as in some containers; the kernel cuts a larger number by itself
        return MAX_BACKLOG


def _close_all(opened: Sequence[Bound]) -> None:
    for one in opened:
        one.close()


_REASONS = {
    errno.EADDRINUSE: "it is in use by another process; stop that or choose another port or path",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
    errno.EACCES: "permission denied; ports below 1024 and some folders are for root only",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "the folder does not exist",
    errno.EAFNOSUPPORT: "this machine has no such address family",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
}


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host name is not known ({error.strerror})"
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)
