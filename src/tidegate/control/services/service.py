"""What every AWS service is to the dispatcher.

Owns the way from an operation's name to the method that serves it. Refuses protocols (`api`).

A service's class has a method for each operation that it serves, named as botocore names it ("create_db_proxy"). It
takes the Call, reads `call.parameters` (members as the service's model names them; what is absent is not there), says
what it requires (`call.require`), and returns plain data in the shape of the operation's output. Methods run in one
thread, one at a time, each in one transaction: they must not wait for anything. What takes time is a task
(`tidegate.control.tasks`), put down in the same transaction.

Timestamps are seconds since 1970, in parameters and in what is returned (datetimes may be returned too); blobs are
bytes. Members whose value is None are left out of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from botocore import xform_name

from tidegate.control.call import Call

Operation = Callable[[Call], dict[str, Any]]


class Service:
    """Base of the services."""

    name: ClassVar[str]
    """As botocore's models are named: "rds"."""
    unguarded: ClassVar[frozenset[str]] = frozenset()
    """Operations that require nothing: who may call them is everybody who can sign ("GetCallerIdentity")."""

    def operation(self, name: str) -> Operation | None:
        """What serves the operation "CreateDBProxy"; None if nothing does."""
        found: Operation | None = getattr(self, xform_name(name), None)
        return found
