"""The database that the model's operations find: roles, schemas, tables, functions; and how sessions begin there.

Owns the names and the start-up parameters. Refuses to start a server.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.postgres import Postgres
from tests.support.sides import Side

from .session import Login
from .settings import ORDINARY

SUPERUSER, PLAIN = "soak", "soak_plain"
ROLES = ("soak_reader", "soak_writer")
"""Roles that both may take on with SET ROLE."""
PLACES = {"soak_one": "one", "soak_two": "two"}
"""What `SELECT name FROM place` finds, by schema."""
SHADOWED = "soak_shadow"
"""A schema whose functions and tables have the names of PostgreSQL's own, to fool whoever doesn't say pg_catalog."""

SCHEMA = """
CREATE ROLE soak_reader; CREATE ROLE soak_writer;
GRANT soak_reader, soak_writer TO soak_plain;
CREATE SCHEMA soak_one; CREATE SCHEMA soak_two; CREATE SCHEMA soak_shadow;
CREATE TABLE soak_one.place AS SELECT 'one' AS name;
CREATE TABLE soak_two.place AS SELECT 'two' AS name;
CREATE TABLE public.soak_serial (id serial, owner text);
CREATE TABLE public.soak_identity (id int GENERATED ALWAYS AS IDENTITY, owner text);
CREATE SEQUENCE public.soak_sequence;
CREATE FUNCTION soak_shadow.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$SELECT 'shadow'$$;
CREATE FUNCTION soak_shadow.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$SELECT 'shadow'$$;
CREATE VIEW soak_shadow.pg_settings AS SELECT 'shadow'::text AS name,
    'shadow'::text AS setting, 'session'::text AS source;
CREATE VIEW soak_shadow.pg_locks AS SELECT 'shadow'::text AS locktype, 0 AS pid;
CREATE VIEW soak_shadow.pg_class AS SELECT 'shadow'::text AS relname, 't'::"char" AS relpersistence;
CREATE PROCEDURE public.soak_procedure(value text) LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_catalog.set_config('app.tenant', value, false); END$$;
CREATE FUNCTION public.soak_bracketed() RETURNS text LANGUAGE sql SET work_mem = '3MB'
    AS $$SELECT pg_catalog.current_setting('work_mem')$$;
CREATE FUNCTION public.soak_hidden(value text) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN RETURN pg_catalog.set_config('app.tenant', value, false); END$$;
CREATE VIEW public.soak_view AS SELECT pg_catalog.set_config('app.request', 'view', false) AS value;
GRANT USAGE ON SCHEMA soak_one, soak_two, soak_shadow TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA public, soak_one, soak_two, soak_shadow TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""

LOGINS: tuple[Mapping[str, str], ...] = (
    {},
    {},
    {"TimeZone": "Asia/Tokyo"},
    {"options": "-c work_mem=9MB -c app.tenant=start"},
    {"DateStyle": "SQL, DMY", "application_name": "soak start"},
    {"client_encoding": "LATIN1", "search_path": "soak_one, public"},
    {"standard_conforming_strings": "off", "options": "-c lock_timeout=9min"},
)
"""Start-up parameters that sessions come with."""

SHOWN = {"options": {"-c work_mem=9MB -c app.tenant=start": {"work_mem": "9MB", "app.tenant": "start"}}}
SHOWN["options"]["-c lock_timeout=9min"] = {"lock_timeout": "9min"}


def prepare(postgres: Postgres) -> None:
    """Make roles and the database `soak`, once for a server."""
    if postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [SUPERUSER]):
        return
    postgres.add_role(SUPERUSER, "SUPERUSER")
    postgres.add_role(PLAIN)
    postgres.sql(f"CREATE DATABASE {SUPERUSER} OWNER {SUPERUSER}")
    with side(postgres, "direct", SUPERUSER, 1).login() as client:
        client.query(SCHEMA)


def side(where: object, name: str, user: str, servers: int) -> Side:
    """The way to that database of a Postgres or a Proxy."""
    return Side(name, where.host, where.port, user, user, SUPERUSER, servers)  # type: ignore[attr-defined]


def logins(direct: Side) -> list[Login]:
    """All ways to begin a session as that user, with what its settings are then: asked, and by the parameters' text."""
    with direct.login() as client:
        untouched = {name: client.value(f"SHOW {name}") or "" for name in ORDINARY}
    untouched |= {"role": "none", "session_authorization": direct.user}
    found = []
    for parameters in LOGINS:
        preset: dict[str, str] = {}
        for name, value in parameters.items():
            preset |= SHOWN["options"][value] if name == "options" else {name: value}
        defaults = {**untouched, **preset}
        found.append(Login(direct.user, direct.user == SUPERUSER, parameters, defaults, frozenset(preset)))
    return found
