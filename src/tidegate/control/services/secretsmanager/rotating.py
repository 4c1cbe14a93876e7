"""RotateSecret and CancelRotateSecret: rotation turned on, begun and turned off.

Owns how a secret's rotation is set up, and that it begins. Refuses to rotate: a task does
(`tidegate.control.rotation`), since a database is asked.

A secret for alternating users names the secret of its master user. Whoever turns rotation on must be allowed to read
that one, and rotation goes on only while the secret names the same: else one could have a password changed by a master
that one may not use. Just so with the server's address (`rotation_address`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import answers, errors, works
from tidegate.control.services.secretsmanager.access import Operations, permitted
from tidegate.control.services.secretsmanager.credentials import CredentialsError, fields_of
from tidegate.control.services.secretsmanager.functions import Strategy, chosen, strategy_of
from tidegate.control.services.secretsmanager.records import CURRENT, Rotation, RotationRules, Secret
from tidegate.control.services.secretsmanager.rotation_address import permitted_rotation
from tidegate.control.services.secretsmanager.schedule import read_rules
from tidegate.control.services.secretsmanager.vault import Vault, pending_rotation

UNFINISHED = "A previous rotation isn't complete. That rotation will be reattempted."
NO_FUNCTION = (
    "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN configured and you "
    "didn't include such an ARN as a parameter in this call."
)


class Rotating(Operations):
    """Operations on rotation."""

    def rotate_secret(self, call: Call) -> dict[str, Any]:
        """Set up rotation, and begin one unless RotateImmediately is false."""
        given = call.parameters
        rules = read_rules(given["RotationRules"]) if "RotationRules" in given else None
        vault, secret = self._live(call, _context(given))
        token = given.get("ClientRequestToken")
        if not token:
            raise errors.invalid_parameter(errors.NO_TOKEN)
        answer = {**answers.identity(secret), "VersionId": token}
        pending = pending_rotation(secret)
        if token in secret.versions and (pending in (None, token)):
            return _same_again(secret, token, answer)
        if pending is not None:
            raise errors.invalid_request(UNFINISHED)
        rotation = self._set_up(call, vault, secret, rules)
        secret = vault.plan(secret, rotation, call.at).model_copy(update={"changed": call.at})
        if given.get("RotateImmediately", True):
            vault.begin_rotation(secret, secret.rotation or rotation, token, call.at)
        else:
            vault.save(secret)
            vault.put_down(works.test_rotation(secret.arn, call.at))
        return answer

    def cancel_rotate_secret(self, call: Call) -> dict[str, Any]:
        """Turn rotation off. What a rotation under way has done stays, AWSPENDING included, as AWS leaves it."""
        vault, secret = self._live(call)
        if secret.rotation is None:
            raise errors.invalid_request(NO_FUNCTION)
        for work in (works.ROTATE, works.TEST_ROTATION):
            vault.called_off(work, secret.arn)
        stopped = secret.rotation.model_copy(update={"enabled": False})
        secret = vault.save(vault.plan(secret, stopped, call.at).model_copy(update={"changed": call.at}))
        pending = pending_rotation(secret)
        return answers.without_nothing({**answers.identity(secret), "VersionId": pending})

    def _set_up(self, call: Call, vault: Vault, secret: Secret, rules: RotationRules | None) -> Rotation:
        if secret.labelled(CURRENT) is None:
            raise errors.invalid_request("You can't rotate a secret that has no value.")
        try:
            fields = fields_of(vault, secret, CURRENT)
        except CredentialsError:
            fields = None
        old = secret.rotation
        kept = None if old is None else old.function
        function = chosen(call, call.parameters.get("RotationLambdaARN"), kept, fields)
        master = ""
        if strategy_of(function) is Strategy.MULTI_USER:
            master_id = (fields or {}).get("masterarn")
            if not isinstance(master_id, str) or not master_id:
                raise errors.invalid_request(
                    "The secret's value has no key \"masterarn\" with the master secret's ARN."
                )
            master = permitted(call, vault, master_id, "secretsmanager:GetSecretValue", {}).arn
        rotation = Rotation(
            enabled=True,
            function=function,
            rules=rules or (RotationRules() if old is None else old.rules),
            master_arn=master,
            rotated=None if old is None else old.rotated,
        )
        return permitted_rotation(call, vault, secret, rotation)


def _context(given: dict[str, Any]) -> dict[str, Any]:
    immediately = given.get("RotateImmediately", True)
    context = {
        "secretsmanager:RotateImmediately": "true" if immediately else "false",
        "secretsmanager:ModifyRotationRules": "true" if "RotationRules" in given else "false",
    }
    if given.get("RotationLambdaARN"):
        context["secretsmanager:RotationLambdaARN"] = given["RotationLambdaARN"]
    return context


def _same_again(secret: Secret, token: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The same call once more: fine while that rotation goes on or has just become AWSCURRENT."""
    if token in (pending_rotation(secret), secret.labelled(CURRENT)):
        return answer
    raise errors.token_in_use(token, secret.arn)
