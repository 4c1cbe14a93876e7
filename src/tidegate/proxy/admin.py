"""The control socket: one JSON line in, one out, for `tidegate reload` and for whoever may open it (mode 0600).

Owns the socket and the form of questions and answers: {"command": NAME, ...} and {"ok": true, ...} or
{"ok": false, "error": TEXT}. Refuses to do what is asked: the commands are handed in.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tidegate.errors import ConfigError
from tidegate.proxy.logs import LOG
from tidegate.proxy.sockets import bind_unix, remove_socket_file

MAX_REQUEST = 64 * 1024
"""Bytes of a request line."""

SOCKET_MODE = 0o600

Answer = dict[str, Any]
Command = Callable[[Mapping[str, Any]], Awaitable[Answer]]
"""From the request to the answer without "ok"; ConfigError becomes {"ok": false}."""


class AdminSocket:
    """Answers commands on a Unix socket until close()."""

    def __init__(self, path: str, commands: Mapping[str, Command]) -> None:
        """Bind the socket. ConfigError if that is not possible, or if another supervisor answers there."""
        self._path = path
        self._commands = commands
        self._server: asyncio.Server | None = None
        try:
            self._socket, self._inode = bind_unix(path, SOCKET_MODE)
        except OSError as error:
            reason = "another proxy uses it" if error.errno == errno.EADDRINUSE else error.strerror
            raise ConfigError(f'control_socket = "{path}": {reason}; set control_socket to another path') from None

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self._socket, limit=MAX_REQUEST)

    def close(self) -> None:
        """Answer no more, and delete the socket's file."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        remove_socket_file(self._path, self._inode)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line), default=str).encode() + b"\n")
                await writer.drain()
        except ValueError:  # readline: longer than MAX_REQUEST
            writer.write(json.dumps(_refusal(f"a request is at most {MAX_REQUEST} bytes")).encode() + b"\n")
        except ConnectionError as error:
            LOG.debug("a control connection was lost: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
            name = request["command"]
            command = self._commands[name]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _refusal(f'a request is {{"command": NAME}}, NAME one of {", ".join(sorted(self._commands))}')
        try:
            return {"ok": True, **await command(request)}
        except ConfigError as error:
            return _refusal(str(error))
        except Exception:
            LOG.exception("the command %s failed", name)
            return _refusal(f"the command {name} failed; the log says more")


def _refusal(text: str) -> Answer:
    return {"ok": False, "error": text}
