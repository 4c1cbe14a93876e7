"""Changing settings: SET in all its forms, RESET, set_config(), DO blocks, procedures.

Owns how each is written. Refuses roles (`identity`) and looking (`looking`).
"""

from __future__ import annotations

import random

from tests.model.answers import Expected, selected
from tests.model.client import ModelClient
from tests.model.features import Feature
from tests.model.session import Session, Statement
from tests.model.settings import CUSTOM, CUSTOM_VALUES, ORDINARY, Spelling

from .base import SqlOperation, done, literal, system


def any_setting(client: ModelClient, chance: random.Random) -> tuple[str, Spelling]:
    """A setting and a value; a custom one gets a value that is this client's alone."""
    if chance.random() < 0.35:
        value = client.mark(chance.choice(CUSTOM_VALUES))
        return chance.choice(CUSTOM), Spelling(value, value)
    name = chance.choice(list(ORDINARY))
    return name, chance.choice(ORDINARY[name])


class Set(SqlOperation):
    """SET, SET SESSION, SET LOCAL."""

    weight = 12

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, value = any_setting(client, chance)
        scope = chance.choice(["", "", "SESSION ", "LOCAL "])
        text = value.sql or literal(session, chance, value.text)
        if name == "search_path" and not value.sql:
            # One constant is one name of the list.
            value = Spelling(value.text, f'"{value.text}"')
        comment = chance.choice(["", "/* SET x = 1; */ ", "-- RESET ALL\n"])
        sql = f"{comment}{chance.choice(['SET', 'set'])} {scope}{name} {chance.choice(['=', 'TO'])} {text}"

        def effect(session: Session) -> Expected:
            (session.settings.set_local if scope == "LOCAL " else session.settings.set)(name, value.shown)
            return done("SET")

        return Statement(sql, effect)


class SetSpecially(SqlOperation):
    """SET TIME ZONE, SET NAMES, SESSION CHARACTERISTICS, SET SCHEMA: other words for a setting."""

    weight = 4
    FORMS = (
        ("SET TIME ZONE 'Asia/Tokyo'", "TimeZone", "Asia/Tokyo"),
        ("SET TIME ZONE 3", "TimeZone", "<+03>-03"),
        ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "TimeZone", "<-08>+08"),
        ("SET NAMES 'latin1'", "client_encoding", "LATIN1"),
        ("SET NAMES 'UTF8'", "client_encoding", "UTF8"),
        ("SET SCHEMA 'soak_two'", "search_path", "soak_two"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "default_transaction_isolation",
            "repeatable read",
        ),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "default_transaction_read_only", "on"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "default_transaction_read_only", "off"),
    )

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql, name, shown = chance.choice(self.FORMS)

        def effect(session: Session) -> Expected:
            session.settings.set(name, shown)
            return done("SET")

        return Statement(sql, effect)


class Reset(SqlOperation):
    """RESET and SET ... TO DEFAULT. Among other statements a start-up value comes back later (docs/transparency.md)."""

    weight = 5
    joins = False

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice([*ORDINARY, *CUSTOM])
        sql, tag = chance.choice(
            [(f"RESET {name}", "RESET"), (f"SET {name} TO DEFAULT", "SET"), (f"SET SESSION {name} = DEFAULT", "SET")]
        )
        if name == "TimeZone" and chance.random() < 0.5:
            sql, tag = "SET TIME ZONE LOCAL", "SET"

        def effect(session: Session) -> Expected:
            session.settings.reset([name])
            return done(tag)

        return Statement(sql, effect)


class ResetAmongOthers(Reset):
    """The same of what no start-up parameter has set, anywhere."""

    joins = True

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        names = [name for name in (*ORDINARY, *CUSTOM) if name not in session.login.preset]
        name = chance.choice(names)

        def effect(session: Session) -> Expected:
            session.settings.reset([name])
            return done("RESET")

        return Statement(f"RESET {name}", effect)


class ResetAll(SqlOperation):
    """RESET ALL."""

    joins = False

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            session.settings.reset_all()
            return done("RESET")

        return Statement("RESET ALL", effect)


class SetConfig(SqlOperation):
    """set_config() with constants, with parameters, or in a CTE."""

    weight = 10

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, value = any_setting(client, chance)
        local = chance.random() < 0.3
        function = system(session, chance, "set_config")

        def effect(session: Session) -> Expected:
            (session.settings.set_local if local else session.settings.set)(name, value.shown)
            return selected(value.shown)

        way = chance.randrange(3)
        if way == 0:
            parameters = (value.text, str(local).lower())
            return Statement(f"SELECT {function}('{name}', $1, $2)", effect, parameters)
        text = literal(session, chance, value.text)
        call = f"{function}('{name}', {text}, {str(local).lower()})"
        return Statement(
            f"SELECT {call}" if way == 1 else f"WITH a AS MATERIALIZED (SELECT {call} AS b) TABLE a", effect
        )


class DoBlock(SqlOperation):
    """A DO block that sets, in a few ways."""

    weight = 3
    BODIES = (
        "PERFORM pg_catalog.set_config('{name}', {value}, false);",
        "PERFORM pg_catalog.set_config('{name}', {value}, true);"
        " PERFORM pg_catalog.set_config('{name}', {value}, false);",
        "BEGIN SET work_mem = '6666kB'; RAISE EXCEPTION 'no'; EXCEPTION WHEN OTHERS THEN"
        " PERFORM pg_catalog.set_config('{name}', {value}, false); END;",
    )

    def choose(self, client: ModelClient, chance: random.Random) -> tuple[str, Spelling]:
        """What is set."""
        name = chance.choice([name for name in ORDINARY if name != "search_path"])
        return name, chance.choice(ORDINARY[name])

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, value = self.choose(client, chance)
        text = value.text.replace("'", "''")
        body = chance.choice(self.BODIES).format(name=name, value=f"'{text}'")

        def effect(session: Session) -> Expected:
            session.settings.set(name, value.shown)
            return done("DO")

        return Statement(f"DO $do$BEGIN {body} END$do$", effect)


class DoBlockOfCustomSetting(DoBlock):
    """A custom setting, which only the block's text names."""

    needs = Feature.HIDDEN

    def choose(self, client: ModelClient, chance: random.Random) -> tuple[str, Spelling]:
        value = client.mark()
        return chance.choice(CUSTOM), Spelling(value, value)


class SetByParameter(SqlOperation):
    """What is set is a parameter: a proxy looks for it, or keeps the session at its server."""

    weight = 1
    pins = frozenset({"dynamic_set"})

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, value = any_setting(client, chance)

        def effect(session: Session) -> Expected:
            session.settings.set(name, value.shown)
            session.bound |= self.pins
            return selected(value.shown)

        return Statement("SELECT pg_catalog.set_config($1, $2, false)", effect, (name, value.text))


class SetByComputedName(DoBlock):
    """SQL that a DO block makes. Not of a custom setting: where its name stands nowhere, it can't be carried."""

    weight = 1
    BODIES = (
        "EXECUTE pg_catalog.format('SELECT pg_catalog.set_config(%L, %L, false)', 'work' || '_mem', '8MB');"
        " EXECUTE pg_catalog.format('SELECT pg_catalog.set_config(%L, %L, false)', '{name}', {value});",
    )

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        inner = super().statement(client, session, chance)

        def effect(session: Session) -> Expected:
            session.settings.set("work_mem", "8MB")
            return inner.effect(session)

        return Statement(inner.sql, effect)


class CallProcedure(SqlOperation):
    """A procedure that sets a custom setting, which the statement doesn't name."""

    needs = Feature.HIDDEN

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        value = client.mark()

        def effect(session: Session) -> Expected:
            session.settings.set("app.tenant", value)
            return done("CALL")

        return Statement(f"CALL public.soak_procedure('{value}')", effect)


class FunctionWithSetClause(SqlOperation):
    """CREATE FUNCTION ... SET: the value is there within the function only."""

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        return Statement("SELECT public.soak_bracketed()", lambda session: selected("3MB"))


class HiddenInFunction(SqlOperation):
    """A function whose name tells nothing, and which sets."""

    needs = Feature.HIDDEN

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        value = client.mark()

        def effect(session: Session) -> Expected:
            session.settings.set("app.tenant", value)
            return selected(value)

        return Statement(f"SELECT public.soak_hidden('{value}')", effect)


class HiddenInView(SqlOperation):
    """A view that sets."""

    needs = Feature.HIDDEN

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            session.settings.set("app.request", "view")
            return selected("view")

        return Statement("SELECT value FROM public.soak_view", effect)


class WrongValue(SqlOperation):
    """A SET that fails changes nothing but the transaction."""

    FORMS = (
        ("SET work_mem = 'much'", "22023"),
        ("SET soak_unknown = 1", "42704"),
        ("SET TIME ZONE 'Nowhere/Land'", "22023"),
        ("SELECT 1 / 0", "22012"),
    )

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql, sqlstate = chance.choice(self.FORMS)
        return Statement(sql, lambda session: session.refuse(sqlstate))
