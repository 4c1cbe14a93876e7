"""What a row of the look says."""

from __future__ import annotations

import re

import pytest

from tidegate.session.leftovers import LEFTOVERS_SQL, left_behind
from tidegate.session.pins import PinReason


def test_nothing_left() -> None:
    assert left_behind([b"f"] * 5) == ()


def test_each_kind_has_its_column() -> None:
    found = [left_behind([b"t" if at == column else b"f" for at in range(5)]) for column in range(5)]
    assert [len(reasons) for reasons in found] == [1] * 5
    reasons = {reasons[0] for reasons in found}
    assert reasons == {reason for reason in PinReason if reason.provable and not reason.anything}


def test_a_row_of_another_width_is_none() -> None:
    with pytest.raises(ValueError, match="zip"):
        left_behind([b"f"] * 4)


def test_every_name_is_qualified() -> None:
    """A client's search_path must not lead the look elsewhere; keywords and columns have no schema."""
    assert b"--" not in LEFTOVERS_SQL and b";" not in LEFTOVERS_SQL
    bare = re.sub(rb"OPERATOR\(pg_catalog\.[^)]+\)|'[^']*'::", b"", LEFTOVERS_SQL)
    called = re.findall(rb"([\w.]+)\(", bare)
    assert called and all(name == b"EXISTS" or name.startswith(b"pg_catalog.") for name in called)
    read = re.findall(rb"FROM ([\w.]+)", bare)
    assert len(read) == 5 and all(name.startswith(b"pg_catalog.") for name in read)
    assert not re.findall(rb"[^\w ,().'\[\]]", bare), "an operator without its schema"
