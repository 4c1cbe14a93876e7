"""Tags as condition keys, which every service has (IAM User Guide, "AWS global condition context keys").

Owns the global keys' names. Refuses a service's own names for the same, which the service gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resource_tags(tags: Mapping[str, str], *own: str) -> dict[str, Any]:
    """aws:ResourceTag/KEY of a resource's tags. own: what the service calls that, too ("ec2:ResourceTag")."""
    return {f"{name}/{key}": value for name in ("aws:ResourceTag", *own) for key, value in tags.items()}


def request_tags(tags: Mapping[str, str], *own: str) -> dict[str, Any]:
    """aws:RequestTag/KEY and aws:TagKeys of the tags that a call gives; nothing if it gives none."""
    if not tags:
        return {}
    keys = {f"{name}/{key}": value for name in ("aws:RequestTag", *own) for key, value in tags.items()}
    return {**keys, "aws:TagKeys": list(tags)}
