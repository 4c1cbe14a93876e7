"""Changing a running proxy's settings."""

from __future__ import annotations

import socket
from typing import Any

from tests.support.tidegate import Proxy


def free_port() -> int:
    """A TCP port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def reload(proxy: Proxy, /, **changes: Any) -> str:
    """Change attributes of the proxy's file, reload, and return what the supervisor says of its success."""
    for name, value in changes.items():
        if isinstance(value, dict):
            getattr(proxy, name).update(value)
        else:
            setattr(proxy, name, value)
    answer = proxy.reload()
    assert answer["ok"], answer
    return str(answer["message"])
