"""What STS keeps besides the sessions, which are iam's to look up (`iam.records.Session`).

Owns the mark of the last sweep. Refuses to sweep (`sessions`).
"""

from __future__ import annotations

from typing import ClassVar

from tidegate.control.store.store import Record


class Sweep(Record):
    """When expired sessions were last looked for."""

    kind: ClassVar[str] = "sts.sweep"

    at: float
    """Seconds since 1970."""

    @property
    def key(self) -> str:
        """There is but one."""
        return "sweep"
