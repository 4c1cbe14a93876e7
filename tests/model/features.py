"""What the model asks only of those who have it.

Owns the names, and which of them the proxy has. Refuses to know what they take: operations say which they need.
"""

from __future__ import annotations

from enum import Enum


class Feature(Enum):
    """What the model checks only where it is asked to, because not every proxy has it."""

    SEQUENCES = "sequences"
    """currval() and lastval()."""
    HIDDEN = "hidden"
    """Settings that functions, views and triggers change unseen."""
    LISTEN = "listen"
    """LISTEN without a pin, own notifications with the process ID of BackendKeyData."""
    PREPARE = "prepare"
    """PREPARE without a pin; EXECUTE and DEALLOCATE of the protocol's statements."""


ALL = frozenset(Feature)
PRESENT = ALL - {Feature.SEQUENCES}
"""What is checked through the proxy, which may answer 55000 where the database knows a value of a sequence."""
