"""The run: a database, a proxy, a thread for each client, and a line of progress now and then.

Owns the processes, the threads, and how many clients may hold a server at once. Refuses to judge: the model does.

With few servers, clients that each hold one (a temporary table, a lock) would leave none to the others, who then wait
for the borrow timeout. So only half as many clients as there are servers may hold something at a time (`permits`).
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.model import database
from tests.model.chooser import Chooser
from tests.model.client import Count, Difference, ModelClient, Starved, World
from tests.model.features import Feature
from tests.model.session import Login
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

PROGRESS = 10.0  # seconds between two lines
ENOUGH = 20  # differences, after which the run ends
GRACE = 15.0  # seconds for what is due at the end
PLAIN_SHARE = 5  # every so many-th client is no superuser
SPARE = 15  # connections of the database beside those of the run


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    seconds: float
    clients: int
    servers: int
    seed: int
    direct: bool
    features: frozenset[Feature]


@dataclass
class Outcome:
    """What came of it."""

    seconds: float = 0.0
    counts: list[Count] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    starved: int = 0
    delivered: int = 0
    stats: Mapping[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    """The proxy's lines about what the audit found, and of errors."""


class Soak:
    """One run's clients."""

    def __init__(self, plan: Plan, side: Mapping[str, Side], logins: Mapping[str, list[Login]]) -> None:
        self.plan, self.sides, self.logins = plan, side, logins
        self.world = World(features=plan.features)
        self.permits = threading.Semaphore(max(plan.servers // 2, 1))
        self.stop = threading.Event()
        self.outcome = Outcome()
        self.clients: list[ModelClient] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        """All clients until the time is up, or enough has been found."""
        begun = time.monotonic()
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(self.plan.clients)]
        for thread in threads:
            thread.start()
        while (passed := time.monotonic() - begun) < self.plan.seconds and not self.stop.is_set():
            self.stop.wait(min(PROGRESS, self.plan.seconds - passed))
            self._progress(time.monotonic() - begun)
        self.stop.set()
        for thread in threads:
            thread.join()
        self.outcome.seconds = time.monotonic() - begun
        self.outcome.counts = [client.count for client in self.clients]
        self.outcome.delivered = self.world.channels.delivered

    def _client(self, number: int) -> None:
        chance = random.Random(self.plan.seed * 1000 + number)
        user = database.PLAIN if number % PLAIN_SHARE == PLAIN_SHARE - 1 else database.SUPERUSER
        client = None
        while not self.stop.is_set():
            try:
                if client is None:
                    client = ModelClient(number, self.sides[user], self.logins[user], self.world, chance)
                    with self._lock:
                        self.clients.append(client)
                else:
                    client.connect()
                self._session(client)
            except Difference as difference:
                self._found(str(difference))
            except Starved:
                with self._lock:
                    self.outcome.starved += 1
            except Exception:
                self._found(f"client {number}: {traceback.format_exc()}")
            if client is not None:
                client.forget()
                client.raw.sock.close()

    def _session(self, client: ModelClient) -> None:
        """Operations until the end, and what is due then."""
        chooser = Chooser(client)
        permitted = False
        try:
            while not self.stop.is_set():
                permitted = permitted or self.permits.acquire(blocking=False)
                client.may_pin = permitted
                chooser.step()
                if permitted and not client.pinned and client.session.status == "I":
                    self.permits.release()
                    permitted = False
            chooser.finish(GRACE)
        finally:
            if permitted:
                self.permits.release()

    def _found(self, words: str) -> None:
        with self._lock:
            self.outcome.differences.append(words)
            enough = len(self.outcome.differences) >= ENOUGH
        print(f"DIFFERENCE: {words.splitlines()[0]}", flush=True)
        if enough:
            self.stop.set()

    def _progress(self, passed: float) -> None:
        counts = [client.count for client in list(self.clients)]
        transactions = sum(count.transactions for count in counts)
        pinned = sum(client.pinned for client in list(self.clients))
        print(
            f"{passed:6.0f} s: {sum(count.statements for count in counts)} statements, {transactions} transactions"
            f" ({transactions / passed:.0f}/s), {pinned} pinned, {len(self.outcome.differences)} differences",
            flush=True,
        )


def soak(plan: Plan) -> Outcome:
    """Run the plan on a database of its own."""
    print(f"{plan.clients} clients on {plan.servers} servers for {plan.seconds:.0f} s, seed {plan.seed}", flush=True)
    connections = (plan.clients if plan.direct else plan.servers) + SPARE
    with Postgres(max_connections=connections) as postgres:
        postgres.start()
        database.prepare(postgres)
        if plan.direct:
            return _run(plan, postgres, postgres)
        with Proxy(postgres, proxy={"session_audit": 1.0}, target={"max_connections": plan.servers}) as proxy:
            outcome = _run(plan, postgres, proxy)
            outcome.stats = proxy.stats()
            words = ("session audit", " ERROR ", "Traceback")
            outcome.log = [line for line in proxy.stderr().splitlines() if any(word in line for word in words)]
            proxy.stop()
            return outcome


def _run(plan: Plan, postgres: Postgres, where: Postgres | Proxy) -> Outcome:
    users = (database.SUPERUSER, database.PLAIN)
    logins = {user: database.logins(database.side(postgres, "direct", user, plan.servers)) for user in users}
    sides = {user: database.side(where, "soaked", user, plan.servers) for user in users}
    run = Soak(plan, sides, logins)
    run.run()
    return run.outcome
