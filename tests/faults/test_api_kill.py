"""The AWS API under kill -9 at any moment: what was answered is there after it, whole, and what was under way goes on.

Threads make calls by boto3 that change things, each with a model of what it was told (`api_plays`). Then the process is
killed. A copy of its state file must hold what the models say; only the call that got no answer may have happened or
not. Hundreds of kills are of the control plane alone, which a process that has loaded everything forks; a few are of
the whole program, before a database.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.faults.api_plays import Clients, Play, instance, state_of
from tests.support.postgres import Postgres
from tests.support.stack import RDS_TRUST, Stack, policy
from tests.support.tidegate import wait_until
from tidegate.control.api.models import load_api
from tidegate.control.plane import ControlPlane, Options
from tidegate.control.ports import Desired, Failure, Health, TargetHealth
from tidegate.control.profile import environment
from tidegate.demo.postgres import free_port

KILLS = 240
WHOLE_KILLS = 4
SEED = 20261122
THREADS = 3
MAX_WAIT = 0.2
"""Seconds from the start of a process, or from its first answer, to its end, at most."""
WAIT = 30.0


# The control plane alone


class Quick:
    """A data plane that is done in a moment, and not at once."""

    def __init__(self) -> None:
        self._proxies: tuple[str, ...] = ()

    async def apply(self, desired: Desired, *, again: bool) -> dict[str, Failure]:
        """As ports.DataPlane."""
        await asyncio.sleep(random.random() * 0.01)
        self._proxies = tuple(one.resource_id for one in desired.proxies if one.target)
        return {}

    async def health(self) -> dict[str, TargetHealth]:
        """As ports.DataPlane."""
        return {name: TargetHealth(state=Health.AVAILABLE) for name in self._proxies}


def fork_planes() -> None:
    """Runs in a process of its own: for each line `port folder`, fork a control plane. Tells `PID` and `PID up`."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for service in ("rds", "ec2", "iam", "sts", "secretsmanager"):
        load_api(service)
    for line in sys.stdin:
        port, folder = line.split()
        pid = os.fork()
        if pid == 0:
            asyncio.run(serve_plane(int(port), Path(folder)))
            os._exit(0)
        os.write(1, f"{pid}\n".encode())


async def serve_plane(port: int, folder: Path) -> None:
    """Until killed."""
    plane = ControlPlane(Options(host="127.0.0.1", port=port, data=folder))
    await plane.start(Quick())
    os.write(1, f"{os.getpid()} up\n".encode())
    await asyncio.Event().wait()


class Planes:
    """Starts and kills control planes on one data folder, one after the other, at one address."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self._port = free_port()
        root = Path(__file__).parents[2]
        with self.log.open("ab") as log:
            self._forker = subprocess.Popen(
                [sys.executable, "-c", "from tests.faults.test_api_kill import fork_planes; fork_planes()"],
                cwd=root,
                env=os.environ | {"PYTHONPATH": f"{root}:{root / 'src'}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        self._clients: dict[str, Any] = {}

    def start(self, *, until_up: bool) -> None:
        """Begin one; until_up: return when it answers, else at once."""
        self._tell(f"{self._port} {self.data}\n")
        while not (line := self._hear()).strip().isdigit():
            continue  # the word of an earlier one
        self._pid = int(line)
        self._descriptor = os.pidfd_open(self._pid)
        while until_up and self._hear() != f"{self._pid} up\n":
            continue

    def _tell(self, line: str) -> None:
        assert self._forker.stdin is not None
        self._forker.stdin.write(line)

    def _hear(self) -> str:
        assert self._forker.stdout is not None
        line = self._forker.stdout.readline()
        assert line, self.log.read_text()[-4000:]
        return line

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        assert select.select([self._descriptor], [], [], WAIT)[0], "it survives SIGKILL"
        os.close(self._descriptor)

    def close(self) -> None:
        """End the forker; no plane may run any more."""
        assert self._forker.stdin is not None and self._forker.stdout is not None
        self._forker.stdin.close()
        self._forker.wait(WAIT)
        self._forker.stdout.close()

    def client(self, service: str) -> Any:
        """One for all threads: making it takes longer than most processes here live."""
        if service not in self._clients:
            variables = environment(self.data)
            self._clients[service] = boto3.client(
                service,
                endpoint_url=f"http://127.0.0.1:{self._port}",
                region_name=variables["AWS_REGION"],
                aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]


# The tests


@pytest.fixture
def planes(tmp_path: Path) -> Iterator[Planes]:
    made = Planes(tmp_path)
    try:
        yield made
    finally:
        made.close()


def cast(client: Clients, address: str) -> list[Play]:
    """The plays, with what all proxies have: a role, a secret, and the instance `base` at an address."""
    role = client("iam").create_role(RoleName="base", AssumeRolePolicyDocument=json.dumps(RDS_TRUST))["Role"]["Arn"]
    client("iam").put_role_policy(RoleName="base", PolicyName="all", PolicyDocument=policy("*", "*"))
    value = json.dumps({"username": "app", "password": "app"})
    secret = client("secretsmanager").create_secret(Name="base", SecretString=value)["ARN"]
    client("rds").create_db_instance(**instance("base", address))
    subnets = [one["SubnetId"] for one in client("ec2").describe_subnets()["Subnets"]]
    return [
        Play(f"p{number}x", random.Random(SEED + number), subnets=subnets, secret=secret, role=role)
        for number in range(THREADS)
    ]


class Acting:
    """The plays go on in threads until the end of the block, which has to kill what they call."""

    def __init__(self, plays: list[Play], client: Clients) -> None:
        self._over = threading.Event()
        self._wrong: list[BaseException] = []
        self._client = client
        self._threads = [threading.Thread(target=self._run, args=(play,)) for play in plays]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a call has no end"
        assert self._wrong == []

    def _run(self, play: Play) -> None:
        try:
            play.go_on(self._client, self._over)
        except BaseException as error:
            self._wrong.append(error)


def statuses(client: Clients) -> set[str]:
    """Of all proxies, endpoints and instances."""
    rds = client("rds")
    found = [(one["Status"], "proxy") for one in rds.describe_db_proxies()["DBProxies"]]
    found += [(one["Status"], "end") for one in rds.describe_db_proxy_endpoints()["DBProxyEndpoints"]]
    found += [(one["DBInstanceStatus"], "db") for one in rds.describe_db_instances()["DBInstances"]]
    return {status for status, _ in found}


@pytest.mark.timeout(400)
def test_hundreds_of_kills_of_the_control_plane(planes: Planes, tmp_path: Path) -> None:
    """Nothing answered is lost, nothing is there in part, and who answers again has finished what was under way."""
    chance = random.Random(SEED)
    planes.start(until_up=True)
    plays = cast(planes.client, "127.0.0.1:1")
    planes.kill()
    answered = doubts = happened = 0
    for _ in range(KILLS):
        up = chance.random() < 0.8  # else it is killed while it starts, as often as not
        planes.start(until_up=up)
        if up:
            assert statuses(planes.client) <= {"available"}, "something is still under way"
        with Acting(plays, planes.client):
            time.sleep(chance.random() * MAX_WAIT)
            planes.kill()
        state = state_of(planes.data, tmp_path / "copy")
        for play in plays:
            before, doubt = play.model, play.doubt
            play.settle(state)
            doubts += doubt is not None
            happened += doubt is not None and play.model != before
    answered = sum(play.answered for play in plays)
    print(f"{KILLS} kills, {answered} calls answered, {doubts} cut off, of which {happened} had happened")
    assert answered > KILLS
    assert 0 < happened < doubts, "no kill has come amid a call"
    assert "Traceback" not in planes.log.read_text()


@pytest.mark.timeout(300)
def test_kills_of_the_whole_program(tmp_path: Path) -> None:
    """The same before a database: after each start all proxies serve, those that were changed amid the kill, too."""
    chance = random.Random(SEED)
    with Postgres() as database, Stack() as stack:
        database.start()
        database.add_role("app")
        made: dict[str, Any] = {}

        def start() -> None:
            stack.start()
            made.update({service: stack.client(service) for service in ("ec2", "iam", "rds", "secretsmanager")})

        stack.kill()
        start()
        client = made.__getitem__
        plays = cast(client, f"{database.host}:{database.port}")
        for number in range(WHOLE_KILLS):
            with Acting(plays, client):
                time.sleep(0.3 + chance.random())
                os.kill(stack.pid, signal.SIGKILL)
                if number % 2:
                    stack.kill()  # with its workers; else these find out by themselves
                assert stack.stop() == -signal.SIGKILL
            state = state_of(stack.data, tmp_path / "copy")
            for play in plays:
                play.settle(state)
            start()
            wait_until(lambda: statuses(client) == {"available"}, "all is done that was under way", WAIT)
            for proxy in client("rds").describe_db_proxies()["DBProxies"]:
                name = proxy["DBProxyName"]
                if client("rds").describe_db_proxy_targets(DBProxyName=name)["Targets"]:
                    wait_until(lambda: stack.serves(name), name, WAIT)  # noqa: B023
                    with stack.connect(proxy["Endpoint"], "app", "app") as session:
                        assert session.execute("SELECT 1").fetchone() == (1,)
        assert sum(play.answered for play in plays) > WHOLE_KILLS
        assert "Traceback" not in stack.said()
