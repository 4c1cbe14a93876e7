"""RDS and EC2 over HTTP with their reconciler, before a data plane that does what it is told."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session

from tests.support.control import ACCOUNT, REGION
from tests.support.served import Served
from tests.support.tidegate import wait_until
from tests.unit.control.services.rds.stage import Secrets
from tidegate.control.desired import HealthBoard, Place, Plan, Reconciler, make_plan, settle
from tidegate.control.ports import Desired, Failure, Health, TargetHealth
from tidegate.control.services.ec2.lookup import Lookup
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.ec2.service import Ec2Service
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.rds.settings import Settings
from tidegate.control.services.rds.usage import user_of
from tidegate.control.store.sealed import open_sealer
from tidegate.control.store.store import Transaction

MODEL = botocore.session.Session().get_service_model("rds")
OPERATIONS = sorted(name for name in MODEL.operation_names if "DBProx" in name)
"""Those on proxies, their endpoints and targets."""


class Plane:
    """Applies everything, once it may."""

    def __init__(self) -> None:
        self.desired = Desired()
        self.free = asyncio.Event()
        self.free.set()

    async def apply(self, desired: Desired, *, again: bool) -> dict[str, Failure]:
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


class Running(Served):
    """The services over a data folder, and their reconciler."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.sealer = open_sealer(folder)
        self.secrets = Secrets()
        self.plane = Plane()
        self.board = HealthBoard()
        rds = RdsService(network=Lookup(), sealer=self.sealer, health=self.board.of, settings=settings)
        super().__init__(folder, (rds, Ec2Service(used=user_of)))
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

    def _plan(self, transaction: Transaction) -> Plan:
        credentials = partial(make_plan, place=self._place, credentials=self.secrets, sealer=self.sealer)
        return credentials(transaction, at=time.time())

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
        await super()._start()

    async def _stop(self) -> None:
        await super()._stop()
        self._end_listening()
        self._reconciling.cancel()
        await asyncio.gather(self._reconciling, return_exceptions=True)
