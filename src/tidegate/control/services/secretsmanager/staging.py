"""UpdateSecretVersionStage: labels moved by hand.

Owns what a caller must say for that, and AWS's words where it was not said. Refuses to leave a secret without
AWSCURRENT (API reference, UpdateSecretVersionStage).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import answers, errors, labels
from tidegate.control.services.secretsmanager.access import Operations
from tidegate.control.services.secretsmanager.records import CURRENT, Secret
from tidegate.control.services.secretsmanager.rotation_address import follow_value


class Staging(Operations):
    """One operation."""

    def update_secret_version_stage(self, call: Call) -> dict[str, Any]:
        """Move, add or remove one label."""
        given = call.parameters
        label = given["VersionStage"]
        vault, secret = self._live(call, {"secretsmanager:VersionStage": label})
        source, target = given.get("RemoveFromVersionId"), given.get("MoveToVersionId")
        _check(secret, label, source, target)
        if target is not None:
            moved = vault.relabel(secret, labels.attach(secret.versions, target, (label,)), call.at)
            follow_value(call, vault, secret, moved)
        elif source is not None:
            vault.relabel(secret, labels.detach(secret.versions, source, label), call.at)
        return answers.identity(secret)


def _check(secret: Secret, label: str, source: str | None, target: str | None) -> None:
    if source is None and target is None:
        raise errors.invalid_parameter("You must specify RemoveFromVersionId or MoveToVersionId.")
    if any(id_ is not None and id_ not in secret.versions for id_ in (source, target)):
        raise errors.no_version()
    holder = secret.labelled(label)
    if source is not None and source != holder:
        raise errors.invalid_parameter(f"Staging label {label} isn't attached to version {source}.")
    if target is None and label == CURRENT:
        raise errors.invalid_parameter(
            f"You can only move staging label {CURRENT} to a different secret version. It can't be completely removed."
        )
    if source is None and holder is not None and holder != target:
        raise errors.invalid_parameter(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to "
            f"version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    if target is not None and label == CURRENT and secret.versions[target].content is None:
        raise errors.invalid_request(f"You can't move staging label {CURRENT} to a version that has no value.")
