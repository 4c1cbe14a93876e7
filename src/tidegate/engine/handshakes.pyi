import threading

from tidegate.engine.loop import Loop

class Handshakes:
    def __init__(self, loop: Loop) -> None: ...
    @property
    def steps(self) -> int: ...
    @property
    def relieved(self) -> int:
        """Of these, how many the second thread has computed."""
    @property
    def threads(self) -> list[threading.Thread]:
        """The first and the second; none before the first handshake."""
    def stop(self) -> None: ...
