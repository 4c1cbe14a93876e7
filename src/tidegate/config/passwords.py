"""Passwords as settings give them: in the file, from the environment; plain, or as PostgreSQL stores them.

Owns their expansion and the recognition of their form. Refuses to verify anything with them (`auth`), and no message
made here repeats a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum

_VARIABLE = re.compile(r"\$(?:(\$)(?=\{)|\{([^{}]*)\})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MD5 = re.compile(r"md5[0-9a-f]{32}")
_SCRAM = re.compile(r"SCRAM-SHA-256\$[1-9][0-9]{0,9}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=")


class SecretKind(StrEnum):
    """The forms of pg_authid.rolpassword (PostgreSQL documentation, "pg_authid"), and a plain password."""

    PLAIN = "plain"
    SCRAM_VERIFIER = "scram verifier"
    MD5_HASH = "md5 hash"


def kind_of(secret: str) -> SecretKind:
    """Tell a stored verifier from a plain password, as PostgreSQL's get_password_type() does.

    ValueError for what starts like a SCRAM verifier and is none: taken as a plain password it would never match.
    """
    if _MD5.fullmatch(secret):
        return SecretKind.MD5_HASH
    if not secret.startswith("SCRAM-SHA-256$"):
        return SecretKind.PLAIN
    if not _SCRAM.fullmatch(secret):
        raise ValueError('is not a whole SCRAM verifier ("SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")')
    return SecretKind.SCRAM_VERIFIER


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each ${NAME} by that environment variable; "$${" stands for "${". ValueError for an unset one.

    What a variable holds is not expanded again. A lone "$", as in SCRAM verifiers, is left alone.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return "$"
        if not _NAME.fullmatch(name):
            raise ValueError(f'"${{{name}}}" names no environment variable; write "$${{" for a literal "${{"')
        if name not in environment:
            raise ValueError(f"environment variable {name} is not set")
        return environment[name]

    return _VARIABLE.sub(value, text)
