"""The tasks of rotation: a rotation, the beginning of a scheduled one, and the test of a rotation's set-up.

Owns what becomes of a failure: it is kept with the secret, told in the log, and the task is run again later
(`tasks`), for as long as the rotation is wanted. Refuses to give up by itself: CancelRotateSecret does, as with AWS.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from tidegate.control.errors import AwsError
from tidegate.control.rotation import databases, steps
from tidegate.control.rotation.databases import LoginError, StatementError
from tidegate.control.rotation.steps import BegunAnew, Job, Superseded
from tidegate.control.rotation.strategies import NotAllowed
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.credentials import CredentialsError
from tidegate.control.services.secretsmanager.records import CURRENT
from tidegate.control.services.secretsmanager.vault import Vault, pending_rotation
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import Handler, TaskContext

LOG = logging.getLogger("tidegate.control.rotation")

FAILURES = (AwsError, CredentialsError, LoginError, NotAllowed, StatementError)


class RotationError(Exception):
    """An attempt failed; the text says in which step and why, without any secret."""


def handlers(sealer: Sealer, published: Callable[[str], None] = lambda _: None) -> dict[str, Handler]:
    """The handlers of this package, by kind of work.

    published: waits until the data plane knows what was committed of a secret (its ARN). Without it a server connection
    that is opened in the milliseconds between the database's change and the data plane's may be refused once.
    """
    return {
        works.ROTATE: lambda context: rotate(context, sealer, published),
        works.SCHEDULED_ROTATION: lambda context: begin_scheduled(context, sealer),
        works.TEST_ROTATION: lambda context: test(context, sealer),
    }


def rotate(context: TaskContext, sealer: Sealer, published: Callable[[str], None]) -> None:
    """Carry one rotation through. RotationError if it has to be tried again."""
    arn = context.task.subject
    job = Job(context, sealer, arn, str(context.task.arguments["version_id"]), published)
    step = ""
    try:
        for step in steps.in_order(job):
            LOG.debug("rotation of %s: %s", arn, step)
    except BegunAnew as outdated:
        LOG.info("rotation of %s begins anew, from the present AWSCURRENT: %s", arn, outdated)
        return
    except Superseded:
        LOG.info("rotation of %s is not wanted any more (%s)", arn, step)
        return
    except FAILURES as error:
        reason = f"{step}: {error}"
        _note_failure(context, sealer, reason)
        LOG.warning("rotation of %s failed, attempt %d: %s", arn, context.task.attempts + 1, reason)
        raise RotationError(reason) from None
    LOG.info("rotation of %s is done: version %s is AWSCURRENT", arn, job.version_id)


def begin_scheduled(context: TaskContext, sealer: Sealer) -> None:
    """Begin the rotation whose window has opened, or have one that was left unfinished tried again."""
    arn, now = context.task.subject, context.now()

    def step(transaction: Transaction) -> None:
        vault = Vault(transaction, sealer)
        secret = vault.by_arn(arn)
        rotation = None if secret is None or secret.purge_at is not None else secret.rotation
        if secret is None or rotation is None or not rotation.enabled or (rotation.opens or now) > now:
            return
        pending = pending_rotation(secret)
        if pending is not None:
            vault.put_down(works.rotate(arn, pending, now))
        elif secret.labelled(CURRENT) is not None:
            vault.begin_rotation(secret, rotation, str(uuid.uuid4()), now)

    context.transaction(step)


def test(context: TaskContext, sealer: Sealer) -> None:
    """See whether rotation could log in; what stands in its way is kept with the secret and told in the log."""
    arn, reason = context.task.subject, ""
    try:
        account = context.transaction(lambda transaction: steps.current_account(transaction, sealer, arn))
        if account is None:
            return
        databases.try_out(account)
    except FAILURES as error:
        reason = f"testSecret: {error}"
        LOG.warning("rotation of %s would fail: %s", arn, reason)
    _note_failure(context, sealer, reason)


def _note_failure(context: TaskContext, sealer: Sealer, reason: str) -> None:
    def step(transaction: Transaction) -> None:
        vault = Vault(transaction, sealer)
        secret = vault.by_arn(context.task.subject)
        if secret is None or secret.rotation is None or secret.rotation.failure == reason:
            return
        vault.save(secret.model_copy(update={"rotation": secret.rotation.model_copy(update={"failure": reason})}))

    context.transaction(step)
