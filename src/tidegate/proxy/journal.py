"""What a worker's log says of connections: who came, was refused, waited in vain, was pinned, left, and why.

Owns the words, the level and the rate of these lines. Refuses to count (`context.Counters`): what many clients cause at
once is written a few times a second at most, and the statistics have it all. No line holds a password or a client's
data, but for two: the beginning of a statement that pinned its session, and the statements after which an audit found
something.

    debug    each connection of a client: come, logged in, ended (CloseReason); each server connection: opened, closed
    info     logins that failed; sessions that were pinned (PinReason), and no longer are
    warning  clients that waited for connection_borrow_timeout; what a session audit found
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.proxy.logs import LOG, Seldom, statement

if TYPE_CHECKING:
    from tidegate.engine.loop import Loop
    from tidegate.errors import CloseReason, PgError
    from tidegate.proxy.login import ClientLogin
    from tidegate.session.pins import PinReason

LINES, PERIOD = 20, 1.0
"""Most lines of one kind in so many seconds."""


@dataclass(slots=True)
class Visit:
    """A client's connection, as far as it is known to the log: kept at level debug only."""

    address: str
    since: float
    """Seconds, loop clock."""


class Journal:
    """One for each worker. Callers of what is written at debug ask `verbose` first."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._failed = Seldom(logging.INFO, LINES, PERIOD)
        self._pinned = Seldom(logging.INFO, LINES, PERIOD)
        self._timed_out = Seldom(logging.WARNING, LINES, PERIOD)
        self._missed = Seldom(logging.WARNING, LINES, PERIOD)

    # Clients

    def client_came(self, proxy: str, fd: int) -> Visit:
        """A connection was accepted. Returns what client_went() wants to be given."""
        visit = Visit(peer(fd), self._loop.now)
        LOG.debug("client connected", extra={"fields": {"proxy": proxy, "from": visit.address}})
        return visit

    def client_entered(self, proxy: str, login: ClientLogin, fd: int) -> None:
        """A client has logged in."""
        LOG.debug("client logged in", extra={"fields": {"proxy": proxy, **who(login), "from": peer(fd)}})

    def client_went(self, proxy: str, visit: Visit | None, fd: int, reason: CloseReason) -> None:
        """A client's session has ended; `visit` is None if it began while the level was another one."""
        fields: dict[str, Any] = {"proxy": proxy, "from": visit.address if visit else peer(fd)}
        if visit:
            fields["seconds"] = round(self._loop.now - visit.since, 3)
        LOG.debug("client connection ended: %s", reason, extra={"fields": fields})

    def login_failed(self, proxy: str, login: ClientLogin, fd: int, error: PgError | None, reason: CloseReason) -> None:
        """A client was not let in: `error` is what it was told, if it was told something."""
        if self._failed.due(self._loop.now):
            fields = {"proxy": proxy, **who(login), "from": peer(fd), "reason": reason}
            if error is not None:
                fields["sqlstate"] = error.sqlstate
            self._failed.log("login failed: %s", error.message if error else "not completed in time", fields=fields)

    def pinned(self, proxy: str, pid: int, reason: PinReason, text: bytes) -> None:
        """A session keeps its server from here on, because of this statement."""
        if self._pinned.due(self._loop.now):
            fields: dict[str, Any] = {"proxy": proxy, "server": pid}
            if text:
                fields["statement"] = statement(text)
            self._pinned.log("session pinned: %s", reason, fields=fields)

    def unpinned(self, proxy: str, pid: int, reason: PinReason) -> None:
        """A session no longer keeps its server: what held it there is gone."""
        if self._pinned.due(self._loop.now):
            self._pinned.log("session no longer pinned: %s", reason, fields={"proxy": proxy, "server": pid})

    def missed(self, pid: int, what: Iterable[str], heard: Iterable[bytes]) -> None:
        """An audit found state that these statements have left unseen."""
        if self._missed.due(self._loop.now):
            after = b"; ".join(heard).decode("utf-8", "replace")
            self._missed.log("session audit: unseen in server %d: %s; after: %s", pid, ", ".join(what), after)

    def borrow_timeout(self, proxy: str, key: tuple[str, ...], error: PgError) -> None:
        """A client of this pool waited in vain."""
        if self._timed_out.due(self._loop.now):
            fields = {"proxy": proxy, "database": key[0], "user": key[1], "hint": error.hint}
            self._timed_out.log("a client got no server connection: %s", error.detail, fields=fields)

    # Servers

    def server_opened(self, target: str, key: tuple[str, ...], pid: int) -> None:
        """A server connection is ready to be lent."""
        LOG.debug("server connection opened", extra={"fields": server(target, key, pid)})

    def server_closed(self, target: str, key: tuple[str, ...], pid: int, reason: CloseReason) -> None:
        """A server connection has ended, or is being closed. pid: 0 if it never came to log in."""
        LOG.debug("server connection closed: %s", reason, extra={"fields": server(target, key, pid)})


def who(login: ClientLogin) -> dict[str, str]:
    """Whom a client has said to be, if it has got so far."""
    return {"user": login.user or "", "database": login.database or ""}


def server(target: str, key: tuple[str, ...], pid: int) -> dict[str, Any]:
    """The fields of a line about a server connection; `key`: of its pool."""
    return {"target": target, "database": key[0], "user": key[1], "server": pid}


def peer(fd: int) -> str:
    """The address at the other end of a connected socket: "host:port", "[ipv6]:port", or what is known instead."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            name = connection.getpeername()
    except OSError:
        return "unknown"
    if not isinstance(name, tuple):
        return "unix"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
