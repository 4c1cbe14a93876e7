"""Fixtures of the raw-protocol tests: what each play finds in the database, and the comparison itself."""

from __future__ import annotations

import pytest

from tests.support.fixtures import churned, closed_clients, direct, empty_table, proxied, wire_role
from tests.support.sides import Compare, Play, Side, record

__all__ = ["churned", "closed_clients", "direct", "proxied", "wire_role"]

ROUNDS = 3  # through the proxy, so that a play meets servers that others have used in between

SCHEMA = """
CREATE TABLE proto_items (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO proto_items SELECT g, 'item ' || g FROM generate_series(1, 10) g;
CREATE TABLE proto_scratch (a int);
CREATE SEQUENCE pin_sequence;
CREATE SCHEMA proto_a; CREATE TABLE proto_a.who AS SELECT 'a' AS tenant;
CREATE SCHEMA proto_b; CREATE TABLE proto_b.who AS SELECT 'b' AS tenant;
"""


@pytest.fixture(scope="session")
def schema(direct: Side) -> None:
    """Tables that the plays read and the one they may write to."""
    with direct.login() as client:
        client.query(SCHEMA)


@pytest.fixture(autouse=True)
def empty_scratch(schema: None, direct: Side) -> None:
    empty_table(direct, "proto_scratch")


@pytest.fixture
def same_as_direct(direct: Side, proxied: Side, churned: None) -> Compare:
    """Plays a session directly, then several times through the churned proxy, and compares the transcripts."""

    def compare(play: Play, **parameters: str) -> None:
        expected = record(direct, play, **parameters)
        for _ in range(ROUNDS):
            empty_table(direct, "proto_scratch")
            assert record(proxied, play, **parameters) == expected

    return compare
