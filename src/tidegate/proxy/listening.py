"""All addresses that are listened on, and how they change at a reload.

Owns which proxy has which sockets. Refuses to make them (`sockets` does) or to tell the workers (`supervisor` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.config.addresses import Address, TcpAddress, listen_addresses
from tidegate.config.model import Config
from tidegate.errors import ConfigError
from tidegate.proxy.boot import Listener
from tidegate.proxy.sockets import Bound, open_bound


class ListenError(ConfigError):
    """Addresses that can't be had."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """problems: what is wrong, by the name of the proxy whose address it is; one for each proxy."""
        super().__init__("\n".join(problems.values()))
        self.problems = problems


Key = tuple[Address, int]
"""A configured address, and a count that tells several with port 0 apart."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A configured address in use."""

    proxy: str
    bound: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A step from one configuration's addresses to another's; nothing of it holds before commit()."""

    after: Mapping[Key, Entry]
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    """An address that only moved to another proxy is in both, with the same sockets."""


class Listening:
    """The listening sockets of the supervisor."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._entries: Mapping[Key, Entry] = {}

    def plan(self, config: Config) -> Change:
        """Open what the configuration has more. ListenError names each proxy's first address that cannot be opened;
        nothing changed."""
        after: dict[Key, Entry] = {}
        added: list[Entry] = []
        opened: list[Entry] = []
        problems: dict[str, str] = {}
        wanted = wanted_addresses(config)
        leaving = {key[0].port for key in self._entries.keys() - wanted.keys() if isinstance(key[0], TcpAddress)}
        for key, proxy in wanted.items():
            entry = self._entries.get(key)
            if entry is None:
                try:
                    setting = f'[[proxy]] "{proxy}": listen'
                    entry = Entry(proxy, tuple(open_bound(key[0], self._workers, setting, leaving)))
                except ConfigError as error:
                    problems.setdefault(proxy, str(error))
                    continue
                opened.append(entry)
                added.append(entry)
            elif entry.proxy != proxy:
                entry = Entry(proxy, entry.bound)
                added.append(entry)
            after[key] = entry
        if problems:
            _close(opened)
            raise ListenError(problems)
        removed = [entry for key, entry in self._entries.items() if after.get(key) != entry]
        return Change(after, tuple(added), tuple(removed))

    def commit(self, change: Change) -> None:
        """Take the change as done: what it removed is closed."""
        kept = {id(bound) for entry in change.after.values() for bound in entry.bound}
        self._entries = change.after
        _close([entry for entry in change.removed if not kept & {id(bound) for bound in entry.bound}])

    def undo(self, change: Change) -> None:
        """Drop a change that was planned: what it opened is closed."""
        known = {id(bound) for entry in self._entries.values() for bound in entry.bound}
        _close([entry for entry in change.added if not known & {id(bound) for bound in entry.bound}])

    def listeners(self, worker: int) -> tuple[Listener, ...]:
        """What a worker listens on."""
        return describe(tuple(self._entries.values()), worker)

    def addresses(self) -> dict[str, list[str]]:
        """Proxy -> its addresses, with real ports."""
        found: dict[str, list[str]] = {}
        for entry in self._entries.values():
            found.setdefault(entry.proxy, []).extend(str(bound.address) for bound in entry.bound)
        return found

    def close(self) -> None:
        """Stop listening."""
        _close(list(self._entries.values()))
        self._entries = {}


def describe(entries: tuple[Entry, ...], worker: int) -> tuple[Listener, ...]:
    """The sockets of one worker, as its control channel names them."""
    return tuple(
        Listener(
            proxy=entry.proxy,
            address=str(bound.address),
            unix=bound.unix,
            fd=bound.socket_for(worker).fileno(),
        )
        for entry in entries
        for bound in entry.bound
    )


def wanted_addresses(config: Config) -> dict[Key, str]:
    """Every address of a configuration and the proxy it belongs to. ListenError if one is there twice."""
    wanted: dict[Key, str] = {}
    for proxy in config.proxies:
        for address in listen_addresses(proxy.listen):
            count = sum(1 for other, _ in wanted if other == address)
            if count and getattr(address, "port", None) != 0:
                raise ListenError({proxy.name: f'[[proxy]] "{proxy.name}": listen: "{address}" is there twice'})
            wanted[address, count] = proxy.name
    return wanted


def _close(entries: list[Entry]) -> None:
    for entry in entries:
        for bound in entry.bound:
            bound.close()
