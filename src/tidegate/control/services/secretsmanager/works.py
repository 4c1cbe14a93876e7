"""Tasks of secrets: their names, and when they are due.

Owns what `tasks.Task` records of this service say. Refuses to do the work: `chores` and `tidegate.control.rotation` do.
"""

from __future__ import annotations

from tidegate.control.tasks import Task

GRACE_SECONDS = 15 * 60
"""How long the password of AWSPREVIOUS still logs in to the proxy after AWSCURRENT has moved: three times what AWS's
Lambda extension keeps a secret for by default (User Guide, SECRETS_MANAGER_TTL: 300 seconds)."""

PURGE = "purge-secret"
END_GRACE = "end-secret-grace"
ROTATE = "rotate-secret"
SCHEDULED_ROTATION = "scheduled-secret-rotation"
TEST_ROTATION = "test-secret-rotation"


def purge(arn: str, at: float) -> Task:
    """Delete the secret for good at the end of its recovery window."""
    return Task(work=PURGE, subject=arn, due=at)


def end_grace(arn: str, changed_at: float) -> Task:
    """Stop the previous password from logging in to the proxy."""
    return Task(work=END_GRACE, subject=arn, due=changed_at + GRACE_SECONDS)


def rotate(arn: str, version_id: str, at: float) -> Task:
    """Carry the rotation to that version through."""
    return Task(work=ROTATE, subject=arn, due=at, arguments={"version_id": version_id})


def scheduled_rotation(arn: str, opens: float) -> Task:
    """Begin a rotation when its window opens."""
    return Task(work=SCHEDULED_ROTATION, subject=arn, due=opens)


def test_rotation(arn: str, at: float) -> Task:
    """See whether a rotation could log in, without changing anything."""
    return Task(work=TEST_ROTATION, subject=arn, due=at)


ALL = (PURGE, END_GRACE, ROTATE, SCHEDULED_ROTATION, TEST_ROTATION)
"""What may be put down for a secret."""
