"""Lending by rotation: no client gets the server that it had last.

Owns what happens to an idle server that all waiting clients refuse. Refuses to look for one that they take: that is
`pool`.

An application may work by luck where it gets its last server back, as it does with few clients, and break where it
does not. Under this policy (`lending = "rotate"`) it never does. A client says which server it `avoids`, by the number
of its slot; the idle one that was used longest ago and is another is lent to it. If there is none it waits, as
everybody does: a server is opened for it if there may be one more, or somebody else's comes back.

Neither need happen: its last server may be the only one that there may be, or the others may be pinned. Then that one
idles beside a client that waits. After PATIENCE, or at once if no other server of the pool can come back, it is closed,
and its place serves to open another.
"""

from __future__ import annotations

from tidegate.errors import CloseReason
from tidegate.pool import tuning
from tidegate.pool.actions import Action, Close
from tidegate.pool.allocator import Allocator


def replace_spurned(allocator: Allocator, now: float) -> list[Action]:
    """Closes, in the books too, what idles though clients of its pool wait, since all of them avoid it.

    Lets the allocator know when to try again where it is too early for that.
    """
    actions: list[Action] = []
    for pool in allocator.ledger.queue:
        slot = pool.spurned()
        if slot is None or pool.opening > 0:
            continue
        due = slot.idle_since + tuning.PATIENCE if pool.lent > 0 else now
        if due > now:
            allocator.retry_at = min(allocator.retry_at, due)
        else:
            allocator.ledger.begin_close(slot, now)
            actions.append(Close(slot, CloseReason.SERVER_SPURNED))
    return actions
