"""Work at a secret's appointed times, but for rotation: the end of a recovery window, and of a password's grace.

Owns these two handlers of tasks. Refuses to trust that a task still fits: what was put down is looked at again, since
the secret may have changed since.
"""

from __future__ import annotations

from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import Handler, TaskContext


def handlers(sealer: Sealer) -> dict[str, Handler]:
    """The handlers of this module, by kind of work."""

    def purge(context: TaskContext) -> None:
        now = context.now()

        def step(transaction: Transaction) -> None:
            vault = Vault(transaction, sealer)
            secret = vault.by_arn(context.task.subject)
            if secret is not None and secret.purge_at is not None and secret.purge_at <= now:
                vault.remove(secret)

        context.transaction(step)

    def end_grace(context: TaskContext) -> None:
        def step(transaction: Transaction) -> None:
            vault = Vault(transaction, sealer)
            secret = vault.by_arn(context.task.subject)
            if secret is not None and secret.previous_valid:
                vault.save(secret.model_copy(update={"previous_valid": False}))

        context.transaction(step)

    return {works.PURGE: purge, works.END_GRACE: end_grace}
