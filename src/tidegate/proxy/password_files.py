"""Passwords in files of their own, which others change while the proxy runs: an agent, an operator, Kubernetes.

Owns what such a file is worth now: what it says, and for a while what it said before, since neither the file nor the
database changes before the other at a moment that is known. Refuses to say when it is read (`credentials`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tidegate.config.passwords import SecretKind, kind_of
from tidegate.config.secret_files import read_secret_file

GRACE = 900.0
"""Seconds for which a former password is still tried, and taken from clients: as with a secret of Secrets Manager."""


@dataclass(slots=True)
class _Known:
    text: str = field(repr=False)
    former: tuple[str, ...] = field(default=(), repr=False)
    until: float = 0.0


class PasswordFiles:
    """Blocking, but local. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def read(self, path: str, now: float) -> tuple[str, ...]:
        """What the file says, then the plain passwords that it said within GRACE. ValueError says what is wrong."""
        text = read_secret_file(Path(path))
        kind_of(text)
        known = self._known.setdefault(path, _Known(text))
        if now >= known.until:
            known.former = ()
        if text != known.text:
            former = (known.text, *known.former) if kind_of(known.text) is SecretKind.PLAIN else known.former
            known.former = tuple(one for one in dict.fromkeys(former) if one != text)
            known.text, known.until = text, now + GRACE
        return known.text, *known.former

    def forget_all_but(self, paths: set[str]) -> None:
        """The others are named no more."""
        self._known = {path: known for path, known in self._known.items() if path in paths}
