"""Names and ARNs of secrets: what a caller's SecretId means.

Owns their forms. Refuses to look whether such a secret exists (`access`).

An ARN ends with a hyphen and six random characters, so that a new secret of an old name has an ARN that no policy knows
yet. AWS also takes ARNs without that ending, but then takes the end of a name such as "a-b1c2d3" for it (API reference,
CreateSecret); so do we.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

from tidegate.control.services.secretsmanager import errors

SUFFIX_LENGTH = 6
_SUFFIX_CHARACTERS = string.ascii_letters + string.digits
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A SecretId taken apart. region and account are empty for a plain name: the caller's own."""

    told: str
    """As the caller wrote it: what errors repeat."""
    name: str
    arn: str = ""
    """The complete ARN, if it was one."""
    region: str = ""
    account: str = ""


def check_name(name: str) -> None:
    """AwsError (ValidationException) for what no secret can be called."""
    if not _NAME.fullmatch(name):
        raise errors.invalid_name()


def parse(secret_id: str) -> Reference:
    """What a SecretId names: a name, an ARN, or an ARN without its random end. AwsError if it can't be any."""
    if not secret_id.startswith("arn:"):
        check_name(secret_id)
        return Reference(secret_id, secret_id)
    parts = secret_id.split(":", 6)
    if len(parts) != 7 or parts[2] != "secretsmanager" or parts[5] != "secret":
        raise errors.invalid_name()
    resource = parts[6]
    check_name(resource)
    complete = bool(_SUFFIX.fullmatch(resource[-SUFFIX_LENGTH - 1 :])) and len(resource) > SUFFIX_LENGTH + 1
    name = resource[: -SUFFIX_LENGTH - 1] if complete else resource
    return Reference(secret_id, name, secret_id if complete else "", parts[3], parts[4])


def new_suffix() -> str:
    """Six random letters and digits."""
    return "".join(secrets.choice(_SUFFIX_CHARACTERS) for _ in range(SUFFIX_LENGTH))
