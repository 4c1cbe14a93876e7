"""What is kept of a secret: its properties, its versions with their labels, and the sealed value of each version.

Owns the shapes in the store. Refuses to change anything (`vault`) and to hold a value in clear.

A secret is found by region and name, as callers name it. Its versions are part of it, so that labels move in one
write; values have records of their own, so that reading a list of secrets reads no value.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidegate.control.policies.rules import with_principals
from tidegate.control.store.store import Part, Record

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"

MAX_VERSIONS = 100
MAX_LABELS = 20
MAX_TAGS = 50
MAX_VALUE_BYTES = 65_536
MAX_POLICY_BYTES = 20_480
"""Secrets Manager User Guide, "Secrets Manager quotas"."""


class Version(Part):
    """One version. Times are seconds since 1970."""

    created: float
    labels: tuple[str, ...] = ()
    """Staging labels, sorted."""
    content: Literal["string", "binary"] | None
    """None: a rotation has begun, and its new value is not there yet."""
    accessed: float | None = None
    """The day (00:00 UTC) of the last GetSecretValue."""
    kms_key_id: str = ""
    base: str = ""
    """Of one that a rotation has made: the version that it was made from."""


class RotationRules(Part):
    """RotationRulesType; what is not given is None."""

    days: int | None = None
    duration: int | None = None
    """Hours."""
    expression: str | None = None


class Rotation(Part):
    """How a secret is rotated. Kept when rotation is turned off, as AWS keeps it."""

    enabled: bool
    function: str
    """ARN of the rotation function."""
    rules: RotationRules = RotationRules()
    master_arn: str = ""
    """The secret of the master user, which whoever turned rotation on was allowed to read."""
    address: str = ""
    """HOST:PORT of AWSCURRENT, which whoever turned rotation on or put that value was allowed to name; empty where it
    needed no leave (`rotation_address`)."""
    opens: float | None = None
    """When the next window opens, and closes."""
    closes: float | None = None
    rotated: float | None = None
    """When a rotation last succeeded."""
    failure: str = ""
    """What the last attempt of the rotation under way failed of; empty if none failed."""


class Secret(Record):
    """A secret without its values."""

    kind: ClassVar[str] = "secret"

    region: str
    name: str
    arn: str
    description: str = ""
    kms_key_id: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    policy: str = ""
    """The resource policy, as it was given."""
    policy_ids: dict[str, str] = Field(default_factory=dict)
    """ARN -> unique id of users and roles that it names: of when it was put."""
    created: float
    changed: float
    accessed: float | None = None
    purge_at: float | None = None
    """Set while the secret is scheduled for deletion."""
    versions: dict[str, Version] = Field(default_factory=dict)
    """By version id, in the order in which they were made."""
    previous_valid: bool = False
    """Whether the password of AWSPREVIOUS still logs in to the proxy: true until the grace after a change is over."""
    rotation: Rotation | None = None

    @property
    def key(self) -> str:
        """Region and name: no region has a "/"."""
        return f"{self.region}/{self.name}"

    @property
    def policy_in_force(self) -> str | None:
        """The resource policy as it is judged: another user or role of a name that it knows is somebody else."""
        return with_principals(self.policy, self.policy_ids) or None

    def labelled(self, label: str) -> str | None:
        """The id of the version that has this label; a label is at one version at most."""
        return next((id_ for id_, version in self.versions.items() if label in version.labels), None)


class SecretValue(Record):
    """What one version holds, sealed for its ARN and version."""

    kind: ClassVar[str] = "secret-value"

    arn: str
    version_id: str
    sealed: str = Field(repr=False)

    @property
    def key(self) -> str:
        """ARN and version; a blank joins them, since a secret's name may hold a "/" but no blank."""
        return f"{self.arn} {self.version_id}"
