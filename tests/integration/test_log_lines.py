"""What the real proxy's log says of connections at each level, and what it never says."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Postgres, dsn
from tests.support.tidegate import Proxy, target_address, wait_until
from tidegate.errors import CloseReason

SECRET = "hunter2-xyzzy"


def logged(proxy: Proxy, message: str) -> list[dict[str, Any]]:
    """The lines whose message begins so, as they are written with log_format = "json"."""
    lines = [json.loads(line) for line in proxy.stderr().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"].startswith(message)]


def serving(postgres: Postgres, level: str, **more: Any) -> Proxy:
    return Proxy(postgres, top={"log_level": level, "log_format": "json"}, **more)


def connect(proxy: Proxy, password: str = "app") -> psycopg.Connection[Any]:
    return psycopg.connect(proxy.dsn("app", "app", password), autocommit=True)


def test_debug_tells_of_each_connection_from_its_beginning_to_its_end(postgres: Postgres) -> None:
    with serving(postgres, "debug") as proxy:
        with connect(proxy) as client:
            client.execute("SELECT 1")
            address = client.pgconn.socket
            with socket.socket(fileno=os.dup(address)) as own:
                host, port = own.getsockname()
        wait_until(lambda: logged(proxy, "client connection ended"), "its end is logged")
        (came,), (entered,), (went,) = (
            logged(proxy, said) for said in ("client connected", "client logged in", "client connection ended")
        )
        assert came["from"] == entered["from"] == went["from"] == f"{host}:{port}"
        assert (entered["user"], entered["database"], entered["proxy"]) == ("app", "app", "main")
        assert went["message"] == f"client connection ended: {CloseReason.CLIENT_LEFT}"
        assert went["seconds"] >= 0
        (opened,) = [one for one in logged(proxy, "server connection opened") if one["user"] == "app"]
        assert postgres.backends("app") == [opened["server"]]
        postgres.sql("SELECT pg_terminate_backend(%s)", [opened["server"]])
        wait_until(lambda: logged(proxy, f"server connection closed: {CloseReason.SERVER_LOST}"), "its end is logged")


def test_one_proxy_is_debugged_alone(postgres: Postgres) -> None:
    """From a reload to the next, and what is about the other one stays at its level."""
    second: dict[str, Any] = {"name": "second", "listen": ["127.0.0.1:0"], "target": "other"}
    target = {"name": "other", **target_address(postgres)}
    with serving(postgres, "warning", proxies=[second], targets=[target]) as proxy:
        (listening,) = logged(proxy, "listening on ")
        ports = re.findall(r"127\.0\.0\.1:(\d+) \(target", listening["message"])

        def visit() -> None:
            for port in ports:
                with psycopg.connect(dsn("127.0.0.1", int(port), "app", "app", "app")) as client:
                    client.execute("SELECT 1")

        visit()
        assert logged(proxy, "client") == logged(proxy, "server") == []
        second["debug_logging"] = True
        proxy.reload()
        visit()
        wait_until(lambda: logged(proxy, "client connection ended"), "its end is logged")
        assert {line["proxy"] for line in logged(proxy, "client")} == {"second"}
        assert {line["target"] for line in logged(proxy, "server")} <= {"other"}
        second["debug_logging"] = False
        proxy.reload()
        before = len(logged(proxy, "client"))
        visit()
        assert len(logged(proxy, "client")) == before


def test_info_tells_of_no_connection_that_is_well(postgres: Postgres) -> None:
    with serving(postgres, "info") as proxy:
        with connect(proxy) as client:
            client.execute("SELECT 1")
        assert logged(proxy, "client") == logged(proxy, "server") == []


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_a_failed_login_is_told_at_info_without_the_password(postgres: Postgres, level: str) -> None:
    with serving(postgres, level) as proxy:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(proxy, SECRET)
        wait_until(lambda: proxy.stats().get("clients_closed_login_refused"), "it is counted")
        lines = logged(proxy, "login failed")
        if level == "warning":
            assert lines == []
        else:
            (line,) = lines
            assert line["message"] == 'login failed: password authentication failed for user "app"'
            assert {name: line[name] for name in ("level", "user", "database", "proxy", "sqlstate", "reason")} == {
                "level": "info",
                "user": "app",
                "database": "app",
                "proxy": "main",
                "sqlstate": "28P01",
                "reason": CloseReason.LOGIN_REFUSED,
            }
            assert line["from"].startswith("127.0.0.1:")
        assert SECRET not in proxy.stderr()


def test_a_login_that_stalls_and_one_that_makes_no_sense_are_failed_logins(postgres: Postgres) -> None:
    with serving(postgres, "info", proxy={"login_timeout": 1}) as proxy:
        with (
            socket.create_connection((proxy.host, proxy.port)),
            socket.create_connection((proxy.host, proxy.port)) as wild,
        ):
            wild.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wait_until(lambda: len(logged(proxy, "login failed")) == 2, "both are logged")
        by_reason = {line["reason"]: line for line in logged(proxy, "login failed")}
        assert by_reason[CloseReason.PROTOCOL_ERROR]["message"] == "login failed: invalid length of startup packet"
        assert by_reason[CloseReason.LOGIN_TIMEOUT]["message"] == "login failed: not completed in time"


def test_many_failed_logins_are_a_few_lines_and_a_number(postgres: Postgres) -> None:
    with serving(postgres, "info", users=[{"name": "app", "password": "app"}]) as proxy:
        tries = 60
        for _ in range(tries):
            with pytest.raises(psycopg.OperationalError):
                connect(proxy, SECRET)
        wait_until(lambda: proxy.stats()["logins_failed"] == tries, "all are counted")
        lines = logged(proxy, "login failed")
        assert 20 <= len(lines) + sum(line.get("left_out", 0) for line in lines) <= tries


def test_waiting_in_vain_is_a_warning_that_names_the_limit(postgres: Postgres) -> None:
    settings = {"connection_borrow_timeout": 0.3}
    with (
        serving(postgres, "warning", proxy=settings, target={"max_connections": 1}) as proxy,
        connect(proxy) as holder,
        connect(proxy) as other,
    ):
        holder.execute("BEGIN")
        with pytest.raises(psycopg.OperationalError, match="Timed-out"):
            other.execute("SELECT 1")
        (line,) = logged(proxy, "a client got no server connection")
        assert (line["level"], line["database"], line["user"], line["proxy"]) == ("warning", "app", "app", "main")
        assert "All 1 server connections were in use" in line["message"]
        assert "max_connections" in line["hint"]


@pytest.mark.parametrize("extended", [False, True])
def test_a_pin_is_told_at_info_with_its_statement(postgres: Postgres, extended: bool) -> None:
    text = "CREATE TEMP TABLE\n  pinned AS SELECT 'a word' AS word"
    with serving(postgres, "info") as proxy, connect(proxy) as client:
        client.execute(text.encode(), prepare=extended)
        (pid,) = client.execute("SELECT 0 + pg_backend_pid()").fetchone() or (0,)
        (line,) = logged(proxy, "session pinned: ")
        assert (line["level"], line["server"], line["proxy"]) == ("info", pid, "main")
        assert line["statement"] == " ".join(text.split())


def test_of_a_long_statement_that_pins_the_beginning_is_told(postgres: Postgres) -> None:
    with serving(postgres, "info") as proxy, connect(proxy) as client:
        client.execute(f"CREATE TEMP TABLE pinned AS SELECT '{'x' * 500}' AS word".encode())
        client.execute("SELECT 1")
        (line,) = logged(proxy, "session pinned: ")
        assert line["statement"].startswith("CREATE TEMP TABLE pinned AS SELECT 'xxx")
        assert len(line["statement"]) == 200


def test_a_password_is_not_told(postgres: Postgres) -> None:
    """ALTER ROLE and CREATE ROLE leave nothing at the server, so no line names them."""
    with serving(postgres, "info") as proxy, psycopg.connect(proxy.dsn(), autocommit=True) as client:
        client.execute(f"CREATE ROLE log_lines LOGIN PASSWORD '{SECRET}'".encode())
        client.execute(f"ALTER ROLE log_lines PASSWORD '{SECRET}'".encode())
        client.execute("DROP ROLE log_lines")
        assert SECRET not in proxy.stderr()
