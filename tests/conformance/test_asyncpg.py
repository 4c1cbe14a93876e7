"""asyncpg as published: binary protocol, named statements kept in its cache, its pool with its own reset query."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest

from tests.support.sides import Side

AsyncWork = Callable[[Side, int], Awaitable[object]]


async def connect(side: Side, **options: object) -> asyncpg.Connection:
    return await asyncpg.connect(side.url(), ssl=False, **options)


async def statement_cache(side: Side, number: int) -> object:
    """Each text is prepared once and used again and again, across transactions."""
    connection = await connect(side)
    try:
        seen = []
        for _ in range(3):
            for i in range(1, 9):
                seen.append(await connection.fetchval("SELECT name FROM conf_items WHERE id = $1", i))
                seen.append(await connection.fetchval(f"SELECT {i} + $1::int", number))
        return seen
    finally:
        await connection.close()


async def types(side: Side, number: int) -> object:
    """Unknown types make asyncpg look into the catalogue, on the same connection."""
    connection = await connect(side)
    try:
        row = await connection.fetchrow(
            "SELECT $1::int[], $2::numeric, $3::timestamptz, $4::bytea, $5::conf_mood, $6::jsonb, $7::interval",
            [1, None, 3],
            Decimal("1.50"),
            datetime(2030, 1, 1, tzinfo=UTC),
            b"\0\xff",
            "wild",
            '{"n": 1}',
            None,
        )
        composite = await connection.fetchval("SELECT conf_items FROM conf_items WHERE id = 3")
        return [tuple(row), tuple(composite), await connection.fetchval("SELECT ARRAY['calm']::conf_mood[]")]
    finally:
        await connection.close()


async def prepared_statements(side: Side, number: int) -> object:
    connection = await connect(side)
    try:
        statement = await connection.prepare("SELECT id, name FROM conf_items WHERE id BETWEEN $1 AND $2 ORDER BY id")
        parameters = [parameter.name for parameter in statement.get_parameters()]
        columns = [(column.name, column.type.name) for column in statement.get_attributes()]
        seen: list[object] = [parameters, columns]
        for i in range(10):
            seen.append([tuple(row) for row in await statement.fetch(i, i + 3)])
            await connection.execute("SELECT 1; SELECT 2")
        return seen
    finally:
        await connection.close()


async def fallen_deletion(connection: asyncpg.Connection, number: int) -> None:
    async with connection.transaction():
        await connection.execute("DELETE FROM conf_rows WHERE owner = $1", number)
        await connection.fetch("SELECT 1/0")


async def transactions(side: Side, number: int) -> object:
    connection = await connect(side)
    try:
        await connection.execute("DELETE FROM conf_rows WHERE owner = $1", number)
        async with connection.transaction(isolation="serializable"):
            await connection.executemany(
                "INSERT INTO conf_rows VALUES ($1, $2, $3)", [(number, i, f"r{i}") for i in range(50)]
            )
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("INSERT INTO conf_rows VALUES ($1, 1, 'again')", number)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await fallen_deletion(connection, number)
        return await connection.fetchval("SELECT count(*) FROM conf_rows WHERE owner = $1", number)
    finally:
        await connection.close()


async def cursors(side: Side, number: int) -> object:
    """A portal read piece by piece, with Flush... Sync between the pieces."""
    connection = await connect(side)
    try:
        async with connection.transaction():
            read = [row["id"] async for row in connection.cursor("SELECT id FROM conf_items ORDER BY id", prefetch=7)]
            cursor = await connection.cursor("SELECT id FROM conf_items ORDER BY id")
            await cursor.forward(5)
            return read, [tuple(row) for row in await cursor.fetch(4)]
    finally:
        await connection.close()


async def copies(side: Side, number: int) -> object:
    connection = await connect(side)
    try:
        await connection.execute("DELETE FROM conf_rows WHERE owner = $1", number)
        records = [(number, i, f"copy {i}") for i in range(300)]
        status = await connection.copy_records_to_table("conf_rows", records=records)
        out = io.BytesIO()
        await connection.copy_from_query("SELECT * FROM conf_rows WHERE owner = $1 ORDER BY id", number, output=out)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.copy_records_to_table("conf_rows", records=records)
        return status, out.getvalue(), await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


async def server_settings(side: Side, number: int) -> object:
    settings = {"application_name": f"asyncpg {number}", "work_mem": "9MB", "search_path": "conf_other"}
    connection = await connect(side, server_settings=settings)
    try:
        seen = []
        for _ in range(5):
            seen.append(await connection.fetchval("SELECT tenant FROM who"))
            seen.append(await connection.fetchval("SELECT current_setting('work_mem')"))
        await connection.execute("SET search_path = public")
        seen += [await connection.fetchval("SELECT tenant FROM who") for _ in range(3)]
        await connection.reset()
        seen.append(await connection.fetchval("SELECT tenant FROM who"))
        seen.append(connection.get_settings().timezone if hasattr(connection.get_settings(), "timezone") else None)
        return seen
    finally:
        await connection.close()


async def pool(side: Side, number: int) -> object:
    """Each release runs asyncpg's reset query; acquired sessions still have nothing of one another."""
    async with asyncpg.create_pool(side.url(), ssl=False, min_size=2, max_size=4) as connections:

        async def one(i: int) -> object:
            async with connections.acquire() as connection:
                before = await connection.fetchval("SHOW work_mem")
                await connection.execute(f"SET work_mem = '{i + 5}MB'")
                async with connection.transaction():
                    name = await connection.fetchval("SELECT name FROM conf_items WHERE id = $1", i + 1)
                return before, name, await connection.fetchval("SHOW work_mem")

        return await asyncio.gather(*(one(i) for i in range(16)))


async def timeouts(side: Side, number: int) -> object:
    """A timeout makes asyncpg cancel on a second connection and go on with the first."""
    connection = await connect(side)
    try:
        seen = []
        for _ in range(2):
            with pytest.raises(asyncio.TimeoutError):
                await connection.fetchval("SELECT pg_sleep(20)", timeout=0.2)
            seen.append(await connection.fetchval("SELECT 'alive'"))
        return seen
    finally:
        await connection.close()


async def listeners(side: Side, number: int) -> object:
    connection = await connect(side)
    try:
        heard: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        channel = f"conf_{number}"
        await connection.add_listener(channel, lambda _c, _p, name, payload: heard.put_nowait((name, payload)))
        for i in range(3):
            await connection.execute("SELECT pg_notify($1, $2)", channel, str(i))
        return [await asyncio.wait_for(heard.get(), 5) for _ in range(3)]
    finally:
        await connection.close()


async def changed_table(side: Side, number: int) -> object:
    """A statement from asyncpg's cache whose table has other columns now: it prepares again and goes on."""
    connection, other = await connect(side), await connect(side)
    query = f"SELECT * FROM conf_changed_{number}"
    try:
        await other.execute(f"DROP TABLE IF EXISTS conf_changed_{number}")
        await other.execute(f"CREATE TABLE conf_changed_{number} AS SELECT {number} AS a")
        seen = [[dict(row) for row in await connection.fetch(query)]]
        for i in range(4):
            await (connection, other)[i % 2].execute(
                f"ALTER TABLE conf_changed_{number} ADD COLUMN c{i} int DEFAULT {i}"
            )
            seen += [[dict(row) for row in await connection.fetch(query)] for _ in range(3)]
        await connection.execute(f"ALTER TABLE conf_changed_{number} ALTER a TYPE text")
        # Not within the transaction: clients that hold all servers would wait for another one each.
        seen.append([dict(row) for row in await other.fetch(query)])
        async with connection.transaction():
            await connection.execute(f"ALTER TABLE conf_changed_{number} DROP COLUMN c0")
            statement = await connection.prepare(query)
            seen.append([dict(row) for row in await statement.fetch()])
        return seen
    finally:
        await connection.close()
        await other.close()


WORKS: list[AsyncWork] = [
    statement_cache,
    types,
    prepared_statements,
    transactions,
    cursors,
    copies,
    server_settings,
    pool,
    timeouts,
    listeners,
    changed_table,
]


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_same_work(same_work: Callable[..., None], work: AsyncWork) -> None:
    async def finish(side: Side, number: int) -> object:
        return await work(side, number)

    same_work(lambda side, number: asyncio.run(finish(side, number)))
