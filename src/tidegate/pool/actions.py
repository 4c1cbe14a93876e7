# cython: annotation_typing=False
"""What the pool asks its caller to do.

Owns the three commands that come out of a decision. Refuses to carry them out.
"""

from __future__ import annotations

from tidegate.errors import CloseReason
from tidegate.pool.slot import Slot, Ticket


class Lend:
    """Let the ticket's client use this server; it is already counted as lent."""

    __match_args__ = ("ticket", "slot")

    def __init__(self, ticket: Ticket, slot: Slot) -> None:
        self.ticket = ticket
        self.slot = slot

    def __repr__(self) -> str:
        return f"Lend({self.ticket!r}, {self.slot!r})"


class Open:
    """Connect and log in, then call `opened` or `open_failed`."""

    __match_args__ = ("slot",)

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    def __repr__(self) -> str:
        return f"Open({self.slot!r})"


class Close:
    """End this connection, and call `closed` once the database's end of it has been read."""

    __match_args__ = ("slot", "reason")

    def __init__(self, slot: Slot, reason: CloseReason) -> None:
        self.slot = slot
        self.reason = reason

    def __repr__(self) -> str:
        return f"Close({self.slot!r}, {self.reason.value})"


Action = Lend | Open | Close
