"""Secrets Manager, whose secrets are rotated."""

from __future__ import annotations

from tests.unit.control.services.secretsmanager.conftest import desk

__all__ = ["desk"]
