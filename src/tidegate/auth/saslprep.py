"""SASLprep: the form in which a password goes into SCRAM's key derivation.

Owns RFC 4013 in PostgreSQL's reading of it. Refuses to report a bad password: like PostgreSQL, whose client encoding is
not known during authentication, it falls back to the bytes as they came.

Where PostgreSQL (src/common/saslprep.c) and RFC 4013 differ, this follows PostgreSQL, since both ends must derive the
same key: pure ASCII is taken as it is, control characters included, and prohibited or unassigned characters are looked
for before the normalization, not after it.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

# RFC 4013 section 2.3, prohibited output; C.1.2 is absent because those characters have become U+0020 by then.
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def saslprep(password: bytes) -> bytes:
    """Return the password in SASLprep's form, or unchanged if it is not UTF-8 or holds a prohibited character."""
    if password.isascii():
        return password
    try:
        mapped = _mapped(password.decode("utf-8"))
    except UnicodeDecodeError:
        return password
    if not mapped or _is_prohibited(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped).encode("utf-8")


def _mapped(text: str) -> str:
    """RFC 4013 section 2.1: other spaces become U+0020; soft hyphens, joiners and the like vanish."""
    spaced = (" " if stringprep.in_table_c12(char) else char for char in text)
    return "".join(char for char in spaced if not stringprep.in_table_b1(char))


def _is_prohibited(text: str) -> bool:
    return any(table(char) for char in text for table in _PROHIBITED) or not _is_one_direction(text)


def _is_one_direction(text: str) -> bool:
    """RFC 3454 section 6: right-to-left text begins and ends right to left and holds no left-to-right letter."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    if any(map(stringprep.in_table_d2, text)):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
