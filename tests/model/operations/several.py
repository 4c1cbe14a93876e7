"""Several statements in one message, and which operations can stand there.

Owns the message as a whole. Refuses statements of its own, but for the one that shows how far it came.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.answers import selected
from tests.model.client import ModelClient, Transport
from tests.model.session import Statement

from . import discarding, identity, locking, looking, notifying, preparing, sequences, setting, temporary, transaction
from .base import Operation, SqlOperation, done, operations_of

JOINING: tuple[SqlOperation, ...] = tuple(
    one
    for module in (
        discarding, identity, locking, looking, notifying, preparing, sequences, setting, temporary, transaction,
    )
    for one in operations_of(module)
    if isinstance(one, SqlOperation) and one.joins
)  # fmt: skip


class Several(Operation):
    """Several statements in one Query, or before one Sync; outside a block they are one transaction."""

    weight = 10

    def play(self, client: ModelClient) -> None:
        chance = client.chance
        transport = chance.choice([Transport.SIMPLE, Transport.SIMPLE, Transport.EXTENDED])
        client.exchange(self._statements(client, transport, chance.randint(2, 5)), transport)

    def _statements(self, client: ModelClient, transport: Transport, count: int) -> Iterator[Statement]:
        session, chance = client.session, client.chance
        block = transport is Transport.SIMPLE and session.status == "I" and chance.random() < 0.3
        if block:
            yield Statement("BEGIN", lambda session: (session.begin(), done("BEGIN"))[1])
        for _ in range(count):
            choices = [one for one in JOINING if one.allowed(client)]
            operation = chance.choices(choices, [one.weight for one in choices])[0]
            client.count.operation(f"{operation.kind} among others")
            statement = operation.statement(client, session, chance)
            if transport is Transport.SIMPLE and statement.values:
                continue
            yield statement
        if block:
            yield transaction.End().statement(client, session, chance)
        else:
            yield Statement("SELECT 'last'", lambda session: selected("last"))
