from enum import IntEnum
from typing import Final

NEWEST_MINOR: Final[int]

class Opening(IntEnum):
    """What the first packet is."""

    STARTUP = 0
    CANCEL = 1
    ENCRYPTION = 2

class UnsupportedProtocol(ValueError):
    """A protocol version other than 3.x."""

class Startup:
    """A parsed first packet."""

    @property
    def opening(self) -> Opening: ...
    @property
    def minor(self) -> int: ...
    @property
    def asked_minor(self) -> int: ...
    @property
    def user(self) -> bytes: ...
    @property
    def database(self) -> bytes: ...
    @property
    def options(self) -> bytes: ...
    @property
    def replication(self) -> bytes: ...
    @property
    def unknown_options(self) -> list[bytes]: ...
    @property
    def parameters(self) -> dict[bytes, bytes]: ...
    @property
    def cancel_pid(self) -> int: ...
    @property
    def cancel_key(self) -> bytes: ...
    @property
    def must_negotiate(self) -> bool: ...

def parse_startup(body: bytes) -> Startup: ...
