"""Fixtures of the integration tests that run the real proxy: roles and databases of their own."""

from __future__ import annotations

import pytest

from tests.support.children import children
from tests.support.counted import direct, wire_role
from tests.support.fixtures import closed_clients
from tests.support.postgres import Postgres

__all__ = ["children", "closed_clients", "direct", "wire_role"]

TENANTS = ("tenant_a", "tenant_b")


@pytest.fixture(scope="session")
def tenants(postgres: Postgres) -> tuple[str, ...]:
    """Two roles without privileges, each with a database of its own name that has a table saying whose it is."""
    for name in TENANTS:
        if not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]):
            postgres.add_role(name)
            postgres.sql(f"CREATE DATABASE {name} OWNER {name}")
            postgres.sql(f"CREATE TABLE whose AS SELECT '{name}' AS tenant", database=name)
            postgres.sql("GRANT SELECT ON whose TO PUBLIC", database=name)
    return TENANTS
