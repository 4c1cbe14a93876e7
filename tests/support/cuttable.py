"""A way to the database that can be cut as if its host had lost power: nothing that is sent is acknowledged any more.

Owns the sockets and threads between the proxy and the database. Refuses to read what it passes on.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

SO_ATTACH_FILTER = 26


class CuttableWay:
    """Listens on `port` and connects each that comes to the database, until its connection is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._database = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._by_port: dict[int, socket.socket] = {}
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes accept(); close() would not
        self._thread.join()
        self._listener.close()
        for each in self._open:
            each.close()

    def cut(self, client_port: int) -> None:
        """Whatever the proxy sends on the connection that the database sees come from this port vanishes."""
        drop_all = (ctypes.c_uint8 * 8)(0x06, 0, 0, 0, 0, 0, 0, 0)  # BPF: return 0, keep nothing of the packet
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(drop_all))
        self._by_port[client_port].setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._database)
                self._open += [near, far]
                self._by_port[far.getsockname()[1]] = near
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
