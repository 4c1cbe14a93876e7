"""Private keys' files: nobody but their owner may read them.

Owns that rule, which is PostgreSQL's (documentation, "Creating Certificates"). Refuses to read the key.
"""

from __future__ import annotations

import os
import stat


def check_key_file(path: str) -> None:
    """ValueError if others may read it: mode 0600 at most, or 0640 if root owns it."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError(f"no private key can be read from {path}: {error.strerror}") from None
    allowed = 0o640 if found.st_uid == 0 else 0o600
    if stat.S_IMODE(found.st_mode) & ~allowed & 0o077:
        raise ValueError(
            f"private key {path} may be read by others (mode {stat.S_IMODE(found.st_mode):04o}); chmod 600 it"
        )
