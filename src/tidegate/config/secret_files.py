"""Files that hold a secret: passwords of their own, private keys. Nobody but their owner may read them.

Owns that rule, which is PostgreSQL's (documentation, "Creating Certificates"), and reading a password. Refuses to read
keys, and no message made here repeats a secret.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_secret_file(path: Path) -> str:
    """A password from a file of its own, without the line end that editors add. ValueError says why there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            _check_mode(os.fstat(file.fileno()))
            text = file.read()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ValueError("is empty")
    return secret


def check_key_file(path: str) -> None:
    """ValueError if there is no such private key, or others may read it."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError(f"no private key can be read from {path}: {error.strerror}") from None
    try:
        _check_mode(found)
    except ValueError as error:
        raise ValueError(f"private key {path} {error}") from None


def _check_mode(found: os.stat_result) -> None:
    """0600 at most; 0640 where root owns it, so that a group of the system's may have it."""
    allowed = 0o640 if found.st_uid == 0 else 0o600
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~allowed & 0o077:
        raise ValueError(f"may be read by others (mode {mode:04o}); chmod 600 it")
