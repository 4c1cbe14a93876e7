from tidegate.config.model import Config
from tidegate.engine.handshakes import Handshakes
from tidegate.engine.loop import Loop
from tidegate.proxy.journal import Journal
from tidegate.session.settings import Interned
from tidegate.session.statements import Statements

class Stage:
    def flush_all(self) -> None: ...

class Counters:
    """Events since the worker started."""

    clients_accepted: int
    clients_rejected: int
    clients_encrypted: int
    servers_encrypted: int
    logins: int
    logins_failed: int
    transactions: int
    queries: int
    bytes_received: int
    bytes_sent: int
    borrows: int
    borrow_waits: int
    borrow_wait_seconds: float
    borrow_timeouts: int
    pins: int
    replays: int
    probes: int
    notifications: int
    notifications_sent: int
    listeners_opened: int
    listeners_lost: int
    parses_client: int
    parses_server: int
    cancels: int
    servers_opened: int
    servers_failed: int
    servers_closed: int
    def as_dict(self) -> dict[str, int | float]: ...

class Context:
    config: Config
    draining: bool
    verbose: bool
    @property
    def loop(self) -> Loop: ...
    @property
    def handshakes(self) -> Handshakes: ...
    @property
    def to_clients(self) -> Stage: ...
    @property
    def to_servers(self) -> Stage: ...
    @property
    def statements(self) -> Statements: ...
    @property
    def interned(self) -> Interned: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def counters(self) -> Counters: ...
    def __init__(self, config: Config) -> None: ...
