r"""The regular expressions of AWS's models, made safe to be run on anybody's text.

Owns what differs from Python's: \p{L} and its kin, ASCII's \w; and the few patterns that a hostile text could keep
busy for ages. Refuses what follows from a mismatch (`constraints`).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache

REWRITTEN = {
    r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*": r"[a-zA-Z](?:-?[a-zA-Z0-9])*",
    r"[a-z](?:-?[a-z0-9]+){0,15}": r"[a-z](?:-?[a-z0-9]++){0,15}+",
}
"""Patterns whose time grows with a power of the text's length or worse, and what accepts the same without that.

`tests/unit/control/api/test_patterns.py` finds such patterns in the models of all services that are served."""

CATEGORY = re.compile(r"\\p\{([A-Z])\}")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with fullmatch(), as AWS does."""
    text = CATEGORY.sub(lambda found: _category(found[1]), REWRITTEN.get(pattern, pattern))
    return re.compile(text, re.ASCII)


def _category(letter: str) -> str:
    r"""The inside of a character class for \p{letter}."""
    return _categories()[letter]


@lru_cache(maxsize=1)
def _categories() -> dict[str, str]:
    """By the first letter of Unicode's general category. Takes some tenths of a second, once."""
    ranges: dict[str, list[list[int]]] = {}
    for point in range(sys.maxunicode + 1):
        found = ranges.setdefault(unicodedata.category(chr(point))[0], [])
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return {letter: "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in found) for letter, found in ranges.items()}
