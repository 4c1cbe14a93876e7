from typing import Any

from tidegate.proxy.relay import Relay
from tidegate.proxy.worker import Worker

class Cancels:
    def __init__(self, worker: Worker) -> None: ...
    def request(self, client: Relay, pid: int, key: bytes) -> None: ...
    def told(self, message: dict[str, Any]) -> None:
        """`message` is parsed JSON of another worker."""
