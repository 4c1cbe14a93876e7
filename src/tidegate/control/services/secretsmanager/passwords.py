"""GetRandomPassword, and the passwords that rotation makes.

Owns which characters a password is made of. Refuses any other source of chance than the system's (`secrets`).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.access import Operations

DEFAULT_LENGTH = 32
MAX_LENGTH = 4096

_TYPES = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


class Passwords(Operations):
    """One operation."""

    def get_random_password(self, call: Call) -> dict[str, Any]:
        """A password that nobody keeps."""
        call.require("secretsmanager:GetRandomPassword", "*")
        return {"RandomPassword": random_password(call.parameters)}


def random_password(wanted: Mapping[str, Any]) -> str:
    """A password as GetRandomPassword's parameters describe it.

    AwsError (InvalidParameterException) where no such password can be.
    """
    length = wanted.get("PasswordLength", DEFAULT_LENGTH)
    if not 1 <= length <= MAX_LENGTH:
        raise errors.invalid_parameter(f"PasswordLength must be between 1 and {MAX_LENGTH}.")
    types = _types(wanted)
    if not types:
        raise errors.invalid_parameter("The password can't be generated: every character is excluded.")
    alphabet = "".join(types)
    required = types if wanted.get("RequireEachIncludedType", True) else []
    if length < len(required):
        raise errors.invalid_parameter("Password length is too short based on the required types.")
    characters = [secrets.choice(kind) for kind in required]
    characters += [secrets.choice(alphabet) for _ in range(length - len(required))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def _types(wanted: Mapping[str, Any]) -> list[str]:
    """The characters of each type that may be in it; a type with none left is not asked for."""
    kinds = [characters for option, characters in _TYPES.items() if not wanted.get(option, False)]
    if wanted.get("IncludeSpace", False):
        kinds.append(" ")
    excluded = set(wanted.get("ExcludeCharacters", ""))
    left = ("".join(character for character in kind if character not in excluded) for kind in kinds)
    return [kind for kind in left if kind]
