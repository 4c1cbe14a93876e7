"""RDS and EC2 over HTTP with their reconciler, before a data plane that does what it is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from tests.support.control import ACCOUNT, REGION, ROOT, Guard, find_key
from tests.support.tidegate import wait_until
from tests.unit.control.services.rds.stage import Secrets
from tidegate.control.api.app import make_app
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.api.server import ApiServer
from tidegate.control.desired import HealthBoard, Place, Plan, Reconciler, make_plan, settle
from tidegate.control.ports import Desired, Failure, Health, TargetHealth
from tidegate.control.services.ec2.lookup import Lookup
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.ec2.service import Ec2Service
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.rds.settings import Settings
from tidegate.control.services.rds.usage import user_of
from tidegate.control.store.sealed import open_sealer
from tidegate.control.store.store import Store, Transaction
from tidegate.control.store.thread import StoreThread

T = TypeVar("T")


class Plane:
    """Applies everything, once it may."""

    def __init__(self) -> None:
        self.desired = Desired()
        self.free = asyncio.Event()
        self.free.set()

    async def apply(self, desired: Desired) -> dict[str, Failure]:
        """As ports.DataPlane."""
        await self.free.wait()
        self.desired = desired
        return {}

    async def health(self) -> dict[str, TargetHealth]:
        """All targets are well."""
        return {
            proxy.resource_id: TargetHealth(state=Health.AVAILABLE)
            for proxy in self.desired.proxies
            if proxy.target is not None
        }


class Running:
    """The services over a data folder, in an event loop of its own thread."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.sealer = open_sealer(folder)
        self.secrets = Secrets()
        self.guard = Guard()
        self.plane = Plane()
        self.board = HealthBoard()
        self._store = StoreThread(Store(folder / "state.db"))
        rds = RdsService(network=Lookup(), sealer=self.sealer, health=self.board.of, settings=settings)
        services = (rds, Ec2Service(used=user_of))
        dispatcher = Dispatcher(self._store, services, self.guard, find_key, account=ACCOUNT, region=REGION)
        self._server = ApiServer(make_app(dispatcher, time.time), "127.0.0.1", 0)
        self._place = Place(ACCOUNT, REGION)
        self._reconciler = Reconciler(
            in_transaction=self._store.run,
            plan=self._plan,
            settle=lambda transaction, plan, failures: settle(
                transaction, plan, failures, at=time.time(), place=self._place
            ),
            data_plane=self.plane,
            board=self.board,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api")

    def _plan(self, transaction: Transaction) -> Plan:
        credentials = partial(make_plan, place=self._place, credentials=self.secrets, sealer=self.sealer)
        return credentials(transaction, at=time.time())

    def __enter__(self) -> Running:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *failure: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._store.close()

    def client(self, service: str = "rds") -> Any:
        """boto3 as it is, at this endpoint."""
        return boto3.client(
            service,
            endpoint_url=self._server.url,
            region_name=REGION,
            aws_access_key_id=ROOT.access_key,
            aws_secret_access_key=ROOT.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def hold(self) -> None:
        """What is applied from now on waits."""
        self._loop.call_soon_threadsafe(self.plane.free.clear)

    def release(self) -> None:
        """What waits is applied."""
        self._loop.call_soon_threadsafe(self.plane.free.set)

    def until_available(self, client: Any, name: str) -> dict[str, Any]:
        """DescribeDBProxies of a proxy, once it is available."""
        wait_until(lambda: client.describe_db_proxies(DBProxyName=name)["DBProxies"][0]["Status"] == "available", name)
        return dict(client.describe_db_proxies(DBProxyName=name)["DBProxies"][0])

    async def _start(self) -> None:
        await self._store.run(lambda transaction: seed(transaction, ACCOUNT, REGION, time.time()))
        self._end_listening = self._store.listen(self._reconciler.changed)
        self._reconciling = asyncio.create_task(self._reconciler.run())
        await self._server.start()

    async def _stop(self) -> None:
        await self._server.stop()
        self._end_listening()
        self._reconciling.cancel()
        await asyncio.gather(self._reconciling, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
