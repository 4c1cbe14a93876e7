"""Fixtures of the control plane's tests: a database, the whole program before it, and the API's front alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.control_server import RunningFront
from tests.support.postgres import Postgres
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        server.add_role("app")
        yield server


@pytest.fixture
def stack(database: Postgres) -> Iterator[Stack]:
    database.sql("ALTER ROLE app PASSWORD 'app'")
    with Stack() as made:
        made.register(database)
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFront]:
    with RunningFront(tmp_path_factory.mktemp("front")) as front:
        yield front
