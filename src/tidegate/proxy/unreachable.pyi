from collections.abc import Iterable

from tidegate.proxy.server import Server

def drop_unreachable(servers: Iterable[Server]) -> None: ...
