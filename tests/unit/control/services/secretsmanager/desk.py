"""Secrets Manager at work in a test: a real store, a clock that is set by hand, a guard that lets in or refuses.

Owns how a call is made. Refuses HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.conformance import make_call, serve
from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.policies.decision import IDENTITY
from tidegate.control.services.iam.errors import refused
from tidegate.control.services.secretsmanager.records import Secret
from tidegate.control.services.secretsmanager.service import SecretsManager
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Store, Transaction
from tidegate.control.tasks import Task

T = TypeVar("T")

ACCOUNT = "123456789012"
REGION = "eu-central-1"
PREFIX = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
NOON = 1_700_049_600.0
"""2023-11-15 12:00 UTC."""
WITH_TOKEN = {"create_secret", "put_secret_value", "update_secret", "rotate_secret"}


class Guarded:
    """Refuses what `refused` says; keeps what was asked."""

    def __init__(self) -> None:
        self.refused: Callable[[str, str, Mapping[str, Any]], bool] = lambda action, resource, context: False
        self.asked: list[tuple[str, str, dict[str, Any], str | None]] = []

    def require(
        self, call: Call, action: str, resource: str, context: Mapping[str, Any], resource_policy: str | None
    ) -> None:
        self.asked.append((action, resource, dict(context), resource_policy))
        if self.refused(action, resource, context):
            reason = f"because no {IDENTITY} allows the {action} action"
            raise refused(call.service, call.caller.arn, action, resource, reason)


class Desk:
    """One service over one store."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "state.db")
        self.sealer = Sealer(bytes(range(32)))
        self.service = SecretsManager(self.sealer)
        self.guard = Guarded()
        self.at = NOON
        self.region = REGION
        self.written: set[str] = set()
        """Kinds that the last call has written."""

    def __call__(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call ("create_secret"); a ClientRequestToken is made up as SDKs do."""
        if operation in WITH_TOKEN:
            parameters.setdefault("ClientRequestToken", str(uuid.uuid4()))
        name = "".join(part.title() for part in operation.split("_"))
        with self.store.transaction() as transaction:
            call = make_call(
                "secretsmanager", name, parameters, transaction, self.guard, region=self.region, at=self.at, secure=True
            )
            answer = serve(self.service, call)
            self.written = transaction.written
        return answer

    def refused(self, operation: str, **parameters: Any) -> tuple[str, str]:
        """Code and message of the error that the call has to raise."""
        with pytest.raises(AwsError) as caught:
            self(operation, **parameters)
        assert caught.value.status in (400, 403)
        return caught.value.code, caught.value.message

    def create(self, name: str = "app", text: str | None = "v1", **parameters: Any) -> str:
        """A secret; its ARN."""
        if text is not None:
            parameters["SecretString"] = text
        return str(self("create_secret", Name=name, **parameters)["ARN"])

    def run(self, step: Callable[[Transaction], T]) -> T:
        """In a transaction of its own."""
        with self.store.transaction() as transaction:
            return step(transaction)

    def secret(self, arn: str) -> Secret:
        """The record."""
        found = self.run(lambda transaction: Vault(transaction, self.sealer).by_arn(arn))
        assert found is not None
        return found

    def tasks(self) -> dict[str, Task]:
        """What is put down, by kind of work."""
        return {task.work: task for task in self.run(lambda transaction: transaction.table(Task).all())}

    def labels(self, arn: str) -> dict[str, list[str]]:
        """Versions and their labels, as DescribeSecret tells them."""
        return dict(self("describe_secret", SecretId=arn).get("VersionIdsToStages", {}))


class Context:
    """A task's context over a Desk: the next task of a kind, run in this thread."""

    def __init__(self, desk: Desk, task: Task) -> None:
        self._desk = desk
        self.task = task

    def transaction(self, work: Callable[[Transaction], T]) -> T:
        return self._desk.run(work)

    def now(self) -> float:
        return self._desk.at
