"""Fixtures that all suites share. Nothing is started before a test asks for it, and nothing is skipped in silence.

A test that wants other settings makes its own: `with Postgres(max_connections=20) as postgres: postgres.start()`,
`with Proxy(postgres, target={"max_connections": 2}) as proxy: ...`.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy

APP_USER = "app"
APP_DATABASE = "app"

# A shell starts background jobs with SIGINT ignored, and every process started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no clock: what fails is the change's doing, not that of chance or of a busy
# machine. New examples: pytest --hypothesis-profile explore
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole run, with a role `app` (password `app`) that owns a database `app`."""
    with Postgres() as server:
        server.start()
        server.add_role(APP_USER)
        server.sql(f"CREATE DATABASE {APP_DATABASE} OWNER {APP_USER}")
        yield server


@pytest.fixture(scope="session")
def proxy(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """The proxy before it, with defaults and pass-through logins, on a pool small enough to be shared.

    Every transaction's end is audited: whatever its tracker misses in any test fails the last one.
    """
    server = Proxy(postgres, proxy={"session_audit": 1.0}, target={"max_connections": 5})
    try:
        server.start()
        yield server
        assert server.stats()["audit_findings"] == 0, server.stderr()
        server.stop()
    finally:
        server.kill()
    if not request.session.testsfailed:
        server.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip hides what is not tested: what a suite needs is set up, so one that skips has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which this project's tests don't do: {report.longrepr}"
    return report


def pytest_report_header(config: pytest.Config) -> str:
    """Where what a failed run leaves behind can be found."""
    return "folders of failed proxies: /tmp/tidegate-proxy-*"
