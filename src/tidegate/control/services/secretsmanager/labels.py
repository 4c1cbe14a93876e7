"""Staging labels: which version has which, and what else moves when one moves.

Owns the rules (User Guide, "What's in a Secrets Manager secret", and answers recorded from AWS): a label is at one
version at most; the version that AWSCURRENT leaves becomes AWSPREVIOUS, and AWSPENDING does not stay behind on it.
Refuses to know who asks, and to write anything: versions in, versions out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.records import CURRENT, MAX_LABELS, PENDING, PREVIOUS, Version

Versions = dict[str, Version]


def attach(versions: Mapping[str, Version], version_id: str, labels: Iterable[str]) -> Versions:
    """Put labels on a version, from wherever they are. AwsError (LimitExceededException) if it then has over 20."""
    moved = dict(versions)
    for label in labels:
        left = next((id_ for id_, version in moved.items() if label in version.labels), None)
        if left == version_id:
            continue
        if left is not None:
            moved = detach(moved, left, label)
        moved = _with(moved, version_id, label)
        if label == CURRENT and left is not None:
            moved = _make_previous(moved, left)
    if len(moved[version_id].labels) > MAX_LABELS:
        raise errors.limit_exceeded(f"A version of a secret can have at most {MAX_LABELS} staging labels.")
    return moved


def detach(versions: Mapping[str, Version], version_id: str, label: str) -> Versions:
    """Take a label from a version."""
    version = versions[version_id]
    kept = tuple(other for other in version.labels if other != label)
    return {**versions, version_id: version.model_copy(update={"labels": kept})}


def _make_previous(versions: Versions, left: str) -> Versions:
    had_it = next((id_ for id_, version in versions.items() if PREVIOUS in version.labels), None)
    if had_it is not None:
        versions = detach(versions, had_it, PREVIOUS)
    return _with(detach(versions, left, PENDING), left, PREVIOUS)


def _with(versions: Versions, version_id: str, label: str) -> Versions:
    version = versions[version_id]
    return {**versions, version_id: version.model_copy(update={"labels": tuple(sorted({*version.labels, label}))})}
