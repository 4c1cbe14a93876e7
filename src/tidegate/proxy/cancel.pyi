from collections.abc import Callable
from typing import Any

from tidegate.proxy.relay import Relay
from tidegate.proxy.server import Server
from tidegate.proxy.target import Target
from tidegate.proxy.worker import Worker

class Cancels:
    def __init__(self, worker: Worker) -> None: ...
    def request(self, client: Relay, pid: int, key: bytes) -> None: ...
    def cancel_client(self, client: Relay, done: Callable[[], object] | None) -> None: ...
    def send(self, target: Target, server: Server, done: Callable[[], object] | None) -> None: ...
    def told(self, message: dict[str, Any]) -> None:
        """`message` is parsed JSON of another worker."""
