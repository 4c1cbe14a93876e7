"""Ending a client's session, or its statement, because another session says so (pg_terminate_backend and its kin).

Owns what becomes of the client and of its server. Refuses to judge who may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.errors import CloseReason, PgError, Sqlstate

if TYPE_CHECKING:
    from tidegate.proxy.relay import Relay
    from tidegate.proxy.worker import Worker


def cancel_session(worker: Worker, client: Relay) -> None:
    """Cancel what the client is doing, as its own CancelRequest would."""
    worker.cancels.cancel_client(client, None)


def end_session(worker: Worker, client: Relay) -> None:
    """Tell the client and close it; whatever it was doing at its server ends, and is rolled back."""
    server = client.current_server
    if server is not None and not client.is_idle:
        client.closes_server = True
        worker.cancels.send(client.door, server, None)
    client.refuse(
        PgError("terminating connection due to administrator command", Sqlstate.ADMIN_SHUTDOWN, "FATAL"),
        CloseReason.TERMINATED,
    )
