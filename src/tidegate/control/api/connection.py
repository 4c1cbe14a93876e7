"""A client's connection: uvicorn's, with bounds on what comes before a request is known.

Owns the limits of a request's head in bytes and seconds, of what a body may be wrapped in, of requests ahead of their
answers, and of answers that nobody reads; uvicorn with httptools has none of them. Refuses bodies, whose limits are
`arrival`'s.

A client takes answers for those to its requests in their order (RFC 9112, section 9.3.2). So what refuses a request
that can't be read waits for the answers to those before it, which are carried out. Then the client is listened to for a
while, unheard: a connection that is closed with data unread takes the answer with it (section 9.6).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tidegate.control.api.arrival import LINGER

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and headers. A presigned URL with a session token has some 4 KB."""
HEAD_TIMEOUT = 15.0
"""Seconds from a connection's start, or a request's first byte, until its headers must have come."""
MAX_REQUEST = 8 * 1024 * 1024
"""Bytes of a request as it comes: of `arrival`'s longest body in chunks of one byte. Bounds trailers and extensions."""
MAX_AHEAD = 32
"""Requests that a connection may have sent beyond the one that is served. SDKs wait for each answer."""
READ_TIMEOUT = 20.0
"""Seconds for which a client may leave its answers unread once the system's buffers are full, or its time is over."""


def _refusal(status: int, text: bytes) -> bytes:
    head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head % len(text) + text


HEAD_TOO_LONG = _refusal(431, b"The request's first line and headers are longer than %d bytes." % MAX_HEAD)
REQUEST_TOO_LONG = _refusal(413, b"The request is longer than %d bytes." % MAX_REQUEST)
NO_HTTP = _refusal(400, b"Invalid HTTP request received.")


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head is too long or too slow."""

    _in_head = True
    _bytes = 0
    """Of the request that is coming."""
    _requests = 0
    _refusal: bytes | None = None
    """What the connection ends with, once all answers before it are out."""
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
        if self._refusal is not None:
            return
        before = self._requests
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Where in `data` a request has ended isn't known: the next head may be longer by what came with that end.
        self._bytes = 0 if self._requests != before else self._bytes + len(data)
        if self._bytes > (MAX_HEAD if self._in_head else MAX_REQUEST):
            self._refuse(HEAD_TOO_LONG if self._in_head else REQUEST_TOO_LONG)
        elif self._in_head and self._deadline is None and self._requests == before:
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
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            self._refuse(HEAD_TOO_LONG)
            # httptools gives this to uvicorn as a parser's error, which comes back as send_400_response.
            raise ValueError("the request's head is too long")
        super().on_headers_complete()
        self._in_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of the head's. What trails a body is nobody's, and may be without end."""
        if self._in_head:
            super().on_header(name, value)

    def on_message_complete(self) -> None:
        """What comes now is another request."""
        super().on_message_complete()
        self._requests += 1
        self._in_head = True
        self._bytes = 0

    def on_response_complete(self) -> None:
        """A request is answered: the last one may be followed by a refusal."""
        if self._refusal is not None and not self.pipeline:
            self._say_refusal()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(NO_HTTP)

    def _await_head(self) -> None:
        self._in_head = True
        self._bytes = 0
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

    def _refuse(self, refusal: bytes) -> None:
        """Read no more, and end with this when all requests that came whole are answered."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = refusal
        self._end_deadline()
        last = self.cycle
        if self._in_head:
            if last is None or last.response_complete:
                self._say_refusal()
        elif last.response_started:
            self._refusal = b""  # what can't be read is the rest of a request that has its answer
            if last.response_complete:
                self._say_refusal()
        elif self.pipeline:
            self.pipeline.popleft()  # its turn has not come: the refusal is its answer
        else:
            last.disconnected = True
            last.message_event.set()  # who reads its body need not wait
            self._say_refusal()

    def _say_refusal(self) -> None:
        if self._refusal is None or self.transport.is_closing():
            return
        self.transport.write(self._refusal)
        self.flow.resume_reading()  # until the client's end, which nobody would notice otherwise
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)
