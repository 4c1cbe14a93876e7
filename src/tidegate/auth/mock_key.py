"""The key by which salts are made up: for users that don't exist, and for those of whom a plain password is known.

Owns where that key comes from. Refuses to make the salts (`scram_keys`) and to read settings: they are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_COST: Final = 2**15  # scrypt's N: 32 MiB and about a tenth of a second for each guess at a password
_MEMORY: Final = 64 * 1024 * 1024  # bytes that OpenSSL may take for it

# Whoever begins a SCRAM login is told a salt. For an unknown user it is made up, and must always be the same: one that
# changes (with the next worker, after a restart, at another instance) tells that there is no such user. PostgreSQL
# makes it from a random number that initdb leaves in pg_control and no query shows (auth-scram.c, scram_mock_salt).
#
# The proxy keeps nothing on disk. What all instances before a database have in common, and no outsider knows, is the
# password of their own login there, so the key is made of that; where the database trusts the proxy, of all passwords
# and verifiers of the configured users; where there are none either, it is random and lasts as long as the supervisor.
#
# Anyone can ask for such a salt, and then try passwords at home until one gives the same. scrypt makes each try dear: a
# tenth of a second and 32 MiB, where trying the verifiers that PostgreSQL stores takes two thousandths.


def mock_key(password: str, users: Iterable[str], random: bytes) -> bytes:
    """Return 32 bytes. `password`: of the proxy's own login, or ""; `users`: of the configured users; `random`: else.

    Takes a tenth of a second of CPU for what it was not asked before.
    """
    if password:
        return _stretched(_octets(password), b"tidegate: login of the target")
    known = sorted(secret for secret in users if secret)
    if known:
        return _stretched(b"\0".join(map(_octets, known)), b"tidegate: configured users")
    return random


@lru_cache(maxsize=256)
def _stretched(secret: bytes, purpose: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=purpose, n=_COST, r=8, p=1, maxmem=_MEMORY, dklen=32)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
