"""Names of custom settings that stand in code which is not read as SQL: DO blocks, bodies of new functions, strings.

Owns telling what may be such a name. Refuses to know whether it is one: a name too many costs a question to the server,
which answers NULL; PostgreSQL lists no custom settings, so what is not asked for by its name is never found.
"""

from __future__ import annotations

import re

_DOTTED = re.compile(rb"(?<![\w.$\x80-\xff])[a-z_][\w$]*(?:\.[a-z_][\w$]*)+", re.IGNORECASE)
"""Custom settings have at least two identifiers (guc.c, valid_custom_variable_name)."""

MOST = 100
"""Names of one text."""


def custom_names(text: bytes) -> set[str]:
    """What may name a custom setting, wherever it stands in the text; as the server compares it."""
    names: set[str] = set()
    for found in _DOTTED.finditer(text):
        names.add(found[0].decode("ascii").lower())
        if len(names) >= MOST:
            break
    return names
