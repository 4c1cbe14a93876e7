"""Random operations of a few clients on fewer servers, by Hypothesis: each client sees what its session's model says.

The same plays run straight at the database: a difference there is the model's mistake. `soak/` does this for minutes,
with many clients at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.model import database, features
from tests.model.chooser import Chooser
from tests.model.client import Difference, ModelClient, World
from tests.model.operations import ALL
from tests.model.operations.base import Operation
from tests.model.operations.looking import ShowEverything, ShowLocks
from tests.model.operations.preparing import BindAndExecute
from tests.model.operations.temporary import MissingTemp
from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy

CLIENTS, SERVERS = 4, 3
LIMITS = settings(
    max_examples=80,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
"""The same plays in each run, for about twenty seconds a side; a difference is made small, which takes its time."""


class Clients(RuleBasedStateMachine):
    """Some clients of one side. Each operation is a rule (`machine`)."""

    side: Side
    logins: list[database.Login]
    has: frozenset[features.Feature]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(features=self.has)
        self.clients = [
            ModelClient(number, self.side, self.logins, self.world, random.Random(number)) for number in range(CLIENTS)
        ]

    def play(self, operation: Operation, slot: int, chance: random.Random) -> None:
        """One operation of one client, if it makes sense there; not of one for which there may be no server."""
        holding = [one for one in self.clients if one.pinned or one.session.status != "I"]
        client = self.clients[slot]
        if client not in holding and len(holding) >= SERVERS - 1:
            client = holding[slot % len(holding)]
        client.chance = chance
        client.may_pin = client.pinned or sum(one.pinned for one in self.clients) < SERVERS - 1
        if operation.allowed(client):
            client.note(f"-- {operation.kind}")
            operation.play(client)
            for one in self.clients:
                one.listen_idly()

    def teardown(self) -> None:
        """Whatever is due must come, and each session still be its own."""
        try:
            for client in sorted(self.clients, key=lambda one: not one.pinned and one.session.status == "I"):
                Chooser(client).finish(10.0)
                client.forget()
                client.raw.quit()
        finally:
            for client in self.clients:
                client.raw.sock.close()


def machine(side: Side, logins: list[database.Login], has: frozenset[features.Feature]) -> type[Clients]:
    """The state machine of one side."""

    def rule_of(operation: Operation) -> Callable[..., None]:
        def play(self: Clients, slot: int, chance: random.Random) -> None:
            self.play(operation, slot, chance)

        play.__name__ = operation.kind
        return rule(slot=st.integers(0, CLIENTS - 1), chance=st.randoms(use_true_random=False))(play)

    rules = {one.kind: rule_of(one) for one in ALL}
    return type("Clients", (Clients,), {"side": side, "logins": logins, "has": has, **rules})


@pytest.fixture(scope="module")
def database_side(postgres: Postgres) -> Side:
    """Straight at the database that the operations need."""
    database.prepare(postgres)
    return database.side(postgres, "direct", database.SUPERUSER, SERVERS)


@pytest.fixture
def audited(postgres: Postgres, database_side: Side) -> Iterator[Proxy]:
    """A proxy of fewer servers than there are clients, whose audit must find nothing."""
    with Proxy(postgres, proxy={"session_audit": 1.0}, target={"max_connections": SERVERS}) as proxy:
        yield proxy
        assert proxy.stats()["audit_findings"] == 0, proxy.stderr()


def test_the_database_is_as_the_model_says(database_side: Side) -> None:
    run_state_machine_as_test(machine(database_side, database.logins(database_side), features.ALL), settings=LIMITS)


@pytest.mark.timeout(600)
def test_the_proxy_is_as_the_model_says(database_side: Side, audited: Proxy) -> None:
    side = database.side(audited, "proxied", database.SUPERUSER, SERVERS)
    run_state_machine_as_test(machine(side, database.logins(database_side), features.PRESENT), settings=LIMITS)


# --- the model can fail -----------------------------------------------------------------------------------------------

BEHIND_ITS_BACK = {
    "setting": ("SET lock_timeout = '77s'", ShowEverything()),
    "role": ("SET ROLE soak_reader", ShowEverything()),
    "reported setting": ("SET TimeZone = 'Asia/Tokyo'", ShowLocks()),
    "lock": ("SELECT pg_advisory_lock(1)", ShowLocks()),
    "temporary table": ("CREATE TEMP TABLE soak_temp_1_1 ()", MissingTemp()),
    "prepared statement": ("PREPARE p9 AS SELECT 1", BindAndExecute()),
    "open block": ("BEGIN", ShowLocks()),
}


@pytest.mark.parametrize(("sql", "look"), BEHIND_ITS_BACK.values(), ids=BEHIND_ITS_BACK)
def test_a_difference_is_seen(database_side: Side, sql: str, look: Operation) -> None:
    logins = database.logins(database_side)[:1]
    client = ModelClient(0, database_side, logins, World(features=features.ALL), random.Random(1))
    look.play(client)
    client.raw.ask(m.query(sql))
    with pytest.raises(Difference):
        look_often(client, look)


def look_often(client: ModelClient, look: Operation) -> None:
    """What is asked is drawn."""
    for _ in range(200):
        look.play(client)
