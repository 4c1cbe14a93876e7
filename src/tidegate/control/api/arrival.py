"""A request as it has arrived, and an answer as it will leave: bytes and headers, nothing understood yet.

Owns reading a request's body within its limits of size and time. Refuses what it means (`routing`, `parsing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.types import Message, Receive

from tidegate.auth import sigv4_claim
from tidegate.control.api import refusals

MAX_BODY = 1024 * 1024
"""Bytes of any request's body: what the query services take."""
BODY_TIMEOUT = 30.0
"""Seconds within which a body must have come."""
LINGER = 5.0
"""Seconds for which a client that was refused may go on sending, so that it finds the answer when it looks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request. path and query are as on the wire."""

    signed: sigv4_claim.Request
    at: float
    """Seconds since 1970."""
    request_id: str
    source_ip: str
    secure: bool

    def header(self, name: str) -> str:
        """The first value of a header, by its name in lower case; empty if there is none."""
        values = self.signed.values(name)
        return values[0] if values else ""

    @property
    def wants_json(self) -> bool:
        """Whether a query service is to answer in JSON, as it does for who accepts that and no XML.

        aws-iam-authenticator asks STS so.
        """
        accepted = self.header("accept").lower()
        return "application/json" in accepted and "xml" not in accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Incoming:
    """What comes of a request after its head."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> Message:
        """The next piece; ASGI's receive."""
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def read_off(self) -> None:
        """Let the rest come, for LINGER at most, and forget it."""
        try:
            async with asyncio.timeout(LINGER):
                while not self._ended:
                    await self.receive()
        except TimeoutError:
            return


def arrival_of(request: Request, *, at: float, request_id: str) -> Arrival:
    """All of a request but its body."""
    scope = request.scope
    return Arrival(
        signed=sigv4_claim.Request(
            method=request.method,
            path=_text(scope.get("raw_path", scope["path"].encode())),
            query=_text(scope["query_string"]),
            headers=[(name.decode("latin-1"), _text(value)) for name, value in scope["headers"]],
        ),
        at=at,
        request_id=request_id,
        source_ip=request.client.host if request.client else "",
        # What never leaves the machine needs no encryption: AWS's usual policies must not lock out who is on it.
        secure=scope["scheme"] == "https" or _is_loopback(request),
    )


async def with_body(arrival: Arrival, request: Request) -> Arrival:
    """The same with its body, once that has come. AwsError if it is too long or too slow.

    starlette.requests.ClientDisconnect if it won't come.
    """
    return replace(arrival, signed=replace(arrival.signed, body=await _body(request)))


def _text(value: bytes) -> str:
    """Bytes as their sender has signed them: UTF-8 where they are."""
    return value.decode("utf-8", "surrogateescape")


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY:
        raise refusals.too_large(MAX_BODY)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise refusals.too_large(MAX_BODY)
    except TimeoutError:
        raise refusals.slow_request() from None
    return bytes(body)


def _is_loopback(request: Request) -> bool:
    host = request.client.host if request.client else ""
    return host == "::1" or host.startswith("127.")
