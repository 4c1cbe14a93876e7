"""What IAM keeps: users, groups, roles, policies, instance profiles, keys and sessions.

Owns these records and their ARNs. Refuses their limits and rules (the operations' modules).

Names are unique without regard to case (IAM User Guide, "IAM identifiers"), so a key is a name in lower case; a look-up
still wants the name as it was given.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from tidegate.control.policies.rules import with_principals
from tidegate.control.store.store import Record

PARTITION = "aws"
TEMPORARY = "ASIA"
"""What the ids of temporary access keys begin with."""
SERVICE_LINKED_PATH = "/aws-service-role/"


class Entity(Record):
    """What has a name, a path and a unique id."""

    noun: ClassVar[str]
    """In messages: "user"."""
    arn_type: ClassVar[str]
    """In ARNs: "user"."""
    id_prefix: ClassVar[str]

    name: str
    path: str = "/"
    id: str
    created: float
    """Seconds since 1970, as are all times in these records."""

    @property
    def key(self) -> str:
        """Its name without regard to case."""
        return self.name.lower()

    def arn(self, account: str) -> str:
        """arn:aws:iam::ACCOUNT:user/PATH/NAME."""
        return entity_arn(account, type(self), self.name, self.path)


def entity_arn(account: str, record: type[Entity], name: str, path: str = "/") -> str:
    """The ARN of an entity, there or not."""
    return f"arn:{PARTITION}:iam::{account}:{record.arn_type}{path}{name}"


class Policied(Entity):
    """What policies hang on."""

    inline: dict[str, str] = Field(default_factory=dict)
    """Documents by their names."""
    attached: tuple[str, ...] = ()
    """ARNs of managed policies."""


class Bounded(Policied):
    """What may have a permissions boundary, and tags."""

    boundary: str | None = None
    """ARN of a managed policy."""
    tags: dict[str, str] = Field(default_factory=dict)


class User(Bounded):
    """A user."""

    kind: ClassVar[str] = "iam.user"
    noun: ClassVar[str] = "user"
    arn_type: ClassVar[str] = "user"
    id_prefix: ClassVar[str] = "AIDA"

    groups: tuple[str, ...] = ()
    """Names of groups."""
    access_keys: tuple[str, ...] = ()
    """Ids of its AccessKey records."""


class Group(Policied):
    """A group of users, who know that they are in it."""

    kind: ClassVar[str] = "iam.group"
    noun: ClassVar[str] = "group"
    arn_type: ClassVar[str] = "group"
    id_prefix: ClassVar[str] = "AGPA"


class Role(Bounded):
    """A role."""

    kind: ClassVar[str] = "iam.role"
    noun: ClassVar[str] = "role"
    arn_type: ClassVar[str] = "role"
    id_prefix: ClassVar[str] = "AROA"

    trust: str
    """The document that says who may assume it, as it was given."""
    trust_ids: dict[str, str] = Field(default_factory=dict)
    """ARN -> unique id of users and roles that it names: of when it was saved."""
    description: str | None = None
    max_session: int = 3600
    """Seconds."""

    @property
    def trust_in_force(self) -> str:
        """The trust policy as it is judged: another user or role of a name that it knows is somebody else."""
        return with_principals(self.trust, self.trust_ids)

    @property
    def is_service_linked(self) -> bool:
        """Whether it belongs to a service, and only that may change it."""
        return self.path.startswith(SERVICE_LINKED_PATH)


class InstanceProfile(Entity):
    """A role's wrapping for EC2."""

    kind: ClassVar[str] = "iam.instance_profile"
    noun: ClassVar[str] = "instance profile"
    arn_type: ClassVar[str] = "instance-profile"
    id_prefix: ClassVar[str] = "AIPA"

    role: str | None = None
    """A role's name."""
    tags: dict[str, str] = Field(default_factory=dict)


class Version(Record):
    """A version of a managed policy; kept within it."""

    number: int
    document: str
    created: float


class ManagedPolicy(Entity):
    """A policy of the customer's own."""

    kind: ClassVar[str] = "iam.policy"
    noun: ClassVar[str] = "policy"
    arn_type: ClassVar[str] = "policy"
    id_prefix: ClassVar[str] = "ANPA"

    description: str | None = None
    versions: tuple[Version, ...]
    """Oldest first."""
    default: int
    """The number of the version in force."""
    next: int
    """Numbers are never used again."""
    updated: float
    tags: dict[str, str] = Field(default_factory=dict)

    def version(self, number: int) -> Version | None:
        """The version of that number."""
        return next((version for version in self.versions if version.number == number), None)

    @property
    def document(self) -> str:
        """The text in force."""
        found = self.version(self.default)
        assert found is not None, "the default version can't be deleted"
        return found.document


class AccessKey(Record):
    """A user's long-term key. The secret is kept as it is: SigV4 can't be checked without it."""

    kind: ClassVar[str] = "iam.access_key"

    id: str
    secret: str = Field(repr=False)
    user: str
    """A user's name."""
    active: bool = True
    created: float

    @property
    def key(self) -> str:
        """The access key's id."""
        return self.id


class Holder(StrEnum):
    """Whose session temporary keys are."""

    ROLE = "role"
    USER = "user"
    FEDERATED = "federated"
    ROOT = "root"


class Session(Record):
    """Temporary keys, which sts has made."""

    kind: ClassVar[str] = "iam.session"

    id: str
    """The access key: ASIA..."""
    secret: str = Field(repr=False)
    token: str = Field(repr=False)
    created: float
    expires: float
    holder: Holder
    name: str
    """Of the role or user that it comes from; empty for root."""
    holder_id: str
    """That one's unique id: another of the same name is somebody else."""
    made_by: str = ""
    """Unique id of the user, or number of the account, whose long-term key has asked for it, be it by sessions of roles
    in between."""
    arn: str
    """As the caller is known: arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION."""
    user_id: str
    """aws:userid."""
    policies: tuple[str, ...] = ()
    """Documents of session policies."""
    policy_arns: tuple[str, ...] = ()
    """Managed policies that are session policies."""
    tags: dict[str, str] = Field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    """Keys of tags that a chained session inherits."""
    source_identity: str | None = None
    external_id: str | None = None

    @property
    def key(self) -> str:
        """The access key."""
        return self.id

    @property
    def is_limited(self) -> bool:
        """Whether session policies limit it. A federated user may nothing that they don't say."""
        return self.holder is Holder.FEDERATED or bool(self.policies or self.policy_arns)


class LastUse(Record):
    """When a long-term access key or a role was last used, roughly: at most one is written in a quarter of an hour."""

    kind: ClassVar[str] = "iam.last_use"

    subject: str
    """An access key's id, or a role's."""
    at: float
    service: str
    region: str

    @property
    def key(self) -> str:
        """The subject."""
        return self.subject


class Alias(Record):
    """The account's alias."""

    kind: ClassVar[str] = "iam.alias"

    name: str

    @property
    def key(self) -> str:
        """There is but one."""
        return "alias"


class Deletion(Record):
    """A service-linked role that was deleted: what GetServiceLinkedRoleDeletionStatus is asked about."""

    kind: ClassVar[str] = "iam.deletion"

    id: str
    at: float

    @property
    def key(self) -> str:
        """The task's id."""
        return self.id
