"""One rotation, in AWS's four steps: createSecret, setSecret, testSecret, finishSecret.

Owns their order, and what each finds out before it does anything: a rotation may be cut off at any point and begun
again, and what was done is not done twice (User Guide, "Rotation by Lambda function"). Refuses SQL (`strategies`).

What is known is in the store and in the database, nowhere else: a version without a value needs createSecret, one
whose password logs in has had setSecret, one that is AWSCURRENT is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.control.rotation import databases, strategies
from tidegate.control.rotation.databases import Account, account_in
from tidegate.control.rotation.strategies import Accounts
from tidegate.control.services.secretsmanager import labels
from tidegate.control.services.secretsmanager.credentials import CredentialsError, fields_of, login_in, secret_at
from tidegate.control.services.secretsmanager.functions import Strategy, strategy_of
from tidegate.control.services.secretsmanager.passwords import random_password
from tidegate.control.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Rotation, Secret
from tidegate.control.services.secretsmanager.vault import Value, Vault, pending_rotation
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import TaskContext

EXCLUDED = ":/@\"'\\"
"""Characters that AWS's functions leave out of new passwords: those that trouble connection URLs and shells."""


class Superseded(Exception):
    """The rotation is not wanted any more: cancelled, finished by somebody else, or its secret is gone."""


@dataclass(frozen=True, slots=True)
class Job:
    """One rotation: to which version of which secret."""

    context: TaskContext
    sealer: Sealer
    arn: str
    version_id: str
    published: Callable[[str], None]
    """Returns when the data plane has what was committed of the secret with that ARN: the new password must be known
    there before it is valid."""

    def create_secret(self) -> None:
        """Make a new password, unless the pending version has one."""
        now = self.context.now()

        def step(transaction: Transaction) -> None:
            vault, secret, rotation = self._looked_up(transaction)
            if secret.versions[self.version_id].content is not None:
                return
            fields = fields_of(vault, secret, CURRENT)
            username, _ = login_in(fields)
            fields["username"] = strategies.next_username(_strategy(rotation), username)
            fields["password"] = random_password({"ExcludeCharacters": EXCLUDED})
            vault.add_version(secret, self.version_id, Value.of_text(json.dumps(fields)), (PENDING,), now)

        self.context.transaction(step)

    def set_secret(self) -> None:
        """Have the database take the new password."""
        strategy, accounts = self._accounts()
        self.published(self.arn)
        strategies.set_password(strategy, accounts)

    def test_secret(self) -> None:
        """Log in with the new password, and run a query."""
        _, accounts = self._accounts()
        databases.try_out(accounts.pending)

    def finish_secret(self) -> None:
        """Make the new version AWSCURRENT."""
        now = self.context.now()

        def step(transaction: Transaction) -> None:
            vault, secret, rotation = self._looked_up(transaction)
            done = rotation.model_copy(update={"rotated": now, "failure": ""})
            secret = secret.model_copy(update={"rotation": done})
            moved = labels.attach(secret.versions, self.version_id, (CURRENT,))
            vault.relabel(secret, labels.detach(moved, self.version_id, PENDING), now)

        self.context.transaction(step)

    def _accounts(self) -> tuple[Strategy, Accounts]:
        return self.context.transaction(self._read_accounts)

    def _read_accounts(self, transaction: Transaction) -> tuple[Strategy, Accounts]:
        vault, secret, rotation = self._looked_up(transaction)
        current = fields_of(vault, secret, CURRENT)
        previous = _account_or_none(vault, secret, PREVIOUS, current)
        pending = account_in(fields_of(vault, secret, PENDING))
        return _strategy(rotation), Accounts(account_in(current), pending, previous, _master(vault, rotation, current))

    def _looked_up(self, transaction: Transaction) -> tuple[Vault, Secret, Rotation]:
        vault = Vault(transaction, self.sealer)
        secret = vault.by_arn(self.arn)
        if secret is None or secret.purge_at is not None or secret.rotation is None or not secret.rotation.enabled:
            raise Superseded
        if pending_rotation(secret) != self.version_id:
            raise Superseded
        return vault, secret, secret.rotation


STEPS: Mapping[str, Callable[[Job], None]] = {
    "createSecret": Job.create_secret,
    "setSecret": Job.set_secret,
    "testSecret": Job.test_secret,
    "finishSecret": Job.finish_secret,
}


def in_order(job: Job) -> Iterator[str]:
    """Do the steps; gives each one's name before it is begun."""
    for name, step in STEPS.items():
        yield name
        step(job)


def current_account(transaction: Transaction, sealer: Sealer, arn: str) -> Account | None:
    """Whom a rotation of that secret would log in as; None if it is not rotated. CredentialsError."""
    vault = Vault(transaction, sealer)
    secret = vault.by_arn(arn)
    if secret is None or secret.purge_at is not None or secret.rotation is None or not secret.rotation.enabled:
        return None
    return account_in(fields_of(vault, secret, CURRENT))


def _strategy(rotation: Rotation) -> Strategy:
    strategy = strategy_of(rotation.function)
    if strategy is None:
        raise CredentialsError(f"there is no rotation function {rotation.function}")
    return strategy


def _account_or_none(vault: Vault, secret: Secret, label: str, current: Mapping[str, Any]) -> Account | None:
    """An older version may hold anything. Whether it goes over TLS is for the current one to say."""
    try:
        fields = fields_of(vault, secret, label)
        return account_in({**fields, "ssl": current.get("ssl")})
    except CredentialsError:
        return None


def _master(vault: Vault, rotation: Rotation, current: Mapping[str, Any]) -> Account | None:
    """The master's account, if the secret still names the master that rotation was turned on with."""
    named = current.get("masterarn")
    secret = secret_at(vault, named) if isinstance(named, str) and rotation.master_arn else None
    if secret is None or secret.arn != rotation.master_arn or secret.purge_at is not None:
        return None
    return account_in({**fields_of(vault, secret, CURRENT), "dbname": current.get("dbname")})
