"""Secrets in the store: finding them, adding versions, moving labels, and all that goes along with that.

Owns what must change together: labels, the value that a version holds, the grace of a previous password, the next
rotation, and the tasks for these. Refuses to ask who may (`access`), and to hold a value longer than a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tidegate.control.services.secretsmanager import errors, labels, works
from tidegate.control.services.secretsmanager.records import (
    CURRENT,
    MAX_VALUE_BYTES,
    MAX_VERSIONS,
    PENDING,
    PREVIOUS,
    Rotation,
    Secret,
    SecretValue,
    Version,
)
from tidegate.control.services.secretsmanager.schedule import next_window
from tidegate.control.store.sealed import Sealer, UnsealError
from tidegate.control.store.store import Transaction
from tidegate.control.tasks import Task


@dataclass(frozen=True, slots=True)
class Value:
    """What a version holds: text or bytes."""

    content: Literal["string", "binary"]
    octets: bytes = field(repr=False)

    @staticmethod
    def of_text(text: str) -> Value:
        """A SecretString. AwsError (InvalidParameterException) if it is no Unicode text or over 65,536 bytes."""
        try:
            return _checked(Value("string", text.encode("utf-8")))
        except UnicodeEncodeError:
            raise errors.invalid_parameter("The SecretString is not valid Unicode text.") from None

    @staticmethod
    def of_bytes(octets: bytes) -> Value:
        """A SecretBinary. AwsError (InvalidParameterException) over 65,536 bytes."""
        return _checked(Value("binary", octets))

    @property
    def text(self) -> str | None:
        """The SecretString; None for a SecretBinary."""
        return self.octets.decode("utf-8") if self.content == "string" else None


def _checked(value: Value) -> Value:
    if not 1 <= len(value.octets) <= MAX_VALUE_BYTES:
        raise errors.invalid_parameter(f"A secret value must have between 1 and {MAX_VALUE_BYTES} bytes.")
    return value


class Vault:
    """The secrets, within one transaction."""

    def __init__(self, transaction: Transaction, sealer: Sealer) -> None:
        self._transaction = transaction
        self._sealer = sealer
        self._secrets = transaction.table(Secret)
        self._values = transaction.table(SecretValue)
        self._tasks = transaction.table(Task)

    def by_name(self, region: str, name: str) -> Secret | None:
        """The secret of that name."""
        return self._secrets.get(f"{region}/{name}")

    def by_arn(self, arn: str) -> Secret | None:
        """The secret of that complete ARN."""
        parts = arn.split(":", 6)
        if len(parts) != 7:
            return None
        found = self.by_name(parts[3], parts[6][:-7])
        return found if found is not None and found.arn == arn else None

    def all(self, region: str) -> list[Secret]:
        """All secrets of a region, by name."""
        return self._secrets.all(f"{region}/")

    def save(self, secret: Secret) -> Secret:
        """Keep it as it is now; returns it."""
        self._secrets.put(secret)
        return secret

    def put_down(self, task: Task) -> None:
        """Have it done when it is due."""
        self._tasks.put(task)

    def called_off(self, work: str, arn: str) -> None:
        """Have it not done."""
        self._tasks.delete(f"{work}/{arn}")

    def value(self, secret: Secret, version_id: str) -> Value | None:
        """What a version holds; None if there is no such version, or nothing in it. AwsError (DecryptionFailure)."""
        version = secret.versions.get(version_id)
        kept = self._values.get(_value_key(secret.arn, version_id))
        if version is None or version.content is None or kept is None:
            return None
        try:
            return Value(version.content, self._sealer.open(kept.sealed, _context(secret.arn, version_id)))
        except UnsealError:
            raise errors.decryption_failure() from None

    def add_version(
        self,
        secret: Secret,
        version_id: str,
        value: Value | None,
        given_labels: Iterable[str],
        at: float,
        base: str = "",
    ) -> Secret:
        """Make a version, or fill one that has nothing in it yet, and give it labels. Saved.

        base: the version that a rotation has made it from. A secret's first version becomes AWSCURRENT, whatever labels
        are given. AwsError (LimitExceededException).
        """
        old = secret.versions.get(version_id)
        version = Version(
            created=at if old is None else old.created,
            labels=() if old is None else old.labels,
            content=None if value is None else value.content,
            kms_key_id=secret.kms_key_id,
            base=base,
        )
        if value is not None:
            sealed = self._sealer.seal(value.octets, _context(secret.arn, version_id))
            self._values.put(SecretValue(arn=secret.arn, version_id=version_id, sealed=sealed))
        grown = secret.model_copy(update={"versions": {**secret.versions, version_id: version}})
        wanted = list(given_labels)
        if secret.labelled(CURRENT) is None and value is not None and CURRENT not in wanted:
            wanted.append(CURRENT)
        return self.relabel(grown, labels.attach(grown.versions, version_id, wanted), at)

    def relabel(self, secret: Secret, versions: Mapping[str, Version], at: float) -> Secret:
        """Give the secret these versions, with all that follows where AWSCURRENT has moved. Saved."""
        before, renewed = (
            secret.labelled(CURRENT),
            secret.model_copy(update={"versions": dict(versions), "changed": at}),
        )
        after = renewed.labelled(CURRENT)
        if after != before and before is not None:
            renewed = renewed.model_copy(update={"previous_valid": renewed.labelled(PREVIOUS) is not None})
            self.put_down(works.end_grace(secret.arn, at))
        if after != before and renewed.rotation is not None:
            renewed = self.plan(renewed, renewed.rotation, at)
        return self.save(self._pruned(renewed))

    def plan(self, secret: Secret, rotation: Rotation, at: float) -> Secret:
        """Set the next window of rotation, counted from now, and the task for it. Not saved."""
        window = next_window(rotation.rules, at, at) if rotation.enabled else None
        if window is None:
            self.called_off(works.SCHEDULED_ROTATION, secret.arn)
        else:
            self.put_down(works.scheduled_rotation(secret.arn, window.opens))
        opens, closes = (None, None) if window is None else (window.opens, window.closes)
        return secret.model_copy(update={"rotation": rotation.model_copy(update={"opens": opens, "closes": closes})})

    def begin_rotation(self, secret: Secret, rotation: Rotation, version_id: str, at: float) -> Secret:
        """Make the empty AWSPENDING version that a rotation is to fill, and the task for that. Saved."""
        secret = secret.model_copy(update={"rotation": rotation.model_copy(update={"failure": ""})})
        secret = self.add_version(secret, version_id, None, (PENDING,), at)
        self.put_down(works.rotate(secret.arn, version_id, at))
        return secret

    def remove(self, secret: Secret) -> None:
        """Delete it for good: its values, and what was still to be done with it."""
        self._secrets.delete(secret.key)
        for version_id in secret.versions:
            self._values.delete(_value_key(secret.arn, version_id))
        for work in works.ALL:
            self.called_off(work, secret.arn)

    def _pruned(self, secret: Secret) -> Secret:
        """Drop the oldest versions without labels where there are over 100. AWS keeps those of the last day besides,
        and refuses to make more; here a new version always finds room."""
        over = len(secret.versions) - MAX_VERSIONS
        if over <= 0:
            return secret
        unlabelled = [id_ for id_, version in secret.versions.items() if not version.labels]
        if len(unlabelled) < over:
            raise errors.limit_exceeded(f"A secret can have at most {MAX_VERSIONS} versions with staging labels.")
        dropped = set(unlabelled[:over])
        for version_id in dropped:
            self._values.delete(_value_key(secret.arn, version_id))
        kept = {id_: version for id_, version in secret.versions.items() if id_ not in dropped}
        return secret.model_copy(update={"versions": kept})


def pending_rotation(secret: Secret) -> str | None:
    """The version that a rotation under way is making; None if none is (API reference, RotateSecret)."""
    pending = secret.labelled(PENDING)
    return None if pending is None or pending == secret.labelled(CURRENT) else pending


def _value_key(arn: str, version_id: str) -> str:
    return SecretValue(arn=arn, version_id=version_id, sealed="").key


def _context(arn: str, version_id: str) -> bytes:
    return f"{arn} {version_id}".encode("utf-8", "surrogatepass")
