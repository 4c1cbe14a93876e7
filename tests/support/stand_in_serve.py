"""`tidegate serve --config FILE` with stand-in workers: python -m tests.support.stand_in_serve FILE.

Owns only the choice of the worker's program. Refuses everything else: the supervisor is the real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tidegate.config.load import load
from tidegate.errors import ConfigError
from tidegate.proxy.supervisor import run

WORKER = "tests.support.stand_in_worker"


def main() -> int:
    path = Path(sys.argv[1])
    try:
        return run(load(path), path, lambda fd: [sys.executable, "-m", WORKER, str(fd)])
    except ConfigError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
