"""Settings that no server takes any more: the session ends with words that say why, and nothing runs without them."""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.sides import Side, all_servers_held
from tests.support.wire import ConnectionEnded, error_fields

ROLE = "proto_dropped"


@pytest.fixture(autouse=True)
def role(schema: None, direct: Side) -> None:
    with direct.login() as client:
        client.query(f"DROP ROLE IF EXISTS {ROLE}")
        client.query(f"CREATE ROLE {ROLE}; GRANT SELECT, INSERT ON proto_scratch TO {ROLE}")


def drop_role(direct: Side, proxied: Side) -> None:
    """Gone at the database, and reset at every server of the pool."""
    with all_servers_held(proxied), direct.login() as client:
        client.query(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


@pytest.mark.parametrize("way", ["simple", "extended"])
def test_says_which_setting_and_runs_nothing(direct: Side, proxied: Side, way: str) -> None:
    client = proxied.login()
    client.query(f"SET ROLE {ROLE}")
    client.query("SET work_mem = '5MB'")
    drop_role(direct, proxied)
    sql = "INSERT INTO proto_scratch VALUES (1)"
    client.send(m.query(sql) if way == "simple" else m.batch(sql))
    replies = client.read_to_end()
    assert [reply.kind for reply in replies] == ["E"]
    fields = error_fields(replies[0])
    assert fields["V"] == "FATAL"
    assert fields["C"] == "22023"
    assert "settings (role, work_mem)" in fields["M"]
    assert f'role "{ROLE}" does not exist' in fields["M"]
    with direct.login() as other:
        assert other.value("SELECT count(*) FROM proto_scratch") == "0"


def test_costs_no_server_and_disturbs_nobody(direct: Side, proxied: Side) -> None:
    doomed = [proxied.login() for _ in range(3 * proxied.servers)]
    for client in doomed:
        client.query(f"SET ROLE {ROLE}")
    drop_role(direct, proxied)
    for client in doomed:
        with pytest.raises(ConnectionEnded):
            client.ask(m.query("SELECT current_user"))
    with all_servers_held(proxied) as holders:
        for holder in holders:
            assert holder.value("SELECT current_user") == proxied.user
            assert holder.value("SHOW exit_on_error") == "off"
