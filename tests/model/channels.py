"""Who must, may and must not hear which notification ("NOTIFY", "LISTEN").

Owns the times of all subscriptions and notifications, of all clients of one run. Refuses to read a socket: a client
says what it got.

Clients run beside each other, so of a commit it is only known when it was sent (`begun`) and when it was answered
(`settled`). A session that listened before a notification was begun, and has not begun to end that until it is settled,
must get it; one whose listening overlaps with it in any way may; no other may. Each payload is sent once only.

Listening begins, for this, when the session was last idle: one that listens to anything reads the queue of all channels
at its transaction's end, and finds there what was sent since its beginning to a channel that it has just added.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

NEVER = float("inf")


@dataclass
class Subscription:
    """One LISTEN, until its UNLISTEN; times in seconds."""

    begun: float
    settled: float = NEVER
    ending: float = NEVER
    ended: float = NEVER


@dataclass
class Notification:
    """One payload, sent once."""

    sender: int
    number: int
    begun: float
    settled: float = NEVER


@dataclass
class Inbox:
    """What one session has heard, and `due`: what it has still to hear, with the time since when."""

    owner: int
    subscriptions: dict[str, list[Subscription]] = field(default_factory=dict)
    due: dict[tuple[str, str], float] = field(default_factory=dict)
    heard: set[tuple[str, str]] = field(default_factory=set)
    last: dict[int, int] = field(default_factory=dict)
    """The number of the last one by sender: one session's arrive in the order of its commits."""


class Channels:
    """All channels of a database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inboxes: dict[int, Inbox] = {}
        self._sent: dict[tuple[str, str], Notification] = {}
        self._count = 0
        self.delivered = 0

    def open(self, owner: int) -> Inbox:
        """A session begins; its client's number takes the place of the one before."""
        inbox = Inbox(owner)
        with self._lock:
            self._inboxes[owner] = inbox
        return inbox

    def close(self, inbox: Inbox) -> None:
        """A session has ended."""
        with self._lock:
            if self._inboxes.get(inbox.owner) is inbox:
                del self._inboxes[inbox.owner]

    # --- commits: begun before they are sent, settled once they are answered ------------------------------------------

    def listen(self, inbox: Inbox, channel: str, idle_at: float) -> Subscription | None:
        """LISTEN is about to be committed by who was last idle then; None if it listens to that already."""
        with self._lock:
            before = inbox.subscriptions.setdefault(channel, [])
            if before and before[-1].ending == NEVER:
                return None
            before.append(Subscription(idle_at))
            return before[-1]

    def settle_listen(self, subscription: Subscription) -> None:
        """It was committed."""
        subscription.settled = time.monotonic()

    def unlisten(self, inbox: Inbox, channel: str) -> list[Subscription]:
        """UNLISTEN is about to be committed. What has not come yet, need not come any more."""
        with self._lock:
            names = list(inbox.subscriptions) if channel == "*" else [channel]
            inbox.due = {key: since for key, since in inbox.due.items() if key[0] not in names}
            ending = [one[-1] for name in names if (one := inbox.subscriptions.get(name)) and one[-1].ending == NEVER]
            for subscription in ending:
                subscription.ending = time.monotonic()
            return ending

    def settle_unlisten(self, ending: list[Subscription]) -> None:
        """It was committed."""
        for subscription in ending:
            subscription.ended = time.monotonic()

    def notify(self, sender: int, channel: str, payload: str) -> Notification:
        """NOTIFY is about to be committed."""
        with self._lock:
            self._count += 1
            sent = Notification(sender, self._count, time.monotonic())
            self._sent[channel, payload] = sent
            return sent

    def settle_notify(self, channel: str, payload: str) -> None:
        """It was committed: from now on it is due to those who listened all the time."""
        with self._lock:
            sent = self._sent[channel, payload]
            sent.settled = time.monotonic()
            for inbox in self._inboxes.values():
                if (channel, payload) in inbox.heard:
                    continue
                if any(
                    one.settled < sent.begun and one.ending == NEVER for one in inbox.subscriptions.get(channel, ())
                ):
                    inbox.due[channel, payload] = sent.settled

    # --- deliveries -----------------------------------------------------------------------------------------------

    def receive(self, inbox: Inbox, channel: str, payload: str) -> str:
        """A session got a notification; what is wrong with that, in words, or nothing."""
        now = time.monotonic()
        with self._lock:
            self.delivered += 1
            sent = self._sent.get((channel, payload))
            if sent is None:
                return f"a notification that nobody sent: {channel!r} {payload[:60]!r}"
            if (channel, payload) in inbox.heard:
                return f"a notification for the second time: {channel!r} {payload[:60]!r}"
            inbox.heard.add((channel, payload))
            inbox.due.pop((channel, payload), None)
            if not any(
                one.begun <= min(sent.settled, now) and one.ended >= sent.begun
                for one in inbox.subscriptions.get(channel, ())
            ):
                return f"a notification of a channel that it does not listen to: {channel!r} {payload[:60]!r}"
            if inbox.last.get(sent.sender, 0) > sent.number:
                return f"a notification after a later one of the same sender: {channel!r} {payload[:60]!r}"
            inbox.last[sent.sender] = sent.number
        return ""

    def is_from(self, sender: int, channel: str, payload: str) -> bool:
        """Whether this client sent it."""
        sent = self._sent.get((channel, payload))
        return sent is not None and sent.sender == sender

    def overdue(self, inbox: Inbox, seconds: float) -> str:
        """What should have come that long ago, in words, or nothing."""
        limit = time.monotonic() - seconds
        with self._lock:
            late = [key for key, since in inbox.due.items() if since < limit]
        return f"a notification has not come within {seconds:g} s: {late!r}"[:200] if late else ""
