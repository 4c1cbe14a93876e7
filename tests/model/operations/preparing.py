"""Prepared statements: the protocol's and PREPARE's, both mixed on one name.

Owns the texts that are prepared and the messages about them. Refuses to keep track: `plans` does.
"""

from __future__ import annotations

import random
import struct

from tests.model.answers import Expected, selected
from tests.model.client import ModelClient
from tests.model.features import Feature
from tests.model.plans import INT4, TEXT, Plan
from tests.model.session import Refused, Session, Statement
from tests.support import messages as m

from .base import Operation, SqlOperation, done
from .looking import place

NAMES = ("p1", "p2", "P 3")
BY_SQL = frozenset({"sql_prepare"})


def set_tenant(session: Session, value: str) -> Expected:
    """set_config() with a parameter."""
    session.settings.set("app.tenant", value)
    return selected(value)


def a_plan(client: ModelClient, chance: random.Random) -> Plan:
    """A statement text of one of a few kinds."""
    number = chance.randrange(5)
    plans = [
        Plan(f"SELECT $1::int + {number}", (INT4,), (INT4,), lambda session, value: selected(str(int(value) + number))),
        Plan(
            "SELECT pg_catalog.current_setting('app.tenant', true)",
            (),
            (TEXT,),
            lambda session, value: selected(session.settings.value("app.tenant")),
        ),
        Plan("SELECT pg_catalog.set_config('app.tenant', $1::text, false)", (TEXT,), (TEXT,), set_tenant),
    ]
    if client.session.settings.text("search_path").find("soak_one") >= 0 and resolves(client.session):
        plans.append(Plan("SELECT name FROM place", (), (TEXT,), lambda session, value: selected(place(session))))
    return chance.choice(plans)


def a_name(client: ModelClient, by_sql: bool) -> str:
    """A name to prepare, perhaps taken; by the other kind only where both may be mixed."""
    plans = client.session.plans
    others = [name for name, plan in plans.named.items() if plan.by_sql != by_sql and not mixes(client)]
    return client.chance.choice(
        [*(name for name in NAMES if name not in others), f"p{client.number + 10}{'q' if by_sql else 'w'}"]
    )


def resolves(session: Session) -> bool:
    """Whether `place` is found."""
    try:
        return bool(place(session))
    except Refused:
        return False


def argument(client: ModelClient, plan: Plan) -> str:
    """A value for its parameter."""
    return str(client.chance.randrange(1000)) if plan.parameters == (INT4,) else client.mark("it's")


def quoted(name: str) -> str:
    """As SQL writes it."""
    return f'"{name}"' if " " in name else name


class Parse(Operation):
    """Parse under a name; 42P05 if that is taken."""

    weight = 5

    def play(self, client: ModelClient) -> None:
        name, plan = a_name(client, False), a_plan(client, client.chance)
        describe = client.chance.random() < 0.5

        def effect(session: Session) -> Expected:
            if name in session.plans.named:
                raise Refused("42P05")
            session.plans.named[name] = plan
            return Expected()

        expected = client.session.run(Statement(plan.sql, effect))
        client.session.end_message()
        parts = [m.parse(plan.sql, name)] + [m.describe_statement(name)] * describe + [m.sync()]
        failed = [expected] if expected.sqlstate else []
        replies = client.converse(b"".join(parts), failed, "Parse", [f"{name}: {plan.sql}"])
        if describe and not failed:
            compare_description(client, replies, plan)


class Describe(Operation):
    """Describe of a statement: the types are what they were."""

    def possible(self, session: Session) -> bool:
        return bool(session.plans.named)

    def play(self, client: ModelClient) -> None:
        name, plan = client.chance.choice(list(client.session.plans.named.items()))
        expected = client.session.run(Statement("", lambda session: described(session, plan)))
        client.session.end_message()
        failed = [expected] if expected.sqlstate else []
        replies = client.converse(m.describe_statement(name) + m.sync(), failed, "Describe", [name])
        if not failed:
            compare_description(client, replies, plan)


def described(session: Session, plan: Plan) -> Expected:
    """Describe plans the statement anew where search_path has changed, which may find no table."""
    if "place" in plan.sql:
        place(session)
    return Expected()


def compare_description(client: ModelClient, replies: list, plan: Plan) -> None:
    """ParameterDescription and RowDescription have these types."""
    bodies = {reply.kind: reply.body for reply in replies}
    (count,) = struct.unpack_from("!h", bodies["t"])
    parameters = struct.unpack_from(f"!{count}I", bodies["t"], 2)
    columns = []
    (count,) = struct.unpack_from("!h", bodies["T"])
    at = 2
    for _ in range(count):
        at = bodies["T"].index(b"\0", at) + 1
        columns.append(struct.unpack_from("!I", bodies["T"], at + 6)[0])
        at += 18
    if (parameters, tuple(columns)) != (plan.parameters, plan.columns):
        client.differ(f"described with {parameters} and {columns}, not {plan.parameters} and {plan.columns}")


class BindAndExecute(Operation):
    """Bind and Execute of a named statement, or of a name that there isn't."""

    weight = 9

    def play(self, client: ModelClient) -> None:
        session = client.session
        usable = [name for name, plan in session.plans.named.items() if not plan.by_sql or mixes(client)]
        name = client.chance.choice([*usable, *usable, *[one for one in NAMES if one not in session.plans.named], "p9"])
        execute(client, name, session.plans.named.get(name))


class ParseUnnamed(Operation):
    """Parse of the unnamed statement, to be used by a later message."""

    weight = 2

    def play(self, client: ModelClient) -> None:
        plan = a_plan(client, client.chance)
        client.session.run(Statement(plan.sql, lambda session: Expected()))
        client.session.end_message()
        client.session.plans.forget_unnamed(False)
        client.session.plans.unnamed = plan
        client.converse(m.parse(plan.sql) + m.sync(), [], "Parse", [f"(unnamed) {plan.sql}"])


class ExecuteUnnamed(Operation):
    """Bind and Execute of it, unless a Query has destroyed it: 26000."""

    weight = 2

    def possible(self, session: Session) -> bool:
        return session.plans.unnamed is not None or not session.plans.unnamed_unknown

    def play(self, client: ModelClient) -> None:
        execute(client, "", client.session.plans.unnamed)


def execute(client: ModelClient, name: str, plan: Plan | None) -> None:
    """Bind, Execute, Sync."""
    value = argument(client, plan) if plan and plan.parameters else ""

    def effect(session: Session) -> Expected:
        if plan is None:
            raise Refused("26000")
        return plan.run(session, value)

    expected = client.session.run(Statement("", effect))
    client.session.end_message()
    values = (value,) if value else ()
    client.converse(m.run_prepared(name, values), [expected], "Execute", [f"{name or '(unnamed)'} {values}"])


class CloseStatement(Operation):
    """Close; of a name that there isn't it is no error."""

    weight = 3
    undoes = True

    def play(self, client: ModelClient) -> None:
        usable = [one for one in NAMES if mixes(client) or one not in client.session.plans.by_sql()]
        if not usable:
            return
        name = client.chance.choice(usable)
        client.session.plans.named.pop(name, None)
        client.converse(m.close_statement(name) + m.sync(), [], "Close", [name])


class Prepare(SqlOperation):
    """PREPARE."""

    pins = BY_SQL

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name, plan = a_name(client, True), a_plan(client, chance)
        made = Plan(plan.sql, plan.parameters, plan.columns, plan.run, by_sql=True)

        def effect(session: Session) -> Expected:
            if name in session.plans.named:
                raise Refused("42P05")
            session.plans.named[name] = made
            return done("PREPARE")

        types = {(INT4,): "(int)", (TEXT,): "(text)", (): ""}[plan.parameters]
        return Statement(f"PREPARE {quoted(name)}{types} AS {plan.sql}", effect)


class ExecuteBySql(SqlOperation):
    """EXECUTE."""

    weight = 5

    def possible(self, session: Session) -> bool:
        return bool(session.plans.by_sql())

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        names = list(session.plans.named) if mixes(client) else session.plans.by_sql()
        name = chance.choice(names)
        plan = session.plans.named[name]
        value = argument(client, plan) if plan.parameters else ""
        text = value.replace("'", "''")
        return Statement(
            f"EXECUTE {quoted(name)}" + (f"('{text}')" if value else ""), lambda session: plan.run(session, value)
        )


class ExecuteMissing(SqlOperation):
    """EXECUTE and DEALLOCATE of a name that there isn't."""

    weight = 1

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        sql = chance.choice(["EXECUTE p9", "DEALLOCATE p9"])
        return Statement(sql, lambda session: session.refuse("26000"))


class Deallocate(SqlOperation):
    """DEALLOCATE of one."""

    weight = 3
    undoes = True

    def possible(self, session: Session) -> bool:
        return bool(session.plans.by_sql())

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        name = chance.choice(list(session.plans.named) if mixes(client) else session.plans.by_sql())

        def effect(session: Session) -> Expected:
            del session.plans.named[name]
            return done("DEALLOCATE")

        return Statement(f"DEALLOCATE {chance.choice(['', 'PREPARE '])}{quoted(name)}", effect)


class DeallocateAll(SqlOperation):
    """DEALLOCATE ALL: those of the protocol, too."""

    weight = 1
    undoes = True

    def statement(self, client: ModelClient, session: Session, chance: random.Random) -> Statement:
        def effect(session: Session) -> Expected:
            session.plans.deallocate_all()
            return done("DEALLOCATE ALL")

        return Statement("DEALLOCATE ALL", effect)


def mixes(client: ModelClient) -> bool:
    """Whether SQL and the protocol may speak of each other's statements."""
    return Feature.PREPARE in client.world.features
