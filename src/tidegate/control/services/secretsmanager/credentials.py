"""Database credentials that a secret holds: what RDS reads for a proxy, and rotation for the database.

Owns the secret's JSON (User Guide, "JSON structure of AWS Secrets Manager secrets"), and which passwords count.
Refuses to judge who may read it: whoever calls has asked (`desired`: the proxy's role).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.control.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Secret
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction

CLONE_SUFFIX = "_clone"
"""Alternating-users rotation goes between NAME and NAME_clone, as AWS's function does."""

DEFAULT_PORT = 5432

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,255}")
"""Names and addresses. Not folders of sockets, and not lists."""


class CredentialsError(Exception):
    """A secret that is no use as credentials; the text says why, and nothing of its value."""


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """A database user, and every password that may be valid for it, the likeliest first."""

    username: str
    passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCredentials:
    """What a secret says of its user. `pending` and `previous` are of the same user, and differ from `current`."""

    arn: str
    username: str
    current: str = field(repr=False)
    pending: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)
    alternate: DatabaseLogin | None = None
    """The other user of an alternating-users rotation: the database goes on taking its password until the next one."""

    @property
    def passwords(self) -> tuple[str, ...]:
        """All that may be valid for `username`, the likeliest first."""
        return tuple(one for one in (self.current, self.pending, self.previous) if one is not None)


def credentials_of(transaction: Transaction, sealer: Sealer, arn: str) -> SecretCredentials:
    """The credentials in the secret of that ARN (complete, or without its random end).

    CredentialsError if there is no such secret, it is scheduled for deletion, or its value is not JSON with the keys
    `username` and `password`; AwsError (DecryptionFailure) if its value does not open.
    """
    vault = Vault(transaction, sealer)
    secret = secret_at(vault, arn)
    if secret is None:
        raise CredentialsError("the secret does not exist")
    if secret.purge_at is not None:
        raise CredentialsError("the secret is scheduled for deletion")
    username, current = login_in(fields_of(vault, secret, CURRENT))
    others = [_login_or_none(vault, secret, label) for label in _labels_that_count(secret)]
    pending, previous = (_unless_same(login, username, current) for login in others)
    return SecretCredentials(
        arn=secret.arn,
        username=username,
        current=current,
        pending=pending,
        previous=previous if previous != pending else None,
        alternate=_alternate(vault, secret, username),
    )


def fields_of(vault: Vault, secret: Secret, label: str) -> dict[str, Any]:
    """The JSON object that the version with this label holds. CredentialsError if there is none."""
    version_id = secret.labelled(label)
    value = None if version_id is None else vault.value(secret, version_id)
    if value is None:
        raise CredentialsError(f"the secret has no value for staging label {label}")
    if value.text is None:
        raise CredentialsError("the secret's value is binary, not JSON")
    try:
        fields = json.loads(value.text)
    except (ValueError, RecursionError):
        raise CredentialsError("the secret's value is not JSON") from None
    if not isinstance(fields, dict):
        raise CredentialsError("the secret's value is not a JSON object")
    return fields


def login_in(fields: dict[str, Any]) -> tuple[str, str]:
    """username and password. CredentialsError if one is missing or is not text that a database can be given."""
    username, password = fields.get("username"), fields.get("password")
    for name, value in (("username", username), ("password", password)):
        if not isinstance(value, str) or not value:
            raise CredentialsError(f'the secret\'s value has no key "{name}" with text in it')
        if "\0" in value or not _is_unicode(value):
            raise CredentialsError(f'the secret\'s "{name}" has characters that no database takes')
    return str(username), str(password)


def place_in(fields: Mapping[str, Any]) -> tuple[str, int]:
    """host and port. CredentialsError if they are no address of a server."""
    host, given = fields.get("host"), fields.get("port")
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise CredentialsError("the secret's value has no key \"host\" with a host's name or address")
    text = str(DEFAULT_PORT if given is None or given == "" else given)
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise CredentialsError('the secret\'s "port" is not a port')
    return host, int(text)


def secret_at(vault: Vault, arn: str) -> Secret | None:
    """The secret of an ARN that is complete, or lacks its random end."""
    complete = vault.by_arn(arn)
    parts = arn.split(":", 6)
    if complete is not None or len(parts) != 7:
        return complete
    by_name = vault.by_name(parts[3], parts[6])
    return by_name if by_name is not None and by_name.arn[:-7] == arn else None


def alternate_of(username: str) -> str:
    """NAME_clone for NAME, and NAME for NAME_clone."""
    return username.removesuffix(CLONE_SUFFIX) if username.endswith(CLONE_SUFFIX) else username + CLONE_SUFFIX


def _labels_that_count(secret: Secret) -> tuple[str | None, str | None]:
    pending = PENDING if secret.labelled(PENDING) != secret.labelled(CURRENT) else None
    return pending, PREVIOUS if secret.previous_valid else None


def _login_or_none(vault: Vault, secret: Secret, label: str | None) -> tuple[str, str] | None:
    """A version beside the current one may hold anything or, when a rotation has just begun, nothing."""
    if label is None:
        return None
    try:
        return login_in(fields_of(vault, secret, label))
    except CredentialsError:
        return None


def _unless_same(login: tuple[str, str] | None, username: str, current: str) -> str | None:
    return login[1] if login is not None and login[0] == username and login[1] != current else None


def _alternate(vault: Vault, secret: Secret, username: str) -> DatabaseLogin | None:
    logins = (_login_or_none(vault, secret, label) for label in (PENDING, PREVIOUS))
    passwords = [login[1] for login in logins if login is not None and login[0] == alternate_of(username)]
    return DatabaseLogin(alternate_of(username), tuple(dict.fromkeys(passwords))) if passwords else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
