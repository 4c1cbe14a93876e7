"""A database host that vanishes without a word, beside a backend that lives and does not read."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support import messages as m
from tests.support.cuttable import CuttableWay
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import Message, errors, tags

GIVEN_UP = 25.0  # seconds at the least, as engine.reach has it
DATA = b"1\n" * 500_000


@pytest.mark.timeout(240)
def test_lost_host_is_given_up_and_a_slow_backend_is_not(postgres: Postgres) -> None:
    """Both for longer than the limit: the one client is told, the other's COPY goes on."""
    postgres.add_role("lost_host", "SUPERUSER")
    postgres.sql("CREATE TABLE lost_host_rows (a int)")
    with CuttableWay(postgres.host, postgres.port) as way:
        target = {"host": "127.0.0.1", "port": way.port, "max_connections": 2}
        with Proxy(postgres, target=target) as proxy:
            proxied = Side("proxied", proxy.host, proxy.port, "lost_host", "lost_host", "postgres", 2)
            direct = Side("direct", postgres.host, postgres.port, "lost_host", "lost_host", "postgres", 2)
            with proxied.login(timeout=60) as lost, proxied.login(timeout=150) as slow, direct.login() as locker:
                locker.query("BEGIN; LOCK TABLE lost_host_rows")
                copied: list[Message] = []

                def copy() -> None:
                    slow.send(m.query("COPY lost_host_rows FROM STDIN"), m.copy_data(DATA) * 25, m.copy_done())
                    copied.extend(slow.read_ready())

                copying = threading.Thread(target=copy)
                copying.start()
                lost.query("BEGIN")
                port = lost.value("SELECT inet_client_port()")
                way.cut(int(port or "0"))
                began = time.monotonic()
                lost.send(m.query("SELECT 1"))
                (told,) = errors(lost.read_to_end())
                assert told["C"] == "08006" and "acknowledges nothing" in told["D"], told
                assert GIVEN_UP - 1 < time.monotonic() - began < GIVEN_UP + 15
                time.sleep(3)
                assert copying.is_alive()
                locker.query("COMMIT")
                copying.join(120)
                assert tags(copied) == ["COPY 12500000"]
                with proxied.login() as later:  # its place in the pool is free
                    assert later.value("SELECT 1") == "1"
    # The backend whose client vanished has not noticed, and would sit in its transaction for as long as TCP waits.
    postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'lost_host'")
