"""The HTTP server: sockets, TLS, and uvicorn within an event loop that is somebody else's.

Owns start and stop of it. Refuses signals, which are the program's, and what is served (`app`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Any

import uvicorn

from tidegate.control.api.connection import BoundedProtocol
from tidegate.errors import ConfigError

MAX_CONNECTIONS = 512
"""Clients at a time; those beyond are answered with 503."""
GRACE = 5
"""Seconds that requests have to finish when the server stops."""
BACKLOG = 256


class _Server(uvicorn.Server):
    """uvicorn's, without signal handlers, telling when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.is_up.set()


class ApiServer:
    """Serves an ASGI application on one address, until stopped.

    `async with ApiServer(app, "127.0.0.1", 0) as server: ... server.url`
    """

    def __init__(self, app: Any, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        """port 0: any that is free. tls: a server's context; plain HTTP without."""
        self._app = app
        self._host = host
        self._port = port
        self._tls = tls
        self._bound: list[IPv4Address | IPv6Address] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, once it has started."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients on this machine find it: what --endpoint-url takes."""
        host = self._host
        if self._bound and self._bound[0].is_unspecified:  # of all addresses, which none can be connected to
            host = "127.0.0.1" if self._bound[0].version == 4 else "::1"
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine may reach it, without TLS."""
        return self._tls is None and not all(address.is_loopback for address in self._bound)

    async def start(self) -> None:
        """Listen and serve. ConfigError if the address can't be had."""
        sockets = await self._listen()
        config = uvicorn.Config(
            self._app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        config.ssl = self._tls
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets), name="tidegate-api")
        up = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait((self._task, up), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._task.done():
            self._task.result()

    async def _listen(self) -> list[socket.socket]:
        """Sockets on all addresses that the host's name stands for, with one port."""
        where = f"{self._host}:{self._port}"
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as error:
            raise ConfigError(f"--api {where}: {error.strerror or error}") from None
        sockets: list[socket.socket] = []
        self._bound = []
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                # asyncio turns Nagle's algorithm off where the protocol is told, and only there: without, an answer's
                # body waits 40 ms for its head to be acknowledged.
                made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
                sockets.append(made)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind((address[0], self._port, *address[2:]))
                made.listen(BACKLOG)
                made.setblocking(False)
                bound, self._port = made.getsockname()[:2]
                self._bound.append(ip_address(bound))
        except OSError as error:
            for made in sockets:
                made.close()
            raise ConfigError(f"--api {where}: cannot listen there: {error.strerror or error}") from None
        return sockets

    async def stop(self) -> None:
        """Take no more requests, and let those that run finish. Harmless if it isn't running."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
            self._server = self._task = None

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
