"""What the proxy remembers of roles, and when it has to look again.

Owns the decisions: whose answer is fresh enough, which reads are due, who waits for which. Refuses to read anything and
to look at a clock: times are arguments, in seconds of one steady clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tidegate.auth.roles import RoleRecord
from tidegate.errors import PgError

Key = TypeVar("Key", bound=Hashable)
Waiter = TypeVar("Waiter", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Answer:
    """A role as read at `read_at`, the time at which that read began; `record` is None if there is no such role."""

    record: RoleRecord | None
    read_at: float
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Resumed(Generic[Waiter]):
    """A login that waits no longer. On failure `error` says why, and `answer` is the last known one, if any."""

    waiter: Waiter
    answer: Answer | None
    error: PgError | None = None


@dataclass(slots=True)
class _Lookup(Generic[Waiter]):
    """The reads of one key; `began` is None while none is under way."""

    began: float | None = None
    discarded: bool = False
    aboard: dict[Waiter, None] = field(default_factory=dict)
    queued: dict[Waiter, None] = field(default_factory=dict)


# How freshness and coalescing go together.
#
# A read shows the role as it was at some moment after the read BEGAN. So an answer serves a login if its read began at
# or after the login arrived, or at most `ttl` seconds before: no change made more than `ttl` before a login is missed.
# With ttl = 0 a login sees every change that was made before it arrived, as it would at the database itself.
#
# Each key has at most one read under way. A login that an answer does not serve boards that read if its beginning
# serves, or else queues for the next one. All that have queued leave together when the next read begins (`next_batch`),
# so a storm of N logins costs two reads, not N, and none waits for more than two.
#
#     need -> [answer serves] -> Answer
#          -> [read under way serves] -> aboard --loaded/failed--> Resumed
#          -> queued --next_batch--> aboard
#
# Before it refuses a login, the caller asks once more with `not_before` = the time of the login's arrival: a password
# changed within the last `ttl` seconds is then known. That a role does not exist is never remembered: a role just made
# can log in at once, and a flood of invented names leaves nothing behind. When a read fails, the last answer is handed
# out, marked stale, if it is at most `stale_limit` seconds old: a database that is starting again turns nobody away.


class RoleCache(Generic[Key, Waiter]):
    """Records of roles by key, e.g. (target, user, database), and the logins that wait for them."""

    def __init__(self, ttl: float, stale_limit: float = 3600.0, capacity: int = 10_000) -> None:
        """`ttl` and `stale_limit` are in seconds; the least recently used of more than `capacity` records goes."""
        self._ttl = ttl
        self._stale_limit = stale_limit
        self._capacity = capacity
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._lookups: dict[Key, _Lookup[Waiter]] = {}
        self._due: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def waiting(self) -> int:
        """Logins that wait for an answer."""
        return sum(len(lookup.aboard) + len(lookup.queued) for lookup in self._lookups.values())

    def need(self, key: Key, now: float, waiter: Waiter, not_before: float | None = None) -> Answer | None:
        """Return an answer that serves a login at `now`, or None: then the waiter is resumed later.

        With `not_before`, only a read that began at or after that time serves.
        """
        earliest = now - self._ttl if not_before is None else not_before
        answer = self._answers.get(key)
        if answer is not None and answer.read_at >= earliest:
            self._answers.move_to_end(key)
            return answer
        lookup = self._lookups.setdefault(key, _Lookup())
        if lookup.began is None:
            self._due[key] = None
            lookup.queued[waiter] = None
        elif lookup.began >= earliest and not lookup.discarded:
            lookup.aboard[waiter] = None
        else:
            lookup.queued[waiter] = None
        return None

    def next_batch(self, now: float, limit: int | None = None) -> list[Key]:
        """Return the keys to read now, the longest waiting first; for each, `loaded` or `failed` must follow."""
        keys = list(self._due)[:limit]
        for key in keys:
            del self._due[key]
            lookup = self._lookups[key]
            lookup.began, lookup.discarded = now, False
            lookup.aboard, lookup.queued = lookup.queued, {}
        return keys

    def loaded(self, key: Key, record: RoleRecord | None) -> list[Resumed[Waiter]]:
        """Take the result of a read, None if there is no such role; return the logins that it serves.

        Raises KeyError if no read of this key is under way.
        """
        lookup, began = self._land(key)
        answer = Answer(record, began)
        if not lookup.discarded:
            self._keep(key, answer)
        return self._resume(lookup, answer, None)

    def failed(self, keys: Iterable[Key], error: PgError, now: float) -> list[Resumed[Waiter]]:
        """Take the failure of reads; return the logins that waited, with the last known answer where there is one.

        Raises KeyError if no read of a key is under way.
        """
        resumed: list[Resumed[Waiter]] = []
        for key in keys:
            lookup, _ = self._land(key)
            last = self._answers.get(key)
            if last is not None and now - last.read_at > self._stale_limit:
                del self._answers[key]
                last = None
            stale = None if last is None else Answer(last.record, last.read_at, stale=True)
            resumed += self._resume(lookup, stale, error)
        return resumed

    def invalidate(self, key: Key) -> None:
        """Forget a record that turned out to be outdated; a read under way may have seen the old state too."""
        self._answers.pop(key, None)
        lookup = self._lookups.get(key)
        if lookup is not None and lookup.began is not None:
            lookup.discarded = True
            lookup.queued = lookup.aboard | lookup.queued
            lookup.aboard = {}

    def forget(self, key: Key, waiter: Waiter) -> None:
        """Take out a login whose client has left; no error if it does not wait."""
        lookup = self._lookups.get(key)
        if lookup is None:
            return
        lookup.aboard.pop(waiter, None)
        lookup.queued.pop(waiter, None)
        if lookup.began is None and not lookup.queued:
            del self._lookups[key], self._due[key]

    def _land(self, key: Key) -> tuple[_Lookup[Waiter], float]:
        """End the read under way; a next one is due if logins have queued meanwhile."""
        lookup = self._lookups[key]
        if lookup.began is None:
            raise KeyError(key)
        landed = _Lookup(lookup.began, lookup.discarded, lookup.aboard)
        if lookup.queued:
            self._lookups[key] = _Lookup(queued=lookup.queued)
            self._due[key] = None
        else:
            del self._lookups[key]
        return landed, lookup.began

    def _keep(self, key: Key, answer: Answer) -> None:
        self._answers.pop(key, None)
        if answer.record is None:
            return
        self._answers[key] = answer
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

    @staticmethod
    def _resume(lookup: _Lookup[Waiter], answer: Answer | None, error: PgError | None) -> list[Resumed[Waiter]]:
        return [Resumed(waiter, answer, error) for waiter in lookup.aboard]
