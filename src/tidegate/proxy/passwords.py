"""Passwords that a client sends as such, or hashed with MD5: the methods beside SCRAM.

Owns the questions and the checks of both. Refuses the order of the login's steps (`login`) and to fetch a secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tidegate.auth.backend import Credential, PasswordCredential
from tidegate.auth.md5 import SALT_BYTES, verify_md5
from tidegate.auth.roles import empty_password
from tidegate.auth.verifiers import ClientMethod, Md5Hash, Plain, Secret, md5_hash_of, verify_cleartext
from tidegate.errors import PgError, Sqlstate
from tidegate.wire.postgres import messages

if TYPE_CHECKING:
    from tidegate.auth.verifiers import CleartextCache


class PasswordQuestion:
    """One question of a method other than SCRAM, and what answers it."""

    def __init__(self, method: ClientMethod, user: str, cache: CleartextCache) -> None:
        self._method = method
        self._user = user
        self._cache = cache
        self._salt = os.urandom(SALT_BYTES) if method is ClientMethod.MD5 else b""

    def message(self) -> bytes:
        """The Authentication message that asks."""
        return messages.authentication(5, self._salt) if self._salt else messages.authentication(3)

    def text(self, body: bytes) -> str:
        """What a client has sent in clear. Raises PgError for what is no password."""
        if not body.endswith(b"\0"):
            raise PgError("invalid password packet size", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if len(body) == 1:
            raise empty_password()
        return body[:-1].decode("utf-8", "surrogateescape")

    def check(self, body: bytes, secret: Secret) -> tuple[bool, Credential]:
        """Whether a PasswordMessage's body is the right answer, and how to log in to the database with it.

        Raises PgError for what is no password. In clear text against SCRAM keys it may take milliseconds of CPU.
        """
        text = self.text(body)
        if self._method is ClientMethod.PASSWORD:
            right = verify_cleartext(self._user, text, secret, self._cache)
            return right, PasswordCredential(text) if right else None
        if not isinstance(secret, Md5Hash | Plain):  # it was when the client was asked; read again, it is none
            return False, None
        stored = md5_hash_of(self._user, secret)
        if not verify_md5(stored, self._salt, body[:-1]):
            return False, None
        return True, PasswordCredential(secret.password) if isinstance(secret, Plain) else Md5Hash(stored)
