"""All operations. A new one is a class in one of these modules; the table finds it."""

from __future__ import annotations

from . import (
    discarding,
    identity,
    leaving,
    locking,
    looking,
    notifying,
    preparing,
    sequences,
    setting,
    several,
    temporary,
    transaction,
)
from .base import Operation, operations_of

MODULES = (
    discarding, identity, leaving, locking, looking, notifying, preparing, sequences, setting, several, temporary,
    transaction,
)  # fmt: skip

ALL: tuple[Operation, ...] = tuple(one for module in MODULES for one in operations_of(module))
