"""Services of the control plane behind a real server on loopback, in an event loop of their own thread.

Owns the thread, the loop, and boto3's clients of what is served. Refuses to know any service.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
from botocore.config import Config

from tests.support.control import ACCOUNT, REGION, ROOT, Guard, find_key
from tidegate.control.api.app import make_app
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.api.server import ApiServer
from tidegate.control.services.service import Service
from tidegate.control.store.store import Store
from tidegate.control.store.thread import StoreThread

T = TypeVar("T")


class Served:
    """Serves from the beginning of the block to its end; what else is to run begins and ends in `_start` and `_stop`.

    guard: allows everything until a test denies something.
    """

    def __init__(self, folder: Path, services: Sequence[Service], tls: ssl.SSLContext | None = None) -> None:
        self.guard = Guard()
        self._store = StoreThread(Store(folder / "state.db"))
        dispatcher = Dispatcher(self._store, services, self.guard, find_key, account=ACCOUNT, region=REGION)
        self._server = ApiServer(make_app(dispatcher, time.time), "127.0.0.1", 0, tls=tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *failure: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._store.close()

    @property
    def url(self) -> str:
        """What --endpoint-url takes."""
        return self._server.url

    def client(self, service: str, *, secret: str = ROOT.secret, verify: str | None = None, **config: Any) -> Any:
        """boto3 as it is, at this endpoint, as root. verify: a file of certificates; config: of botocore's Config."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ROOT.access_key,
            aws_secret_access_key=secret,
            verify=verify,
            config=Config(**{"retries": {"total_max_attempts": 1}, **config}),
        )

    async def _start(self) -> None:
        await self._server.start()

    async def _stop(self) -> None:
        await self._server.stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
