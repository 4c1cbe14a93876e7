"""Messages and streams larger than any buffer, both ways; slow readers and writers; memory meanwhile.

Replies are counted and hashed instead of kept, so that the test's own memory stays small.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side, all_servers_held
from tests.support.tidegate import Proxy
from tests.support.wire import RawClient, rows, tags

MB = 1 << 20
GROWTH = 24 * MB  # what a relay may take for buffers, however large the stream

Digest = tuple[dict[str, int], int, str]


def digest(client: RawClient) -> Digest:
    """Messages by type, bytes of their bodies, and a hash over them, up to ReadyForQuery."""
    kinds: Counter[str] = Counter()
    size, sha = 0, hashlib.sha256()
    while True:
        reply = client.read()
        kinds[reply.kind] += 1
        size += len(reply.body)
        sha.update(reply.body)
        if reply.kind == "Z":
            return dict(kinds), size, sha.hexdigest()


RESULTS = {
    "64 rows of 1 MB": ("SELECT repeat('x', 1048576) FROM generate_series(1, 64)", 64 * MB),
    "one row of 64 MB": ("SELECT repeat('0123456789abcdef', 4194304)", 64 * MB),
    "a million small rows": ("SELECT g FROM generate_series(1, 1000000) g", 6 * MB),
    "COPY of 200 MB": ("COPY (SELECT repeat(md5(g::text), 32) FROM generate_series(1, 205000) g) TO STDOUT", 200 * MB),
}


@pytest.mark.parametrize(("sql", "least"), RESULTS.values(), ids=RESULTS.keys())
def test_results(direct: Side, proxied: Side, sql: str, least: int) -> None:
    seen: list[Digest] = []
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            client.send(m.query(sql))
            seen.append(digest(client))
            assert client.value("SELECT 1") == "1"
    assert seen[0][1] >= least
    assert seen[1] == seen[0]


def test_copy_in_of_200_mb(direct: Side, proxied: Side) -> None:
    """The WHERE keeps the rows out of the table: the stream is what is tested."""
    chunk = m.copy_data(b"".join(b"%07d\n" % i for i in range(MB // 8)))
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            client.send(m.query("COPY proto_scratch FROM STDIN WHERE a % 131072 = 131071"))
            client.read_until("G")
            for _ in range(200):
                client.send(chunk)
            client.send(m.copy_done())
            assert tags(client.read_ready()) == ["COPY 200"]
            assert client.value("SELECT 1") == "1"


def test_copy_in_as_one_message(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            client.send(m.query("COPY proto_scratch FROM STDIN WHERE a = 7"))
            client.read_until("G")
            client.send(m.copy_data(b"7\n" + b"1234567\n" * (8 * MB)), m.copy_done())
            assert tags(client.read_ready()) == ["COPY 1"]


def test_parameter_of_20_mb(direct: Side, proxied: Side, churned: None) -> None:
    value = b"0123456789" * (2 * MB)
    expected = (str(len(value)).encode(), hashlib.md5(value).hexdigest().encode())
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            client.ask(m.parse("SELECT length($1::text), md5($1::text)", "big"), m.sync())
            assert rows(client.ask(m.run_prepared("big", [value]))) == [expected]
            client.send(m.parse("SELECT $1::text", "echo"), m.run_prepared("echo", [value]))
            assert rows(client.read_ready()) == [(value,)]


def test_statement_of_2_mb(direct: Side, proxied: Side, churned: None) -> None:
    sql = f"SELECT length('{'x' * 2 * MB}')"
    expected = [(str(2 * MB).encode(),)]
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            assert rows(client.ask(m.query(sql))) == expected
            assert rows(client.ask(m.batch(sql))) == expected
            client.ask(m.parse(sql, "long"), m.sync())
            for _ in range(5):
                assert rows(client.ask(m.run_prepared("long"))) == expected


def test_long_pipeline(direct: Side, proxied: Side, churned: None) -> None:
    """5,000 batches written by one thread while another reads."""
    seen = []
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            data = b"".join(m.batch("SELECT $1::int", [str(i)]) for i in range(5000))
            writer = threading.Thread(target=client.send, args=(data,))
            writer.start()
            replies = client.read_ready(5000)
            writer.join()
            seen.append(rows(replies))
    assert seen[0] == seen[1] == [(str(i).encode(),) for i in range(5000)]


def test_pipeline_that_is_read_late(direct: Side, proxied: Side) -> None:
    """A client that writes 1,000 queries, with 100 MB of answers, before it reads the first."""
    for side in (direct, proxied):
        with side.login(timeout=60) as client:
            data = m.query("SELECT repeat('x', 100000)") * 1000
            writer = threading.Thread(target=client.send, args=(data,))
            writer.start()
            time.sleep(0.5)
            kinds = Counter(reply.kind for reply in client.read_ready(1000))
            writer.join()
            assert kinds["D"] == 1000 and kinds["E"] == 0


def resident(proxy: Proxy) -> int:
    """Bytes of memory that all workers hold (VmRSS, proc(5))."""
    pids = proxy.workers()
    assert pids
    status = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) * 1024 for text in status)


def highest(proxy: Proxy, seconds: float) -> int:
    """Most memory seen in that time."""
    deadline, most = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        most = max(most, resident(proxy))
        time.sleep(0.05)
    return most


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)",
        "COPY (SELECT repeat('x', 1000000) FROM generate_series(1, 1000)) TO STDOUT",
    ],
    ids=["rows", "copy"],
)
def test_slow_reader_takes_no_memory(proxy: Proxy, proxied: Side, sql: str) -> None:
    """A reader that stops amid 1 GB: the server waits, the proxy's memory doesn't grow, others go on."""
    with proxied.login() as other:
        other.query("SELECT 1")
        before = resident(proxy)
        slow = [proxied.login() for _ in range(2)]
        for client in slow:
            client.send(m.query(sql))
            client.read()
        assert highest(proxy, 1.5) - before < GROWTH
        assert other.value("SELECT 'served'") == "served"
        for client in slow:
            client.reset()
        with all_servers_held(proxied):
            assert resident(proxy) - before < GROWTH


def test_stuck_copy_takes_no_memory(proxy: Proxy, direct: Side, proxied: Side) -> None:
    """A server that stops reading holds its client back in turn."""
    with direct.login() as locker, proxied.login(timeout=60) as client:
        locker.query("BEGIN; LOCK TABLE proto_scratch")
        before = resident(proxy)
        client.send(m.query("COPY proto_scratch FROM STDIN WHERE a = 7"))
        data = m.copy_data(b"1234567\n" * (MB // 8)) * 100
        writer = threading.Thread(target=client.send, args=(data,))
        writer.start()
        assert highest(proxy, 1.0) - before < GROWTH
        locker.query("COMMIT")
        writer.join(30)
        client.send(m.copy_done())
        assert tags(client.read_ready()) == ["COPY 0"]


def test_long_statements_do_not_pin(postgres: Postgres, wire_role: str) -> None:
    """Simple, prepared with a name and without; what they do is known although they come in pieces."""
    with Proxy(postgres, target={"max_connections": 3}) as proxy:
        side = Side("small", proxy.host, proxy.port, "wire", "wire", "wire", 3)
        with side.login() as client, side.login() as other:
            for size in (20_000, 100_000, 900_000, 3_000_000):
                filler = f"/* {'x' * size} */"
                for number, sql in enumerate(
                    ("SET app.long = 'a'", f"SELECT set_config('app.long', 'b{size}', false)")
                ):
                    client.query(f"{sql} {filler}")
                    assert client.value("SELECT current_setting('app.long')") == ("a", f"b{size}")[number]
                value = f"c{size}"
                assert rows(client.ask(m.batch(f"SELECT set_config('app.long', $1, false) {filler}", [value])))
                assert client.value("SELECT current_setting('app.long')") == value
                assert not other.value("SELECT current_setting('app.long', true)")
                if size < MB:
                    client.ask(m.parse(f"SELECT $1::text {filler}", f"long{size}"), m.sync())
                    for _ in range(3):
                        assert rows(client.ask(m.run_prepared(f"long{size}", ["same"]))) == [(b"same",)]
            stats = proxy.stats()
            assert (stats["pins"], stats["pins_oversized_statement"], stats["clients_pinned"]) == (1, 1, 0)
            client.ask(m.parse(f"SELECT 1 /* {'x' * 2 * MB} */", "too_long"), m.sync())
            assert proxy.stats()["clients_pinned"] == 1
