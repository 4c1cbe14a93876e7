import threading

from tidegate.engine.loop import Loop

class Handshakes:
    def __init__(self, loop: Loop) -> None: ...
    @property
    def steps(self) -> int: ...
    @property
    def offers(self) -> int: ...
    @property
    def thread(self) -> threading.Thread | None:
        """None before the first handshake."""
    def stop(self) -> None: ...
