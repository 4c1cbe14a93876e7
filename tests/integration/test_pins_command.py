"""`tidegate pins`: who keeps a server, and why."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tidegate.demo.processes import python_environment


def pins(proxy: Proxy) -> list[str]:
    """The command's lines."""
    command = [sys.executable, "-m", "tidegate", "pins", "--config", str(proxy.config_file)]
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_pinned_and_why(postgres: Postgres, wire_role: str, workers: int) -> None:
    with Proxy(postgres, top={"workers": workers}) as proxy:
        side = proxied_side(proxy)
        assert pins(proxy) == ["no session is pinned"]
        with side.login(application_name="the billing job") as first, side.login() as second:
            first.query("CREATE TEMP TABLE\n\tpinned_rows (a int)")
            pid = first.value("SELECT 0 + pg_backend_pid()")
            second.query("SELECT pg_advisory_lock(811)")
            header, *rows = pins(proxy)
            assert header.split() == ["reason", "seconds", "application", "user", "database", "server", "statement"]
            table, lock = sorted(rows, key=lambda row: row.startswith("advisory_lock"))
            assert table.startswith("temp_object") and lock.startswith("advisory_lock")
            assert f"the billing job  {USER}" in table and f"  {pid}" in table
            assert table.endswith("  CREATE TEMP TABLE pinned_rows (a int)")
            assert lock.endswith("  SELECT pg_advisory_lock(811)")
            second.query("SELECT pg_advisory_unlock(811)")
            assert len(pins(proxy)) == 2
        wait_until(lambda: pins(proxy) == ["no session is pinned"], "all have left")
