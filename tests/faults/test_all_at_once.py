"""Everything that may go wrong, in one run: workers killed and stopped, the database restarted, settings read anew.

Whatever happens, the database never sees more connections than are allowed, nobody is left hanging, nothing is logged
that nobody foresaw, and when all have left nothing is held any more.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import CUT_OFF
from tests.support.counted import USER, proxied_side
from tests.support.crowd import Crowd
from tests.support.fixtures import superuser
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_gone, wait_until
from tests.support.watch import Watch

WORKERS = 4
CLIENTS = 300
LIMIT = 12
POOL_SIZE = 8


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    with Postgres(max_connections=40, settings={"restart_after_crash": "on"}) as postgres:
        postgres.start()
        superuser(postgres, USER)
        yield postgres


class Adversary:
    """What is done to a proxy and its database, one thing after the other."""

    def __init__(self, proxy: Proxy, postgres: Postgres, seed: int) -> None:
        self.proxy, self.postgres = proxy, postgres
        self.chance = random.Random(seed)

    def kill_a_worker(self) -> None:
        self.proxy.kill_worker(self.chance.randrange(WORKERS))
        self.all_there()

    def kill_all_workers(self) -> None:
        pids = self.proxy.workers()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(pids) & set(self.proxy.workers()), "they are gone")
        self.all_there()

    def stop_a_worker(self) -> None:
        """It hangs for two seconds, then goes on with whatever it was doing."""
        pid = self.chance.choice(self.proxy.workers())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(pid, signal.SIGCONT)

    def stop_and_kill_a_worker(self) -> None:
        pid = self.chance.choice(self.proxy.workers())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.proxy.workers(), "it is gone")
        self.all_there()

    def stop_the_supervisor(self) -> None:
        """Clients are the workers' business alone."""
        os.kill(self.proxy.pid, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(self.proxy.pid, signal.SIGCONT)

    def restart_the_database(self) -> None:
        self.postgres.restart()

    def crash_the_database(self) -> None:
        self.postgres.kill9()
        time.sleep(0.3)
        self.postgres.start()

    def reload(self) -> None:
        """Lower limits, and the old ones again: those are what is watched."""
        for limit, size in ((LIMIT // 2, POOL_SIZE // 2), (LIMIT, POOL_SIZE)):
            self.proxy.target["max_connections"] = limit
            self.proxy.databases[USER] = {"pool_size": size}
            assert self.proxy.reload()["ok"]
            time.sleep(0.3)

    def all_there(self) -> None:
        wait_until(lambda: len(self.proxy.workers()) == WORKERS, "all workers are there")


def plan(seed: int) -> list[str]:
    names = [name for name in vars(Adversary) if not name.startswith("_") and name != "all_there"]
    return random.Random(seed).sample(names, len(names))


def held(proxy: Proxy) -> tuple[int, int, int, int]:
    """Slots, orphans, clients by the shared count, clients by the workers' own."""
    stats = proxy.stats()
    budget = stats["budgets"]["main"]
    return budget["used"], budget["orphans"], stats["proxies"]["main"]["clients"], stats["clients"]


@pytest.mark.parametrize("seed", [8])
def test_whatever_happens(mortal: Postgres, seed: int) -> None:
    """`seed` is the order of what happens, and to which worker; any number will do."""
    target = {"max_connections": LIMIT, "server_idle_timeout": 1}
    databases = {USER: {"pool_size": POOL_SIZE}}
    with (
        Watch(mortal.dsn(), USER, patient=True) as watch,
        Proxy(mortal, databases=databases, target=target, top={"workers": WORKERS}) as proxy,
    ):
        adversary = Adversary(proxy, mortal, seed)
        crowd = Crowd(proxied_side(proxy), CLIENTS)
        try:
            crowd.wait_for(CLIENTS)
            for name in plan(seed):
                getattr(adversary, name)()
                crowd.wait_for(CLIENTS // 3)
        finally:
            crowd.end()
        assert 1 < watch.highest <= POOL_SIZE
        assert [error for error in crowd.refused if not any(code in error for code in CUT_OFF)] == []
        wait_until(lambda: held(proxy) == (0, 0, 0, 0), "all is given back")
        assert "Traceback" not in proxy.stderr()
        proxy.stop()
        assert "Traceback" not in proxy.stderr()


def test_workers_end_with_their_supervisor(mortal: Postgres) -> None:
    """kill -9 of the supervisor: nobody else could stop them, and they would keep the port. Also one that hangs."""
    with Proxy(mortal, target={"max_connections": LIMIT}, top={"workers": WORKERS}) as proxy:
        crowd = Crowd(proxied_side(proxy), 100)
        try:
            crowd.wait_for(100)
            pids = proxy.workers()
            os.kill(pids[0], signal.SIGSTOP)
            os.kill(proxy.pid, signal.SIGKILL)
            wait_gone(pids, 5.0)
        finally:
            crowd.end()
        wait_until(lambda: not mortal.backends(USER), "its connections are gone from the database")
        proxy.start()
        proxied_side(proxy).login().quit()
