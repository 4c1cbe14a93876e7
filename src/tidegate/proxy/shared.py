"""What all workers share, made once by the supervisor: budget and client counts, wake-up and peer sockets.

Owns these descriptors, which outlive every worker, which target has which part of the budget, and which proxy which
count of clients. Refuses to use them.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Collection, Mapping, Sequence

from tidegate.config.model import TargetConfig
from tidegate.errors import ConfigError
from tidegate.pool.budget_keeper import BudgetKeeper
from tidegate.pool.client_limit import ClientLimit, clients_size, format_clients
from tidegate.pool.slot_table import format_region, region_size

TARGET_CAPACITY = 64
"""Parts of the budget. The memory is sparse: an unused one costs address space only."""

PROXY_CAPACITY = 1024
"""Counts of clients; a few cache lines each."""

BOOTSTRAP_LIMIT = 1
"""Server connections that may be opened before the first of them has told what the database can hold."""

TargetKey = tuple[str, str, int]
"""Name, host and port: the same name at another address is another database with a budget of its own."""


class Shared:
    """Descriptors of this process that workers inherit under the same numbers."""

    def __init__(self, workers: int) -> None:
        size = region_size(TARGET_CAPACITY, workers)
        self.budget_fd = os.memfd_create("tidegate-budget", os.MFD_CLOEXEC)
        os.ftruncate(self.budget_fd, size)
        self._memory = mmap.mmap(self.budget_fd, size)
        format_region(self._memory, TARGET_CAPACITY, workers)
        self.keeper = BudgetKeeper(self._memory)
        size = clients_size(PROXY_CAPACITY, workers)
        self.clients_fd = os.memfd_create("tidegate-clients", os.MFD_CLOEXEC)
        os.ftruncate(self.clients_fd, size)
        self._counts = mmap.mmap(self.clients_fd, size)
        format_clients(self._counts, PROXY_CAPACITY, workers)
        self.wake_fds = tuple(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(workers))
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers)]
        self._sockets = [end for pair in pairs for end in pair]
        for end in self._sockets:
            end.setblocking(False)
        self.inbox_fds = tuple(inbox.fileno() for inbox, _ in pairs)
        self.peer_fds = tuple(peer.fileno() for _, peer in pairs)
        self._numbers: dict[TargetKey, int] = {}
        self._proxies: dict[str, int] = {}

    def fds_for(self, worker: int) -> list[int]:
        """The descriptors that a worker inherits."""
        return [self.budget_fd, self.clients_fd, self.inbox_fds[worker], *self.wake_fds, *self.peer_fds]

    def wake(self, workers: Sequence[int]) -> None:
        """Make these workers look at the budget."""
        for worker in workers:
            try:
                os.eventfd_write(self.wake_fds[worker], 1)
            except BlockingIOError:  # its counter is full: it is awake, or dead and will start with a look
                continue

    def number_targets(self, targets: Sequence[TargetConfig]) -> tuple[dict[str, int], list[int]]:
        """Give each target its part of the budget; (name -> number, numbers that are no longer used).

        ConfigError if there are more targets than parts that are free or unused.
        """
        before = self._numbers
        numbers: dict[TargetKey, int] = {key: before[key] for key in map(key_of, targets) if key in before}
        taken = {*before.values()}
        for target in targets:
            key = key_of(target)
            if key not in numbers:
                numbers[key] = self._free_part(taken)
                taken.add(numbers[key])
        for target in targets:
            if key_of(target) not in before:
                self.keeper.set_limit(numbers[key_of(target)], target.max_connections or BOOTSTRAP_LIMIT)
        self._numbers = numbers
        unused = [number for key, number in before.items() if key not in numbers]
        return {name: number for (name, _, _), number in numbers.items()}, unused

    def _free_part(self, taken: set[int]) -> int:
        """A part that nobody uses, nor a worker that has not let go of a removed target yet."""
        for number in range(TARGET_CAPACITY):
            if number not in taken and self.keeper.used(number) == 0:
                return number
        raise ConfigError(f"[[target]]: more than {TARGET_CAPACITY} targets; a restart frees those that were removed")

    def number_proxies(self, names: Collection[str]) -> dict[str, int]:
        """Give each proxy its count of clients, always the same one; ConfigError if there are more than counts.

        A removed proxy keeps its count, since its clients stay and it may come back, unless all others are in use.
        """
        for name in names:
            if name not in self._proxies:
                self._proxies[name] = self._free_count(names)
        return {name: self._proxies[name] for name in names}

    def _free_count(self, names: Collection[str]) -> int:
        taken = set(self._proxies.values())
        for number in range(PROXY_CAPACITY):
            if number not in taken:
                return number
        for name, number in self._proxies.items():
            if name not in names and self._count(number).everywhere() == 0:
                del self._proxies[name]
                return number
        raise ConfigError(f"[[proxy]]: more than {PROXY_CAPACITY} proxies that are configured or have clients")

    def _count(self, number: int, worker: int = 0) -> ClientLimit:
        return ClientLimit(self._counts, number, worker)

    def clients(self) -> dict[str, int]:
        """Clients of each proxy over all workers, as max_client_connections counts them; removed proxies too."""
        return {name: self._count(number).everywhere() for name, number in self._proxies.items()}

    def forget_clients(self, worker: int) -> None:
        """A dead worker's clients are gone. Call it before another gets its number."""
        for number in self._proxies.values():
            self._count(number, worker).forget()

    def budgets(self) -> Mapping[str, Mapping[str, int]]:
        """The state of each target's budget, for statistics."""
        keeper = self.keeper
        return {
            name: {"limit": keeper.limit(at), "used": keeper.used(at), "orphans": keeper.orphans(at)}
            for (name, _, _), at in self._numbers.items()
        }

    def close(self) -> None:
        """Close every descriptor."""
        for end in self._sockets:
            end.close()
        for fd in (self.budget_fd, self.clients_fd, *self.wake_fds):
            os.close(fd)


def key_of(target: TargetConfig) -> TargetKey:
    """What makes a target the same one after a reload."""
    return target.name, target.host, target.port
