"""Which libraries of C functions are taken to leave nothing in the session that calls them.

Owns that list: the modules of PostgreSQL's contrib, its procedural languages' handlers, and two widely used extensions
that bring types, PostGIS and pgvector. Refuses to judge others: what is not in here can do anything.

Their functions compute, read, or write rows. Those of them that run SQL given as text, or keep something that changes
later results, are named as exceptions.
"""

from __future__ import annotations

import re

_STATELESS = frozenset(
    b"""
    _int adminpack amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance
    file_fdw fuzzystrmatch hstore hstore_plperl hstore_plpython insert_username isn jsonb_plperl jsonb_plpython lo ltree
    ltree_plpython moddatetime old_snapshot pageinspect pg_buffercache pg_freespacemap pg_prewarm pg_stat_statements
    pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks pgstattuple pgxml plperl plpgsql plpython pltcl
    postgis postgis_raster postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent
    uuid-ossp vector
    """.split()
)
"""Names of libraries, without folder, suffix and version."""

_EXCEPTIONS = frozenset(
    b"""
    accept_weak_input connectby_text connectby_text_serial crosstab crosstab_hash dblink_connect weak_input_status
    xpath_table
    """.split()
)
"""Symbols in them: of isn, tablefunc, dblink and xml2."""

_VERSION = re.compile(rb"[-_]?[0-9][0-9.]*$")


def is_stateless(library: bytes, symbol: bytes) -> bool:
    """Whether a C function leaves nothing behind: pg_proc.probin ('$libdir/citext') and prosrc."""
    name = library.rpartition(b"/")[2].removesuffix(b".so")
    return symbol not in _EXCEPTIONS and (name in _STATELESS or _VERSION.sub(b"", name) in _STATELESS)
