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

FIRST_PAUSE = 1.0  # seconds before a read that got no answer is tried again
LONGEST_PAUSE = 8.0  # seconds; pauses double up to this
SUSPECT_FOR = 300.0  # seconds for which such a key is remembered though nobody asks for it

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
    """The reads of one key; `began` is None while none is under way. Times are in seconds."""

    began: float | None = None
    discarded: bool = False
    aboard: dict[Waiter, None] = field(default_factory=dict)
    queued: dict[Waiter, None] = field(default_factory=dict)
    held_until: float = 0.0
    """When the next read may begin; in the past unless all that have queued are about to be refused."""


@dataclass(slots=True)
class _Suspect:
    """A key whose last read got no answer. Times are in seconds."""

    pause: float
    not_before: float


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
# Before it refuses a login for its password, the caller asks once more (`recheck`): one changed within the last `ttl`
# seconds is then known. So that a flood of wrong passwords is no flood of reads, those made for this reason alone begin
# at most every `recheck_period` seconds for each key. Whoever is about to be refused waits for the next one; a login
# that has not been judged yet waits for nothing. That a role does not exist is never remembered: a role just made can
# log in at once, and a flood of invented names leaves nothing behind. When a read fails, the last answer is handed out,
# marked stale, if it is at most `stale_limit` seconds old: a database that is starting again turns nobody away.
#
# A read that fails for good (`failed`) is the end for those who have no last answer. One that came to nothing, though
# the next need not, lets them queue again (`postponed`). If it may be for this very key that the database gave no
# answer (`stalled`), the key is a suspect until there is one: read after a pause that grows, while no other read is due
# or under way, and alone, so that nobody else's answer is behind its own.


class RoleCache(Generic[Key, Waiter]):
    """Records of roles by key, e.g. (target, user, database), and the logins that wait for them."""

    def __init__(
        self, ttl: float, stale_limit: float = 3600.0, capacity: int = 10_000, recheck_period: float = 0.5
    ) -> None:
        """Times are in seconds; the least recently used of more than `capacity` records goes."""
        self._ttl = ttl
        self._stale_limit = stale_limit
        self._recheck_period = recheck_period
        self._capacity = capacity
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._lookups: dict[Key, _Lookup[Waiter]] = {}
        self._due: dict[Key, None] = {}
        self._held: dict[Key, None] = {}
        self._rechecked: OrderedDict[Key, float] = OrderedDict()
        self._suspects: dict[Key, _Suspect] = {}
        self._alone: Key | None = None

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def waiting(self) -> int:
        """Logins that wait for an answer."""
        return sum(len(lookup.aboard) + len(lookup.queued) for lookup in self._lookups.values())

    @property
    def one_waits(self) -> bool:
        """Whether exactly one login does."""
        return len(self._lookups) == 1 and self.waiting == 1

    def waiters(self, keys: Iterable[Key] | None = None) -> list[Waiter]:
        """The same logins themselves; of some keys, or all."""
        chosen = self._lookups if keys is None else [key for key in keys if key in self._lookups]
        lookups = [self._lookups[key] for key in chosen]
        return [waiter for lookup in lookups for waiter in (*lookup.aboard, *lookup.queued)]

    @property
    def kept_waiting(self) -> bool:
        """Whether the read of a suspect is under way, and others are due."""
        return self._alone is not None and any(key not in self._suspects for key in self._due)

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
        if lookup.began is not None and lookup.began >= earliest and not lookup.discarded:
            lookup.aboard[waiter] = None
            return None
        lookup.queued[waiter] = None
        lookup.held_until = 0.0
        if lookup.began is None:
            self._held.pop(key, None)
            self._due[key] = None
        return None

    def recheck(self, key: Key, now: float, waiter: Waiter) -> None:
        """Have a login resumed, later, with an answer whose read begins at or after `now`: it is about to be refused.

        See `held_for`: that read may have to wait.
        """
        lookup = self._lookups.setdefault(key, _Lookup())
        if not lookup.queued:
            lookup.held_until = max(now, self._rechecked.get(key, -self._recheck_period) + self._recheck_period)
            self._note_recheck(key, lookup.held_until, now)
            if lookup.began is None:
                self._held[key] = None
        lookup.queued[waiter] = None

    def held_for(self, now: float) -> float | None:
        """Seconds after which a read that is held back may begin; None if there is none."""
        times = [self._lookups[key].held_until for key in self._held]
        if self._suspects and not self._reading():
            times += [self._suspects[key].not_before for key in self._due if key in self._suspects]
        return max(0.0, min(times) - now) if times else None

    def next_batch(self, now: float, limit: int | None = None) -> list[Key]:
        """Return the keys to read now, the longest waiting first; for each, `loaded` or `failed` must follow."""
        for key in [key for key in self._held if self._lookups[key].held_until <= now]:
            del self._held[key]
            self._due[key] = None
        for key in (keys := self._next_keys(now, limit)):
            del self._due[key]
            lookup = self._lookups[key]
            lookup.began, lookup.discarded = now, False
            lookup.aboard, lookup.queued = lookup.queued, {}
        return keys

    def _reading(self) -> bool:
        return any(lookup.began is not None for lookup in self._lookups.values())

    def _next_keys(self, now: float, limit: int | None) -> list[Key]:
        if not self._suspects:
            return list(self._due)[:limit]
        if self._alone is not None:
            return []
        keys = [key for key in self._due if key not in self._suspects]
        if keys or self._reading():
            return keys[:limit]
        ready = [key for key in self._due if self._suspects[key].not_before <= now]
        self._alone = ready[0] if ready else None
        return ready[:1]

    def loaded(self, key: Key, record: RoleRecord | None) -> list[Resumed[Waiter]]:
        """Take the result of a read, None if there is no such role; return the logins that it serves.

        Raises KeyError if no read of this key is under way.
        """
        lookup, began = self._land(key)
        self._suspects.pop(key, None)
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
            self._suspects.pop(key, None)
            resumed += self._resume(lookup, self._last_known(key, now), error)
        return resumed

    def postponed(self, keys: Iterable[Key], now: float) -> list[Resumed[Waiter]]:
        """Reads came to nothing, and not for these keys: those who waited queue again, unless a last answer is known.

        Returns those for whom one is. Raises KeyError if no read of a key is under way.
        """
        resumed: list[Resumed[Waiter]] = []
        for key in keys:
            last = self._last_known(key, now)
            if last is None:
                lookup = self._lookups[key]
                lookup.queued, lookup.aboard = lookup.aboard | lookup.queued, {}
                lookup.held_until = 0.0
            lookup, _ = self._land(key)
            resumed += self._resume(lookup, last, None)
        return resumed

    def stalled(self, key: Key, now: float) -> list[Resumed[Waiter]]:
        """A read came to nothing, and it may be for this key; else as `postponed`."""
        for old in [old for old, each in self._suspects.items() if each.not_before + SUSPECT_FOR < now]:
            if old not in self._lookups:
                del self._suspects[old]
        known = self._suspects.get(key)
        pause = FIRST_PAUSE if known is None else min(2 * known.pause, LONGEST_PAUSE)
        self._suspects[key] = _Suspect(pause, now + pause)
        return self.postponed([key], now)

    def _last_known(self, key: Key, now: float) -> Answer | None:
        """What serves when nothing can be read."""
        last = self._answers.get(key)
        if last is not None and now - last.read_at > self._stale_limit:
            del self._answers[key]
            last = None
        return None if last is None else Answer(last.record, last.read_at, stale=True)

    def invalidate(self, key: Key) -> None:
        """Forget a record that turned out to be outdated; a read under way may have seen the old state too."""
        self._answers.pop(key, None)
        lookup = self._lookups.get(key)
        if lookup is not None and lookup.began is not None:
            lookup.discarded = True
            lookup.queued = lookup.aboard | lookup.queued
            lookup.aboard = {}
            lookup.held_until = 0.0

    def forget(self, key: Key, waiter: Waiter) -> None:
        """Take out a login whose client has left; no error if it does not wait."""
        lookup = self._lookups.get(key)
        if lookup is None:
            return
        lookup.aboard.pop(waiter, None)
        lookup.queued.pop(waiter, None)
        if lookup.began is None and not lookup.queued:
            del self._lookups[key]
            self._due.pop(key, None)
            self._held.pop(key, None)

    def release(self) -> list[Waiter]:
        """Return every login that waits: each does so elsewhere from now on. Reads under way still land here."""
        waiting = self.waiters()
        self._due.clear()
        self._held.clear()
        for key, lookup in list(self._lookups.items()):
            if lookup.began is None:
                del self._lookups[key]
            else:
                lookup.aboard, lookup.queued = {}, {}
        return waiting

    def _land(self, key: Key) -> tuple[_Lookup[Waiter], float]:
        """End the read under way; a next one is due if logins have queued meanwhile."""
        lookup = self._lookups[key]
        if lookup.began is None:
            raise KeyError(key)
        if key == self._alone:
            self._alone = None
        landed = _Lookup(lookup.began, lookup.discarded, lookup.aboard)
        if lookup.queued:
            self._lookups[key] = _Lookup(queued=lookup.queued, held_until=lookup.held_until)
            (self._held if lookup.held_until else self._due)[key] = None
        else:
            del self._lookups[key]
        return landed, lookup.began

    def _note_recheck(self, key: Key, begins: float, now: float) -> None:
        """Remember when this key's recheck begins, for as long as it holds the next one back."""
        self._rechecked.pop(key, None)
        self._rechecked[key] = begins
        while next(iter(self._rechecked.values())) + self._recheck_period < now:
            self._rechecked.popitem(last=False)

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
