from tidegate.pool.slot import Slot
from tidegate.session.settings import Settings

class Server:
    slot: Slot
    initial: Settings
    dedicated: bool
    applied: Settings
    reported: Settings
    pid: int
    key: bytes
    cancels: int
    tunnel: bool
    tainted: bool
    def open(self, fd: int) -> None: ...
    def fileno(self) -> int: ...
