"""A database that accepts connections and gives no answer: what a login waits for it, and who else has to wait.

The rule stands above `proxy.rolereader.RoleReader`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.faults.conftest import LOGIN_TIMEOUT, SERVERS
from tests.support import messages as m
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError

SOON = LOGIN_TIMEOUT + 5  # seconds: a read is given up, its connection too, and another made

READER = "stalled_reader"
AUTH_QUERY = "SELECT name, secret FROM stalled.find($1)"
FIND = """CREATE FUNCTION stalled.find(sought text, OUT name text, OUT secret text) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
IF sought LIKE '%stuck' THEN PERFORM 1 FROM stalled.lock; END IF;
RETURN QUERY SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = sought;
END $$"""


@pytest.fixture(scope="module")
def reader(postgres: Postgres) -> str:
    """A role that reads others by a function, which waits for a lock if the sought name ends in `stuck`."""
    postgres.add_role(READER)
    postgres.sql(f"CREATE SCHEMA stalled; GRANT USAGE ON SCHEMA stalled TO {READER}")
    postgres.sql("CREATE TABLE stalled.lock ()")
    postgres.sql(FIND)
    return READER


@pytest.fixture
def role(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A role that no proxy has ever read, password equal to the name."""
    name = "stalled_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:30].lower()
    for suffix in ("", "_stuck", "_other", "_third"):
        postgres.add_role(name + suffix)
    return name


def side_of(proxy: Proxy, user: str, database: str = "postgres") -> Side:
    return Side("proxied", proxy.host, proxy.port, user, user, database, SERVERS)


@contextlib.contextmanager
def asking(postgres: Postgres, reader: str, **settings: float) -> Iterator[Proxy]:
    """A proxy that reads roles by the function."""
    login = {"user": reader, "password": reader, "auth_query": AUTH_QUERY}
    times = {"login_timeout": LOGIN_TIMEOUT, **settings}
    with Proxy(postgres, proxy=times, target={"max_connections": SERVERS, **login}) as proxy:
        yield proxy


@contextlib.contextmanager
def locked(postgres: Postgres) -> Iterator[None]:
    with psycopg.connect(postgres.dsn()) as locker:
        locker.execute("LOCK TABLE stalled.lock")
        yield
        locker.rollback()


class Login:
    """One login in a thread of its own; `ended` is how, after `seconds`."""

    def __init__(self, side: Side, timeout: float = 30.0) -> None:
        self.side, self.timeout = side, timeout
        self.ended: object = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._come)
        self._thread.start()

    def _come(self) -> None:
        began = time.monotonic()
        try:
            with self.side.login(timeout=self.timeout) as client:
                self.ended = client.value("SELECT current_user")
        except ServerError as error:
            self.ended = error
        except OSError as error:
            self.ended = error
        self.seconds = time.monotonic() - began

    def wait(self) -> object:
        self._thread.join(self.timeout + 5)
        return self.ended


def own_backends(postgres: Postgres) -> list[int]:
    rows = postgres.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'tidegate'")
    return [pid for (pid,) in rows]


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """These processes take no signal and say nothing; their sockets stay open."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_reader_that_is_stopped(postgres: Postgres, role: str) -> None:
    """Its connection is given up for another."""
    before = own_backends(postgres)
    with Proxy(postgres, proxy={"login_timeout": LOGIN_TIMEOUT}, target={"max_connections": SERVERS}) as proxy:
        side_of(proxy, role).login().quit()
        (pid,) = set(own_backends(postgres)) - set(before)
        with stopped([pid]):
            logins = [Login(side_of(proxy, role + suffix)) for suffix in ("_stuck", "_other", "_third")]
            assert [login.wait() for login in logins] == [login.side.user for login in logins]
            assert max(login.seconds for login in logins) < SOON
            fresh = Login(side_of(proxy, role))
            assert fresh.wait() == role and fresh.seconds < SOON


def test_one_stuck_read_does_not_stall_the_others(postgres: Postgres, reader: str, role: str) -> None:
    with asking(postgres, reader) as proxy:
        with locked(postgres):
            stuck = Login(side_of(proxy, role + "_stuck"))
            time.sleep(0.2)
            other = Login(side_of(proxy, role + "_other"))
            assert other.wait() == role + "_other" and other.seconds < SOON
            for _ in range(8):  # the stuck one is tried again and again
                again = Login(side_of(proxy, role))
                assert again.wait() == role and again.seconds < 4
                time.sleep(0.3)
            assert stuck.ended is None
        assert stuck.wait() == role + "_stuck"


def test_stuck_reads_leave_nothing_running(postgres: Postgres, reader: str, role: str) -> None:
    """A query that hangs is cancelled, not left behind with every attempt."""
    with asking(postgres, reader) as proxy, locked(postgres):
        with side_of(proxy, role + "_stuck").open() as client:
            client.send(m.startup({"user": role + "_stuck", "database": "postgres"}))
            time.sleep(2 * LOGIN_TIMEOUT + 4)
            assert len(postgres.backends(reader)) == 1
        wait_until(lambda: proxy.stats()["proxies"]["main"]["clients"] == 0, "the client is gone")


def test_login_has_a_limit(postgres: Postgres, reader: str, role: str) -> None:
    """The words of the borrow timeout, after it; DETAIL says what was waited for."""
    with asking(postgres, reader, connection_borrow_timeout=4) as proxy, locked(postgres):
        began = time.monotonic()
        with pytest.raises(ServerError) as refused:
            side_of(proxy, role + "_stuck").login(timeout=20)
        assert 3.5 < time.monotonic() - began < 14
        fields = refused.value.fields
        assert [fields[code] for code in "SCM"] == [
            "FATAL",
            "08000",
            "Timed-out waiting to acquire database connection.",
        ]
        assert "user could not be read" in fields["D"] and "connection_borrow_timeout" in fields["H"]


def test_without_a_queue_the_first_attempt_is_the_last(postgres: Postgres, reader: str, role: str) -> None:
    with asking(postgres, reader, connection_borrow_timeout=0) as proxy:
        with locked(postgres):
            stuck = Login(side_of(proxy, role + "_stuck"))
            error = stuck.wait()
            assert isinstance(error, ServerError) and error.sqlstate == "08000"
            assert LOGIN_TIMEOUT - 0.1 < stuck.seconds < SOON
        side_of(proxy, role + "_stuck").login().quit()


def test_the_client_s_time_stands_still_while_it_waits(postgres: Postgres, reader: str, role: str) -> None:
    """Its role was read after a wait longer than login_timeout: it still has time to prove itself."""
    with asking(postgres, reader) as proxy, side_of(proxy, role + "_stuck").open(timeout=30) as client:
        with locked(postgres):
            client.send(m.startup({"user": role + "_stuck", "database": "postgres"}))
            assert client.silent(LOGIN_TIMEOUT + 1.5)
        request = client.read()
        assert request.kind == "R"
        time.sleep(1.1)  # a look at everybody's limits comes in between
        answer = client._scram(role + "_stuck")
        for _ in range(2):
            answer(client.read().body[4:])
        client.read_ready()


def test_start_up_parameters_that_nobody_checks(postgres: Postgres, role: str) -> None:
    """A server that was lent for the login and says nothing: login_timeout counts for it too."""
    with Proxy(postgres, proxy={"login_timeout": LOGIN_TIMEOUT}, target={"max_connections": 1}) as proxy:
        side = side_of(proxy, role)
        with side.login() as first:
            pid = int(first.value("SELECT 0 + pg_backend_pid()") or "0")
        with stopped([pid]):
            began = time.monotonic()
            with pytest.raises(ServerError) as refused:
                side.login({"DateStyle": "german, dmy"}, timeout=20)
            assert refused.value.sqlstate == "57014" and "authentication due to timeout" in str(refused.value)
            assert time.monotonic() - began < LOGIN_TIMEOUT + 10
        with side.login({"DateStyle": "german, dmy"}) as later:
            assert later.parameters["DateStyle"] == "German, DMY"


def test_wrong_password_of_the_proxy_is_told_at_once(postgres: Postgres, role: str) -> None:
    """No waiting helps."""
    with Proxy(postgres, target={"max_connections": 1, "password": "wrong"}) as proxy:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(ServerError) as refused:
                side_of(proxy, role).login()
            assert refused.value.sqlstate == "28P01" and "target main" in refused.value.fields["H"]
            assert time.monotonic() - began < 10


def test_client_that_leaves_while_it_waits(postgres: Postgres, reader: str, role: str) -> None:
    with asking(postgres, reader) as proxy, locked(postgres):
        client: RawClient = side_of(proxy, role + "_stuck").open()
        client.send(m.startup({"user": role + "_stuck", "database": "postgres"}))
        time.sleep(0.2)
        client.reset()
        wait_until(lambda: proxy.stats()["proxies"]["main"]["clients"] == 0, "the client is gone")
