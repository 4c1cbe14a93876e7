"""DeleteSecret and RestoreSecret: the end of a secret, and the way back.

Owns recovery windows. Refuses to delete at once unless that is asked for: a task does it when the window ends.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.secretsmanager import answers, errors, works
from tidegate.control.services.secretsmanager.access import UNKNOWN_END, Operations, arn_of
from tidegate.control.services.secretsmanager.names import new_suffix, parse
from tidegate.control.services.secretsmanager.schedule import DAY
from tidegate.control.services.secretsmanager.vault import pending_rotation

MIN_DAYS = 7
MAX_DAYS = 30
"""Days of a recovery window; the longest is the default."""


class Deleting(Operations):
    """The end of a secret, and the way back."""

    def delete_secret(self, call: Call) -> dict[str, Any]:
        """Schedule deletion, or delete at once. Deleting at once what is not there is no error, as AWS has it."""
        given = call.parameters
        force, days = given.get("ForceDeleteWithoutRecovery", False), given.get("RecoveryWindowInDays")
        if force and days is not None:
            raise errors.invalid_parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            )
        if days is not None and not MIN_DAYS <= days <= MAX_DAYS:
            raise errors.invalid_parameter(
                f"The RecoveryWindowInDays value must be between {MIN_DAYS} and {MAX_DAYS} days (inclusive)."
            )
        context: dict[str, Any] = {"secretsmanager:ForceDeleteWithoutRecovery": "true" if force else "false"}
        if not force:
            context["secretsmanager:RecoveryWindowInDays"] = str(days or MAX_DAYS)
        return self._at_once(call, context) if force else self._later(call, context, days or MAX_DAYS)

    def restore_secret(self, call: Call) -> dict[str, Any]:
        """Call off a scheduled deletion; no error where none is."""
        vault, secret = self._found(call)
        if secret.purge_at is not None:
            secret = secret.model_copy(update={"purge_at": None, "changed": call.at})
            vault.called_off(works.PURGE, secret.arn)
            pending = pending_rotation(secret)
            if pending is not None and secret.rotation is not None:
                vault.put_down(works.rotate(secret.arn, pending, call.at))
            if secret.rotation is not None and secret.rotation.enabled:
                secret = vault.plan(secret, secret.rotation, call.at)
            vault.save(secret)
        return answers.identity(secret)

    def _later(self, call: Call, context: dict[str, Any], days: int) -> dict[str, Any]:
        vault, secret = self._found(call, context)
        if secret.purge_at is not None:
            raise errors.invalid_request(
                "You tried to perform the operation on a secret that's currently marked deleted."
            )
        purge_at = call.at + days * DAY
        vault.save(secret.model_copy(update={"purge_at": purge_at, "changed": call.at}))
        for work in (works.ROTATE, works.SCHEDULED_ROTATION, works.TEST_ROTATION):
            vault.called_off(work, secret.arn)
        vault.put_down(works.purge(secret.arn, purge_at))
        return {**answers.identity(secret), "DeletionDate": answers.moment(purge_at)}

    def _at_once(self, call: Call, context: dict[str, Any]) -> dict[str, Any]:
        try:
            vault, secret = self._found(call, context)
        except AwsError as error:
            if error.code != errors.not_found().code:
                raise
            reference = parse(call.parameters["SecretId"])
            arn = arn_of(call, reference).replace(UNKNOWN_END, f"-{new_suffix()}")
            absent = {"ARN": arn, "Name": reference.name}
            return {**absent, "DeletionDate": answers.moment(call.at)}
        vault.remove(secret)
        return {**answers.identity(secret), "DeletionDate": answers.moment(call.at)}
