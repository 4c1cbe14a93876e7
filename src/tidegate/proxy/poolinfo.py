# cython: annotation_typing=False
"""What a worker knows of a (database, user) pool: enough to greet a client without asking a server.

Owns the parameters a fresh server reports, the start-up parameters that servers have taken before, and greetings made
of both. What it learns from a server it tells the other workers. Refuses to ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tidegate.pool.limits import PoolKey
from tidegate.proxy.learnt import Checked, Learnt
from tidegate.session.settings import Interned, Settings
from tidegate.wire.postgres import messages

CHECKED_KEPT = 4096  # distinct (name, value) pairs
GREETINGS_KEPT = 256
PACKET_KEPT = 1024  # bytes; a longer StartupMessage is read each time
NAME_LENGTH = 63  # bytes; PostgreSQL cuts an application_name to NAMEDATALEN - 1


class Greeting(NamedTuple):
    """How a session begins: its defaults, what of these its client gave, the parameters that the client sees, and the
    ParameterStatus messages that say so.
    """

    defaults: Settings
    given: Settings
    seen: Settings
    messages: bytes


class PoolInfo:
    """Start-up parameters are checked once by a server; from then on their canonical spelling is remembered."""

    def __init__(self, interned: Interned, target: int, pool: PoolKey, tell: Callable[[Learnt], None]) -> None:
        self.base: Settings | None = None
        self.initial = interned.nothing  # what init_query sets, which every session starts with
        self.idle_session_timeout = 0.0  # seconds; of its servers, which the proxy enforces
        self._interned = interned
        self._target = target
        self._pool = pool
        self._tell = tell
        self._names: dict[str, str] = {}
        self._checked: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._by_packet: dict[bytes, Greeting] = {}
        self._greetings: OrderedDict[Settings, Greeting] = OrderedDict()

    def based_on(self, reported: Settings, initial: Settings, idle_session_timeout: float) -> None:
        """A fresh server of this pool has reported its parameters; `initial`: init_query has set these."""
        now = reported, initial, idle_session_timeout
        if (self.base, self.initial, self.idle_session_timeout) != now:
            self._rebase(reported, initial, idle_session_timeout)
            self._say()

    def learnt(self, told: Learnt) -> None:
        """Another worker has heard this from a server."""
        if told.parameters:
            self._rebase(
                self._interned.intern(_as_bytes(told.parameters)),
                self._interned.intern(_as_bytes(told.initial)),
                told.idle_session_timeout,
            )
        for one in told.checked:
            self._keep(one.name, one.value.encode("latin-1"), one.canonical.encode("latin-1"))

    def _say(self, checked: tuple[Checked, ...] = ()) -> None:
        """Tell what a fresh server said, or only which start-up parameters have been checked."""
        assert self.base is not None
        self._tell(
            Learnt(
                target=self._target,
                pool=self._pool,
                parameters={} if checked else _as_text(self.base.values),
                initial={} if checked else _as_text(self.initial.values),
                idle_session_timeout=self.idle_session_timeout,
                checked=checked,
            )
        )

    def _rebase(self, reported: Settings, initial: Settings, idle_session_timeout: float) -> None:
        self.idle_session_timeout = idle_session_timeout
        if reported is self.base and initial is self.initial:
            return
        self.base = reported
        self.initial = initial
        self._names = {name.lower(): name for name in reported.values}
        self._checked.clear()
        self._greetings.clear()
        self._by_packet.clear()

    def canonical(self, wanted: dict[str, bytes]) -> Settings | None:
        """These start-up parameters as the server spells them; None if a server must check one first."""
        if not wanted:
            return self._interned.nothing
        values: dict[str, bytes] = {}
        for name, value in wanted.items():
            known = self._checked.get((name, value))
            if known is None and name == "application_name" and _is_plain(value):
                known = value[:NAME_LENGTH]
            if known is None:
                return None
            values[name] = known
        return self._interned.intern(values)

    def learn(self, wanted: dict[str, bytes], values: Sequence[bytes]) -> None:
        """A server took these parameters and spells them so."""
        new = []
        for (name, value), canonical in zip(wanted.items(), values, strict=True):
            if self._checked.get((name, value)) != canonical:
                new.append(Checked(name=name, value=value.decode("latin-1"), canonical=canonical.decode("latin-1")))
            self._keep(name, value, canonical)
        if new and self.base is not None:
            self._say(tuple(new))

    def _keep(self, name: str, value: bytes, canonical: bytes) -> None:
        self._checked[name, value] = canonical
        if len(self._checked) > CHECKED_KEPT:
            self._checked.popitem(last=False)

    def known_greeting(self, packet: bytes) -> Greeting | None:
        """How a client with this very StartupMessage was greeted before; `greeting_for` explains it."""
        return self._by_packet.get(packet)

    def remember(self, packet: bytes, greeting: Greeting) -> None:
        """Greet the next client that sends the same at once: those of one application all do."""
        if len(self._by_packet) >= GREETINGS_KEPT:
            self._by_packet.clear()
        if len(packet) <= PACKET_KEPT:
            self._by_packet[packet] = greeting

    def greeting_for(self, wanted: dict[str, bytes]) -> Greeting | None:
        """How a session begins whose client asks for these start-up parameters: they go before init_query's.

        None if a server must be asked first.
        """
        if self.base is None:
            return None
        given = self.canonical(wanted)
        if given is None:
            return None
        found = self._greetings.get(given)
        if found is None:
            found = self._greetings[given] = self._greeting(self.base, given)
            if len(self._greetings) > GREETINGS_KEPT:
                self._greetings.popitem(last=False)
        return found

    def _greeting(self, base: Settings, given: Settings) -> Greeting:
        changes = {self._names[name]: value for name, value in given.values.items() if name in self._names}
        seen = self._interned.changed(base, changes)
        parts = [
            messages.parameter_status(name.encode("utf-8", "surrogateescape"), value)
            for name, value in seen.values.items()
        ]
        return Greeting(self._interned.changed(self.initial, given.values), given, seen, b"".join(parts))


def _as_text(values: Mapping[str, bytes]) -> dict[str, str]:
    return {name: value.decode("latin-1") for name, value in values.items()}


def _as_bytes(values: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in values.items()}


def _is_plain(value: bytes) -> bool:
    """Whether PostgreSQL takes an application_name as it stands (pg_clean_ascii changes everything else)."""
    return value.isascii() and value.decode("ascii").isprintable()
