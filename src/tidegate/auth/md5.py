"""PostgreSQL's MD5 password authentication (protocol documentation, "Message Flow", AuthenticationMD5Password).

Owns the stored form, the answer to a challenge and its check. Refuses to choose when MD5 is asked for (`verifiers`).

    stored = "md5" + hex(md5(password + user))
    answer = "md5" + hex(md5(hex part of stored + salt))

The stored form is therefore as good as the password for logging in: whoever holds it can answer any challenge.
"""

from __future__ import annotations

import hashlib
import hmac
import re

SALT_BYTES = 4

_STORED_FORM = re.compile(r"md5[0-9a-f]{32}")


def is_md5_hash(text: str) -> bool:
    """Whether the text has the form in which PostgreSQL stores an MD5 password."""
    return _STORED_FORM.fullmatch(text) is not None


def md5_hash(user: str, password: str) -> str:
    """Return the stored form of a password."""
    return _md5(_octets(password) + _octets(user))


def md5_response(stored: str, salt: bytes) -> str:
    """Return the answer to a challenge, as sent in a PasswordMessage.

    Raises ValueError if `stored` is not of the stored form or the salt is not 4 bytes long.
    """
    if not is_md5_hash(stored):
        raise ValueError("not an MD5 password hash: expected 'md5' and 32 lower-case hexadecimal digits")
    if len(salt) != SALT_BYTES:
        raise ValueError(f"an MD5 challenge has a salt of {SALT_BYTES} bytes, not {len(salt)}")
    return _md5(stored[3:].encode("ascii") + salt)


def verify_md5(stored: str, salt: bytes, answer: bytes) -> bool:
    """Whether a client's answer is right; takes the same time wherever they differ. Raises as `md5_response`."""
    return hmac.compare_digest(md5_response(stored, salt).encode("ascii"), answer)


def _md5(data: bytes) -> str:
    return "md5" + hashlib.md5(data, usedforsecurity=False).hexdigest()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
