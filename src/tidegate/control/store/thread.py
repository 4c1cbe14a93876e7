"""The one thread that the store is used from: transactions one after the other, asked for from anywhere.

Owns the order of transactions, and telling who listens what a commit has written. Refuses to know what a transaction
is for: API calls, tasks and the desired state all come through here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from tidegate.control.store.store import Store, Transaction

T = TypeVar("T")
Committed = Callable[[frozenset[str]], None]
"""Told the kinds of records that a commit has written."""

log = logging.getLogger(__name__)


class StoreAccess(Protocol):
    """The store, as seen by who works with it from outside its thread."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction of its own and wait for it, from the event loop."""

    def run_sync(self, work: Callable[[Transaction], T]) -> T:
        """The same from any other thread."""


class StoreThread:
    """Runs work in transactions, one at a time. `work` must not wait for anything; if it raises, nothing is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tidegate-store")
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Committed]] = []
        self._lock = threading.Lock()
        self._ident: int | None = None

    def listen(self, committed: Committed) -> Callable[[], None]:
        """From now on, call `committed` in the running event loop after each commit that wrote something.

        It is called before the one who asked for the transaction goes on, if that one is in the same loop. Returns
        what ends it.
        """
        listener = (asyncio.get_running_loop(), committed)
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and wait for it. Whoever is cancelled while waiting does not undo what has begun."""
        return await asyncio.wrap_future(self._executor.submit(self._in_transaction, work))

    def run_sync(self, work: Callable[[Transaction], T]) -> T:
        """The same for another thread; RuntimeError from within a transaction, which could only wait for itself."""
        if threading.get_ident() == self._ident:
            raise RuntimeError("a transaction asks for another one: it would wait for itself")
        return self._executor.submit(self._in_transaction, work).result()

    def _in_transaction(self, work: Callable[[Transaction], T]) -> T:
        self._ident = threading.get_ident()
        with self._store.transaction() as transaction:
            result = work(transaction)
        if transaction.written:
            self._tell(frozenset(transaction.written))
        return result

    def _tell(self, kinds: frozenset[str]) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for loop, committed in listeners:
            try:
                loop.call_soon_threadsafe(committed, kinds)
            except RuntimeError:  # its loop has been closed without an end to the listening
                log.debug("nobody listens any more to what is committed")

    def close(self) -> None:
        """Let what has been asked for finish, then release the store's file."""
        self._executor.shutdown(wait=True)
        self._store.close()
