"""The API and a proxy that it has made under many clients, and the API under clients that are slow or broken.

A thousand database clients are coroutines of one process; so are hundreds of HTTP clients that say half of what they
should. What has to be answered meanwhile is asked by boto3 as it is, from other threads. No speed is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support.control_server import RunningFront
from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tests.support.tidegate import wait_until
from tidegate.control.api.server import MAX_CONNECTIONS
from tidegate.demo import processes

CLIENTS = 1000
AT_ONCE = 50
"""Logins that are under way at a time."""
OF_EACH = 50
"""Slow HTTP clients of each kind."""
END = 45.0
"""Seconds within which the API gives up who says nothing: its longest timeout, and some."""
MORE_MEMORY = 150 * 1024
"""KB that the supervisor may take for slow clients, at most."""


class Account:
    """A stack, and a proxy that serves the role `app` with few servers."""

    def __init__(self, stack: Stack, database: Postgres) -> None:
        self.stack = stack
        stack.register(database)
        self.secret = stack.secret(database, "app", "app")
        self.endpoint = str(stack.proxy("main", stack.role(), self.secret)["Endpoint"])
        self.rds, self.secrets, self.iam = map(stack.client, ("rds", "secretsmanager", "iam"))
        self._round = 0

    def call_all(self) -> int:
        """Some calls of each kind, one of which has the proxy reconfigured; how many. It raises if one is refused."""
        self._round += 1
        name = f"n{self._round}"
        calls: list[Callable[[], Any]] = [
            lambda: self.secrets.create_secret(Name=name, SecretString=name),
            lambda: self.secrets.get_secret_value(SecretId=name),
            lambda: self.rds.modify_db_proxy_target_group(
                DBProxyName="main",
                TargetGroupName="default",
                ConnectionPoolConfig={"MaxConnectionsPercent": 50 + self._round % 50, "ConnectionBorrowTimeout": 300},
            ),
            lambda: self.rds.describe_db_proxies(),
            lambda: self.rds.describe_db_proxy_targets(DBProxyName="main"),
            lambda: self.iam.list_roles(),
            lambda: self.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True),
        ]
        for call in calls:
            assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200
        return len(calls)

    def ask(self) -> None:
        """A database client comes, asks and goes."""
        with self.stack.connect(self.endpoint, "app", "app") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)

    def memory(self) -> int:
        """KB of the process that serves the API."""
        lines = Path(f"/proc/{self.stack.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    processes.raise_descriptor_limit()
    with Postgres(max_connections=30) as database:
        database.start()
        database.add_role("app")
        with Stack() as stack:
            yield Account(stack, database)


@pytest.mark.timeout(240)
def test_a_thousand_clients_and_calls_meanwhile(account: Account) -> None:
    """All are logged in together, all are answered rightly, none is dropped; and so is every call of the API."""
    answered = 0
    over = threading.Event()
    wrong: list[BaseException] = []

    def call() -> None:
        nonlocal answered
        try:
            while not over.is_set():
                answered += account.call_all()
        except BaseException as error:
            wrong.append(error)

    async def crowd() -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def come(number: int) -> asyncpg.Connection:
            async with gate:
                client = await asyncpg.connect(
                    host=account.endpoint, user="app", password="app", database="postgres", ssl=False, timeout=100
                )
                assert await client.fetchval(f"SELECT {number}") == number
                return client

        async def work(number: int, client: asyncpg.Connection) -> None:
            async with client.transaction():
                await client.execute(f"SET LOCAL application_name = 'c{number}'")
                assert await client.fetchval("SHOW application_name") == f"c{number}"

        clients = await asyncio.gather(*(come(number) for number in range(CLIENTS)))
        before = answered
        for _ in range(2):
            await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))
        while answered <= before and not wrong:
            await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))
        assert not any(client.is_closed() for client in clients)
        for client in clients:
            client.terminate()

    caller = threading.Thread(target=call)
    caller.start()
    try:
        asyncio.run(crowd())
    finally:
        over.set()
        caller.join()
    assert wrong == []
    assert answered > 0
    account.ask()


# Slow and broken HTTP clients

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Bad = Callable[[Stream], Awaitable[None]]


async def say(stream: Stream, data: bytes) -> None:
    """And wait for ever."""
    stream[1].write(data)
    await stream[1].drain()


async def silent(stream: Stream) -> None:
    """Nothing is said."""


async def half_a_line(stream: Stream) -> None:
    await say(stream, b"POST / HT")


async def endless_headers(stream: Stream) -> None:
    await say(stream, b"GET /health HTTP/1.1\r\n")
    for number in range(1_000_000):
        await say(stream, b"X-%d: y\r\n" % number)
        await asyncio.sleep(0.05)


async def half_a_body(stream: Stream) -> None:
    await say(stream, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nAction=")


async def a_body_by_drops(stream: Stream) -> None:
    await say(stream, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await say(stream, b"1\r\na\r\n")
        await asyncio.sleep(0.1)


NOTHING = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"


async def floods(stream: Stream) -> None:
    """Requests one behind the other, whose answers nobody reads."""
    stream[0]._transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        await say(stream, NOTHING * 1000)


async def breaks_off(stream: Stream) -> None:
    await say(stream, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nAction=")
    stream[1].transport.abort()


async def no_http(stream: Stream) -> None:
    await say(stream, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(32))


KINDS: tuple[Bad, ...] = (
    silent,
    half_a_line,
    endless_headers,
    half_a_body,
    a_body_by_drops,
    floods,
    breaks_off,
    no_http,
)


class Crowd:
    """HTTP clients of these kinds, in an event loop of their own, until the end of the block."""

    def __init__(self, url: str, kinds: list[Bad]) -> None:
        self._host, self._port = str(urlsplit(url).hostname), int(urlsplit(url).port or 0)
        self._kinds = kinds
        self.connected = 0
        self.open = 0
        """Connections that the server has not ended."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        wait_until(lambda: self.connected == len(self._kinds), "all are connected", 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._all.cancel)
        self._thread.join()

    def _run(self) -> None:
        self._all = self._loop.create_task(self._everybody())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._all)
        self._loop.close()

    async def _everybody(self) -> None:
        await asyncio.gather(*(self._one(kind) for kind in self._kinds))
        await asyncio.Event().wait()

    async def _one(self, kind: Bad) -> None:
        stream = await asyncio.open_connection(self._host, self._port)
        self.connected += 1
        self.open += 1
        try:
            with contextlib.suppress(OSError):
                await kind(stream)
            with contextlib.suppress(OSError):
                while await stream[0].read(65536):
                    continue
        finally:
            stream[1].transport.abort()
            self.open -= 1


@pytest.mark.timeout(240)
def test_slow_and_broken_http_clients(account: Account) -> None:
    """Others are served meanwhile, the memory stays bounded, and who says nothing useful is sent away in the end."""
    before = account.memory()
    with Crowd(account.stack.url, [kind for kind in KINDS for _ in range(OF_EACH)]) as crowd:
        for _ in range(5):
            account.call_all()
            account.ask()
        wait_until(lambda: crowd.open == 0, "they are sent away", END)
        account.call_all()
        assert account.memory() - before < MORE_MEMORY
    account.call_all()
    assert "Traceback" not in account.stack.said()


@pytest.mark.timeout(240)
def test_more_http_clients_than_there_may_be(account: Account) -> None:
    """As many as take all places: database clients don't notice, and the API is back when they are sent away."""
    with Crowd(account.stack.url, [half_a_line] * (MAX_CONNECTIONS + 50)) as crowd:
        for _ in range(5):
            account.ask()
        wait_until(lambda: crowd.open == 0, "they are sent away", END)
        account.call_all()
    account.ask()
    assert "Traceback" not in account.stack.said()


def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than all buffers, so that the server is left with the rest: it ends the connection, and serves others."""
    monkeypatch.setattr("tidegate.control.api.connection.READ_TIMEOUT", 0.3)
    size = 16 << 20
    with RunningFront(tmp_path) as front:
        front.rds.outcome = {"DBProxies": [{"DBProxyName": "a" * size}]}
        rds = front.client("rds")
        request = rds.generate_presigned_url("describe_db_proxies", HttpMethod="GET").removeprefix(front.url)
        with socket.socket() as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(("127.0.0.1", front.port))
            stream.sendall(f"GET {request} HTTP/1.1\r\nHost: 127.0.0.1:{front.port}\r\n\r\n".encode())
            assert stream.recv(1) == b"H"
            # The client can't see it: the end of the connection is behind what it has not read.
            server = front._server._server
            assert server is not None
            wait_until(lambda: not server.server_state.connections, "it does not wait for its reader")
            got = 0
            with contextlib.suppress(ConnectionResetError):
                while piece := stream.recv(65536):
                    got += len(piece)
        assert got < size
        front.rds.outcome = {}
        assert rds.describe_db_proxies()["ResponseMetadata"]["HTTPStatusCode"] == 200
