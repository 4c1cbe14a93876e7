"""What the proxy knows of a user's password, and what can be asked of a client on the strength of it.

Owns the forms of a secret, the choice of method, and the check of a clear-text password. Refuses to fetch secrets
(`proxy`) and to decide whether the user may log in at all (`roles`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeAlias

from tidegate.auth.md5 import is_md5_hash, md5_hash
from tidegate.auth.scram_keys import ScramKeys


class ClientMethod(StrEnum):
    """How a client has to show who it is; the values are those of pg_hba.conf."""

    SCRAM = "scram-sha-256"
    MD5 = "md5"
    PASSWORD = "password"
    CERT = "cert"
    IAM = "iam"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class Md5Hash:
    """An MD5 password as PostgreSQL stores it: `md5` and 32 hexadecimal digits."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plain:
    """A password itself; bytes that are not UTF-8 are kept as surrogates (PEP 383)."""

    password: str = field(repr=False)


Secret: TypeAlias = ScramKeys | Md5Hash | Plain | None
"""None: nothing is known, whether for want of the user or of a password. A client must not learn which."""


def parse_secret(text: str) -> ScramKeys | Md5Hash | Plain:
    """Tell a verifier from a password by its form, as PostgreSQL and PgBouncer do.

    Raises ValueError for a text that begins as a SCRAM verifier but is not one: as a password it would never be meant.
    """
    if text.startswith("SCRAM-SHA-256$"):
        return ScramKeys.parse(text)
    return Md5Hash(text) if is_md5_hash(text) else Plain(text)


# What a client is asked for, by configured method and kind of secret, where that is not the method itself. PostgreSQL's
# `md5` also means "SCRAM where the verifier is a SCRAM one", and an unknown user gets SCRAM, PostgreSQL's
# password_encryption default. One deliberate difference: PostgreSQL's `scram-sha-256` refuses roles that have only an
# MD5 hash; here they are asked for MD5.
_ASKED: Final[dict[tuple[ClientMethod, type], ClientMethod]] = {
    (ClientMethod.SCRAM, Md5Hash): ClientMethod.MD5,
    (ClientMethod.MD5, ScramKeys): ClientMethod.SCRAM,
    (ClientMethod.MD5, type(None)): ClientMethod.SCRAM,
}


def asked_method(configured: ClientMethod, secret: Secret) -> ClientMethod:
    """Return the method that a client is in fact asked for."""
    return _ASKED.get((configured, type(secret)), configured)


def md5_hash_of(user: str, secret: Md5Hash | Plain) -> str:
    """Return the stored form against which a client's MD5 answer is checked."""
    return secret.text if isinstance(secret, Md5Hash) else md5_hash(user, secret.password)


class ExchangeKeys:
    """The keys for a SCRAM exchange with any user, known or not.

    A plain password's keys are derived once (1 to 3 ms of CPU) and kept. Their salt comes from the user's name as a
    mock's does, so that it neither changes between workers nor tells a known user from an unknown one.
    """

    def __init__(self, mock_key: bytes, capacity: int = 10_000) -> None:
        """`mock_key`: see that module; all workers need the same, or an unknown user's salt would change."""
        self.mock_key = mock_key
        self._derived = lru_cache(maxsize=capacity)(self._derive)

    def keys(self, user: str, secret: Secret) -> ScramKeys:
        """Return keys to verify this user with; mock keys, which nothing satisfies, for None or an MD5 hash."""
        if isinstance(secret, ScramKeys):
            return secret
        if isinstance(secret, Plain):
            return self._derived(user, secret.password)
        return ScramKeys.mock(_octets(user), self.mock_key)

    def _derive(self, user: str, password: str) -> ScramKeys:
        return ScramKeys.from_password(password, ScramKeys.stable_salt(_octets(user), self.mock_key))


class CleartextCache:
    """Remembers which clear-text passwords have passed the check against SCRAM keys, so that PBKDF2 is paid once.

    What is kept is an HMAC under a key that never leaves the process: of use to nobody who reads it. It covers the
    keys, so a changed password is forgotten by itself. Failures are not remembered.
    """

    def __init__(self, capacity: int = 10_000, key: bytes | None = None) -> None:
        self._capacity = capacity
        self._key = secrets.token_bytes(32) if key is None else key
        self._passed: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._passed)

    def knows(self, user: str, password: str, keys: ScramKeys) -> bool:
        """Whether this password has passed before; if not, `verify_cleartext` will take milliseconds."""
        tag = self._tag(user, password, keys)
        if tag not in self._passed:
            return False
        self._passed.move_to_end(tag)
        return True

    def remember(self, user: str, password: str, keys: ScramKeys) -> None:
        self._passed[self._tag(user, password, keys)] = None
        if len(self._passed) > self._capacity:
            self._passed.popitem(last=False)

    def _tag(self, user: str, password: str, keys: ScramKeys) -> bytes:
        # No part contains a zero byte: the first two end at one on the wire, the third is base64.
        return hmac.digest(self._key, b"\0".join((_octets(user), _octets(password), keys.text().encode())), "sha256")


_NOBODY: Final = ScramKeys.mock(b"", hashlib.sha256(b"nobody").digest())


def verify_cleartext(user: str, password: str, secret: Secret, cache: CleartextCache) -> bool:
    """Whether the password that a client sent in clear is the user's.

    Against SCRAM keys this takes milliseconds of CPU without the GIL, unless the cache knows the password; for an
    unknown user as well, so that the time taken doesn't give away that there is none. An empty password never passes.
    """
    if not password:
        return False
    if isinstance(secret, Plain):
        return hmac.compare_digest(_octets(secret.password), _octets(password))
    if isinstance(secret, Md5Hash):
        return hmac.compare_digest(secret.text, md5_hash(user, password))
    keys = _NOBODY if secret is None else secret
    if cache.knows(user, password, keys):
        return True
    if not keys.verify_password(password):
        return False
    cache.remember(user, password, keys)
    return True


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
