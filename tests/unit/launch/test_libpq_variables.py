"""libpq's variables go, whatever they are."""

from __future__ import annotations

import psycopg.pq

from tidegate.launch.libpq_variables import forget_libpq_variables


def test_all_that_libpq_knows_go_and_others_stay() -> None:
    known = [option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar]
    assert {"PGHOSTADDR", "PGOPTIONS", "PGSSLMODE", "PGSERVICE", "PGPASSFILE"} <= set(known)
    environment = dict.fromkeys([*known, "PGSYSCONFDIR", "PGTZ", "PGSERVICEFILE"], "x")
    environment |= {"PATH": "/bin", "TIDEGATE_PASSPHRASE": "p", "MYPG": "y"}
    forget_libpq_variables(environment)
    assert environment == {"PATH": "/bin", "TIDEGATE_PASSPHRASE": "p", "MYPG": "y"}
