"""One rotation, in AWS's four steps: createSecret, setSecret, testSecret, finishSecret.

Owns their order, and what each finds out before it does anything: a rotation may be cut off at any point and begun
again, and what was done is not done twice (User Guide, "Rotation by Lambda function"). Refuses SQL (`strategies`).

What is known is in the store and in the database, nowhere else: a version without a value needs createSecret, one
whose password logs in has had setSecret, one that is AWSCURRENT is done.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.control.rotation import databases, strategies
from tidegate.control.rotation.databases import Account, account_in
from tidegate.control.rotation.strategies import Accounts, NotAllowed
from tidegate.control.services.secretsmanager import labels
from tidegate.control.services.secretsmanager.credentials import CredentialsError, fields_of, secret_at
from tidegate.control.services.secretsmanager.functions import Strategy, strategy_of
from tidegate.control.services.secretsmanager.passwords import random_password
from tidegate.control.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Rotation, Secret
from tidegate.control.services.secretsmanager.rotation_address import may_go
from tidegate.control.services.secretsmanager.vault import Value, Vault, pending_rotation
from tidegate.control.services.use_address import ACTION, text_of
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import TaskContext

EXCLUDED = ":/@\"'\\"
"""Characters that AWS's functions leave out of new passwords: those that trouble connection URLs and shells."""


class Superseded(Exception):
    """The rotation is not wanted any more: cancelled, finished by somebody else, or its secret is gone."""


class BegunAnew(Superseded):
    """The pending version, made from a value that has been replaced, was no use beside the present one."""


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
            current = _account(transaction, rotation, fields)
            fields["username"] = strategies.next_username(_strategy(rotation), current.username)
            fields["password"] = random_password({"ExcludeCharacters": EXCLUDED})
            value, base = Value.of_text(json.dumps(fields)), secret.labelled(CURRENT) or ""
            vault.add_version(secret, self.version_id, value, (PENDING,), now, base)

        self.context.transaction(step)

    def set_secret(self) -> None:
        """Have the database take the new password. BegunAnew if the secret's value was replaced by a better one."""
        try:
            strategy, accounts = self._accounts()
            self.published(self.arn)
            strategies.set_password(strategy, accounts)
        except (CredentialsError, NotAllowed) as error:
            if self.context.transaction(self._begins_anew):
                raise BegunAnew(str(error)) from None
            raise

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

    def _begins_anew(self, transaction: Transaction) -> bool:
        """Have another pending version made, if rotation made this one from a value that is AWSCURRENT no more.

        One that somebody has put is left to them. What was pending stays without a label: a database may have it.
        """
        vault, secret, rotation = self._looked_up(transaction)
        if secret.versions[self.version_id].base in ("", secret.labelled(CURRENT)):
            return False
        _account(transaction, rotation, fields_of(vault, secret, CURRENT))
        vault.begin_rotation(secret, rotation, str(uuid.uuid4()), self.context.now())
        return True

    def _accounts(self) -> tuple[Strategy, Accounts]:
        return self.context.transaction(self._read_accounts)

    def _read_accounts(self, transaction: Transaction) -> tuple[Strategy, Accounts]:
        vault, secret, rotation = self._looked_up(transaction)
        current = fields_of(vault, secret, CURRENT)
        previous = _account_or_none(vault, secret, PREVIOUS, current)
        pending = account_in(fields_of(vault, secret, PENDING))
        account, master = _account(transaction, rotation, current), _master(vault, rotation, current)
        return _strategy(rotation), Accounts(account, pending, previous, master)

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
    """Whom a rotation of that secret would log in as; None if it is not rotated. CredentialsError, NotAllowed."""
    vault = Vault(transaction, sealer)
    secret = vault.by_arn(arn)
    if secret is None or secret.purge_at is not None or secret.rotation is None or not secret.rotation.enabled:
        return None
    return _account(transaction, secret.rotation, fields_of(vault, secret, CURRENT))


def _account(transaction: Transaction, rotation: Rotation, fields: Mapping[str, Any]) -> Account:
    """The account of AWSCURRENT, to whose server rotation may go: those of other versions must be there, too."""
    account = account_in(fields)
    if not may_go(transaction, rotation, account.place):
        raise NotAllowed(
            f"no instance is registered at {text_of(account.place)}, which the secret names: have somebody who is "
            f"allowed {ACTION} there put the value again"
        )
    return account


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
