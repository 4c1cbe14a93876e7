"""A client's connection: uvicorn's, with bounds on what comes before a request is known.

Owns the limits of a request's head in bytes and seconds, of requests ahead of their answers, and of answers that nobody
reads; uvicorn with httptools has none of them. Refuses bodies, whose limits are `arrival`'s.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and headers. A presigned URL with a session token has some 4 KB."""
HEAD_TIMEOUT = 15.0
"""Seconds from a connection's start, or a request's first byte, until its headers must have come."""
MAX_AHEAD = 32
"""Requests that a connection may have sent beyond the one that is served. SDKs wait for each answer."""
READ_TIMEOUT = 20.0
"""Seconds for which a client may leave its answers unread once the system's buffers are full, or its time is over."""


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head is too long or too slow."""

    _in_head = True
    _head_bytes = 0
    _requests = 0
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._end_deadline()
        self._end_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not whole yet."""
        before = self._requests
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._end()
            elif self._deadline is None and self._requests == before:
                # Empty lines before a request begin none, but have ended uvicorn's own wait for one.
                self._start_deadline()

    def pause_writing(self) -> None:
        """The client leaves its answers where they are."""
        super().pause_writing()
        self._end_unread()
        self._unread = self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read some."""
        super().resume_writing()
        self._end_unread()

    def timeout_keep_alive_handler(self) -> None:
        """No other request has come: end, and don't wait for ever until what is left of an answer is read."""
        super().timeout_keep_alive_handler()
        self._end_unread()
        self._unread = self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request's first byte is there."""
        if len(self.pipeline) >= MAX_AHEAD:
            self.transport.abort()  # a close would wait until the client has read what is before it
            raise ValueError("too many requests ahead of their answers")
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is whole; it may have come in one piece that is too long all the same."""
        self._end_deadline()
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            # httptools gives this to uvicorn as a parser's error, which it answers with 400 and an end.
            raise ValueError("the request's head is too long")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes now is another request."""
        super().on_message_complete()
        self._requests += 1
        self._in_head = True
        self._head_bytes = 0

    def _await_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._start_deadline()

    def _start_deadline(self) -> None:
        self._end_deadline()
        self._deadline = self.loop.call_later(HEAD_TIMEOUT, self._too_slow)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_slow(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_deadline()  # the answer to an earlier request is still on its way
        elif not self.transport.is_closing():
            self.transport.close()

    def _end(self) -> None:
        answer: list[Any] = [STATUS_LINE[431], b"content-length: 0\r\nconnection: close\r\n\r\n"]
        self.transport.write(b"".join(answer))
        self.transport.close()
