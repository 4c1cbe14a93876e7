"""Which operation comes next, where nobody else decides.

Owns the chances. Refuses to play it.

A client that holds what binds it to a server keeps that from others: after a few operations it only does what lets go,
and in the end it leaves. One that may hold nothing is not offered what would.
"""

from __future__ import annotations

from .client import ModelClient
from .operations import ALL
from .operations.base import Operation
from .operations.leaving import Leave
from .operations.looking import ShowEverything
from .operations.transaction import End

EAGER = 0.6  # chance that one that may hold something begins to
PATIENT = 12  # operations with something held, then only such as let go of it
AT_MOST = 30  # then it leaves
LONGEST = 12  # operations in one transaction


class Chooser:
    """The choices of one client."""

    def __init__(self, client: ModelClient) -> None:
        self.client = client
        self.held = 0
        self.within = 0

    def choose(self) -> Operation:
        """The next one."""
        client = self.client
        self.held = self.held + 1 if client.pinned else 0
        self.within = self.within + 1 if client.session.status != "I" else 0
        if self.held > (PATIENT if client.session.bound else AT_MOST):
            return Leave()
        found = [one for one in ALL if one.allowed(client)]
        if self.held > PATIENT or self.within > LONGEST:
            found = [one for one in found if one.undoes] or found
        elif client.may_pin and not client.pinned and client.chance.random() < EAGER:
            found = [one for one in found if one.pins - client.world.carried] or found
        return client.chance.choices(found, [one.weight for one in found])[0]

    def step(self) -> Operation:
        """Choose and play one; also take what has come meanwhile."""
        operation = self.choose()
        self.client.count.operation(operation.kind)
        self.client.note(f"-- {operation.kind}")
        operation.play(self.client)
        self.client.listen_idly()
        return operation

    def finish(self, seconds: float) -> None:
        """End the transaction, and wait for what is due."""
        client = self.client
        if client.session.status != "I":
            End().play(client)
        client.listen_idly(seconds)
        ShowEverything().play(client)
