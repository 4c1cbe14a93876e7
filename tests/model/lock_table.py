"""Advisory locks that several clients want: at no time do two of them have one.

Owns who has which, as far as answers told. Refuses to wait for any: clients only try.
"""

from __future__ import annotations

import threading


class LockTable:
    """Holders by key. A lock is free from the moment on that its holder asks to be rid of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[int, object] = {}

    def taken(self, key: int, holder: object) -> str:
        """pg_try_advisory_lock() was answered with true; what is wrong with that, in words, or nothing."""
        with self._lock:
            other = self._holders.setdefault(key, holder)
        return "" if other is holder else f"advisory lock {key} was given to two sessions: {other} has it"

    def freeing(self, holder: object, key: int | None = None) -> None:
        """Its holder is about to unlock it, or everything, or to leave."""
        with self._lock:
            for one in [one for one, other in self._holders.items() if other is holder and key in (None, one)]:
                del self._holders[one]
