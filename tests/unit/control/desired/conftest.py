"""A fresh account for each test."""

from __future__ import annotations

from tests.unit.control.services.rds.conftest import stage

__all__ = ["stage"]
