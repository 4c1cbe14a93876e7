"""libpq's variables in the environment of `tidegate serve --api`.

Owns that they count for nothing: the health check and the rotation connect by libpq, which would have PGHOSTADDR stand
for every host, PGOPTIONS, PGSSLMODE and PGSERVICE for what nobody has said. Refuses to hand them over one by one: some
have no parameter that could be said in their place (PGTZ, PGSYSCONFDIR), and new ones come.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

PREFIX = "PG"
"""libpq documentation, "Environment Variables": all of them begin so."""


def forget_libpq_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take them out of this process's environment, and of those that it starts."""
    for name in [name for name in environment if name.startswith(PREFIX)]:
        del environment[name]
