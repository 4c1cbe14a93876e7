"""What a worker is given at its start: its number, keys, shared memory, its sockets, the settings.

Owns the shape of that one record, the first line on a worker's control channel. Refuses to make or open any of it:
the supervisor does (`supervisor`, `sockets`), and the file descriptors in it are inherited under the same numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from tidegate.auth.rds_token import SigningKeys
from tidegate.proxy.learnt import Learnt
from tidegate.proxy.plain import from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One listening socket. Its address is unique among all listeners, and names it when it is removed."""

    proxy: str
    """Name of the proxy that its clients use."""
    address: str
    """Where it is bound: "host:port" with the real port, "[ipv6]:port", or a path."""
    unix: bool
    """A Unix socket is shared by all workers, a TCP socket is this worker's own (SO_REUSEPORT)."""
    fd: int
    """Non-blocking, listening; TCP_NODELAY and keepalive are set and inherited by accepted sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Everything a worker needs beside its program."""

    worker: int
    """Its number, from 0; a restarted worker has the number of the one it replaces."""
    workers: int
    mock_keys: dict[str, str]
    """Target name -> 32 bytes in hex, the same for all workers: what salts are made up with (`auth.mock_key`)."""
    listeners: tuple[Listener, ...]
    budget_fd: int
    """memfd with the shared budget (pool/slot_table.pyx), to be mapped whole, read-write and shared."""
    targets: dict[str, int]
    """Target name -> its number in the shared budget."""
    clients_fd: int
    """memfd with the counts of clients (pool/client_limit.pyx), to be mapped in the same way."""
    proxies: dict[str, int]
    """Proxy name -> its number in the counts of clients."""
    wake_fds: tuple[int, ...]
    """One non-blocking eventfd for each worker: write to another's to wake it, read the own one."""
    peer_fds: tuple[int, ...]
    """One Unix datagram socket for each worker: what is sent there arrives at that worker's inbox."""
    inbox_fd: int
    """Unix datagram socket on which this worker receives from its peers (non-blocking)."""
    learnt: tuple[Learnt, ...]
    """What other workers, or the one before it, have learnt from servers."""
    aws_keys: dict[str, SigningKeys]
    """Target name -> what signs tokens for its database."""
    config: dict[str, Any]
    """Config.to_dict(); Config.from_dict() rebuilds it."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(to_plain(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The reverse of to_json(); ValueError if it is anything else."""
        return from_plain(cls, json.loads(text))
