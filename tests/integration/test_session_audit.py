"""`session_audit`: what the tracker misses is found, named, and reaches nobody else."""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.counted import direct, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side, all_servers_held
from tests.support.tidegate import Proxy
from tests.support.wire import errors

__all__ = ["direct"]

HIDDEN = {
    "setting": ("PERFORM set_config('work_mem', '7MB', false)", "SHOW work_mem", "work_mem"),
    "role": ("PERFORM set_config('role', 'pg_monitor', false)", "SELECT current_user", "role"),
    "temporary table": (
        "EXECUTE 'CREATE TE' || 'MP TABLE audit_hidden (a int)'",
        "SELECT to_regclass('pg_temp.audit_hidden')",
        "temp_object",
    ),
    "lock": (
        "PERFORM pg_advisory_lock(812)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "advisory_lock",
    ),
}


@pytest.mark.parametrize(("body", "ask", "named"), HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("prepared", [False, True], ids=["simple", "prepared"])
def test_hidden_state_is_found(
    postgres: Postgres, wire_role: str, direct: Side, body: str, ask: str, named: str, prepared: bool
) -> None:
    """Its owner keeps it, too: what was found is carried, or pins."""
    with direct.login() as other:
        other.query("DROP FUNCTION IF EXISTS audit_hide()")
    with Proxy(postgres, proxy={"session_audit": 1.0}, target={"max_connections": 2}) as proxy:
        side = proxied_side(proxy, 2)
        with side.login() as owner, direct.login() as other:
            untouched = owner.value(ask)
            # Made only now, and directly, so that the proxy has never heard of it.
            other.query(f"CREATE FUNCTION audit_hide() RETURNS int LANGUAGE plpgsql AS $$BEGIN {body}; RETURN 1; END$$")
            if prepared:
                assert not errors(owner.ask(m.batch("SELECT audit_hide()")))
            else:
                owner.query("SELECT audit_hide()")
            kept = owner.value(ask)
            assert kept != untouched
            with side.login() as stranger:
                assert stranger.value(ask) == untouched
            assert owner.value(ask) == kept
            assert proxy.stats()["audit_findings"] == 1
        lines = [line for line in proxy.stderr().splitlines() if "session audit" in line]
        assert len(lines) == 1 and named in lines[0] and "SELECT audit_hide()" in lines[0]


def test_nothing_is_found_where_nothing_is_hidden(postgres: Postgres, wire_role: str) -> None:
    with Proxy(postgres, proxy={"session_audit": 1.0}, target={"max_connections": 2}) as proxy:
        side = proxied_side(proxy, 2)
        for parameters in ({}, {"options": "-c work_mem=9MB"}):
            with side.login(**parameters) as client:
                for sql in (
                    "SELECT 1",
                    "SET lock_timeout = '9s'",
                    "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
                    "RESET ALL",
                    "BEGIN",
                    "SET LOCAL work_mem = '8MB'",
                    "COMMIT",
                    "SET ROLE pg_monitor",
                    "RESET ROLE",
                    "DISCARD ALL",
                    "SELECT 1",
                ):
                    client.query(sql)
        with all_servers_held(side) as holders:
            assert {holder.value("SHOW work_mem") for holder in holders} == {"4MB"}
        stats = proxy.stats()
        assert stats["audits"] > 0
        assert stats["audit_findings"] == 0


def test_no_audit_unless_asked_for(postgres: Postgres, wire_role: str) -> None:
    with Proxy(postgres) as proxy, proxied_side(proxy).login() as client:
        client.query("SELECT 1")
        assert proxy.stats()["audits"] == 0
