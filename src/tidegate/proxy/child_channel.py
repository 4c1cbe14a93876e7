"""The supervisor's end of a control channel, on asyncio.

Owns one socket: sends messages in order with their file descriptors, hands on what arrives, says once when it ends.
Refuses to know what the messages mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from tidegate.proxy.control import ControlError, Decoder, Message, encode

READ_SIZE = 256 * 1024
"""Bytes read from the socket at once."""


class Channel:
    """on_message is called for each message, on_end once, with "" at an orderly end or what went wrong."""

    def __init__(
        self, end: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[str], None]
    ) -> None:
        self._socket = end
        self._on_message = on_message
        self._on_end = on_end
        self._decoder = Decoder()
        self._queue: deque[tuple[memoryview, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._open = True
        end.setblocking(False)
        self._loop.add_reader(end, self._read)

    def send(self, message: Message) -> None:
        """Queue a message and send what the socket takes; nothing happens once the channel has ended."""
        if not self._open:
            return
        line, fds = encode(message)
        self._queue.append((memoryview(line), fds))
        if len(self._queue) == 1:
            self._write()

    def close(self) -> None:
        """Take in what had arrived before the other side ended, then close; on_end is not called any more."""
        self._on_end = lambda _: None
        while self._open and self._read():
            pass
        self._finish()

    def _read(self) -> bool:
        """Take in one piece; False when there is none."""
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionResetError:  # it died before it had read everything
            return self._end("")
        except OSError as error:
            return self._end(error.strerror or str(error))
        if not data:
            return self._end("")
        try:
            messages = self._decoder.feed(data)
        except ControlError as error:
            return self._end(str(error))
        for message in messages:
            self._on_message(message)
        return True

    def _write(self) -> None:
        while self._queue:
            line, fds = self._queue[0]
            try:
                sent = socket.send_fds(self._socket, [line], fds) if fds else self._socket.send(line)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._write)
                return
            except (BrokenPipeError, ConnectionResetError):
                self._end("")
                return
            except OSError as error:
                self._end(error.strerror or str(error))
                return
            if sent == len(line):
                self._queue.popleft()
            else:  # the descriptors went with the first byte
                self._queue[0] = (line[sent:], [])
        self._loop.remove_writer(self._socket)

    def _end(self, problem: str) -> bool:
        self._finish()
        self._on_end(problem)
        return False

    def _finish(self) -> None:
        if self._open:
            self._open = False
            self._queue.clear()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
