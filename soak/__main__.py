"""`python -m soak`: random session-state operations of many clients on few servers, checked by a model.

Owns the options. Exit status 1 if a session was not as the model says, or the audit found what the tracker had missed.

All choices follow the seed, but how clients' turns mix does not: with another seed or none, a difference mostly comes
again. What led to it is in its transcript (`build/soak/`): the last operations of that client.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence

from soak.report import show
from soak.run import Plan, soak
from tests.model import features
from tests.model.features import Feature


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--clients", type=int, default=50, help="at once (50)")
    parser.add_argument("--servers", type=int, default=5, help="the proxy's limit (5)")
    parser.add_argument("--seed", type=int, default=None, help="of all choices (random)")
    parser.add_argument(
        "--direct", action="store_true", help="without the proxy: a difference is then the model's mistake"
    )
    parser.add_argument("--feature", action="append", choices=[one.value for one in Feature],
                        help="check this; may be repeated (what the proxy is known to have)")  # fmt: skip
    options = parser.parse_args(arguments)
    chosen = frozenset(Feature(one) for one in options.feature or ())
    plan = Plan(
        seconds=options.minutes * 60,
        clients=options.clients,
        servers=options.servers,
        seed=secrets.randbits(32) if options.seed is None else options.seed,
        direct=options.direct,
        features=chosen or (features.ALL if options.direct else features.PRESENT),
    )
    return int(show(plan, soak(plan)))


if __name__ == "__main__":
    sys.exit(main())
