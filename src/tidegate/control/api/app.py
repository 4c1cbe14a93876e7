"""The HTTP service: an ASGI application that hands requests to the dispatcher.

Owns methods, paths, headers, and the one page that needs no signature. Refuses connections (`connection`, `server`)
and what requests mean (`dispatch`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tidegate.control.api import refusals
from tidegate.control.api.arrival import Answer, Incoming, arrival_of, with_body
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.errors import AwsError

METHODS = ("GET", "POST")
TOO_LARGE = 413
CUT_OFF = (408, TOO_LARGE)
"""Statuses after which the rest of a request is not read: the connection ends with the answer."""


def make_app(dispatcher: Dispatcher, clock: Callable[[], float]) -> Starlette:
    """The application. clock: seconds since 1970, which each request is stamped with once."""
    return Starlette(
        routes=[
            Route("/health", _health, methods=["GET", "HEAD"]),
            Route("/{path:path}", _Front(dispatcher, clock)),
        ]
    )


async def _health(request: Request) -> Response:
    """Whether anybody is there; what a load balancer asks."""
    return JSONResponse({"status": "ok"})


class _Front:
    """Everything else."""

    def __init__(self, dispatcher: Dispatcher, clock: Callable[[], float]) -> None:
        self._dispatcher = dispatcher
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = Incoming(receive)
        request = Request(scope, incoming.receive)
        arrival = arrival_of(request, at=self._clock(), request_id=str(uuid.uuid4()))
        try:
            if request.method not in METHODS:
                raise self._dispatcher.unserved(arrival) or refusals.method_not_allowed(request.method)
            if arrival.signed.path != "/":
                raise self._dispatcher.unserved(arrival) or refusals.not_found(arrival.signed.path)
            answer = await self._dispatcher.serve(await with_body(arrival, request))
        except AwsError as error:
            answer = self._dispatcher.refuse(arrival, error)
        except ClientDisconnect:
            return
        sending = _before_the_end(send, incoming) if answer.status == TOO_LARGE else send
        await _response(answer, arrival.request_id)(scope, receive, sending)


def _before_the_end(send: Send, incoming: Incoming) -> Send:
    """Sends a whole answer, but doesn't say that it is whole, which ends the connection, before the request is.

    Most clients look for an answer only when they have sent everything, and find none on a connection that has ended.
    """

    async def sending(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        await incoming.read_off()
        await send({"type": "http.response.body", "body": b""})

    return sending


def _response(answer: Answer, request_id: str) -> Response:
    headers = {**answer.headers, "content-type": answer.content_type, "x-amzn-RequestId": request_id}
    if answer.status in CUT_OFF:
        headers["connection"] = "close"
    if answer.status == 405:
        headers["allow"] = ", ".join(METHODS)
    return Response(answer.body, answer.status, headers)
