"""psycopg 3 as published, sync and async, with its own prepared statements, pipelines, COPY, cursors and cancel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.asleep import when_asleep
from tests.support.postgres import Postgres
from tests.support.sides import Side

Work = Callable[[Side, int], object]
VALUES = (
    7,
    2**40,
    1.5,
    Decimal("12.50"),
    True,
    "täxt",
    b"\0\1\xff",
    date(2030, 12, 24),
    datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    timedelta(days=1, hours=2),
    [1, 2, 3],
    ["a", None, 'b"c'],
    None,
)


def plain_queries(side: Side, number: int) -> object:
    with psycopg.connect(side.url(), row_factory=dict_row) as connection:
        rows = [connection.execute("SELECT * FROM conf_items WHERE id = %s", [i]).fetchone() for i in range(1, 9)]
        return rows, connection.info.encoding, connection.info.parameter_status("server_encoding")


def every_type(side: Side, number: int) -> object:
    """Text and binary, in and out."""
    seen = []
    with psycopg.connect(side.url(), autocommit=True) as connection:
        for binary in (False, True):
            for value in VALUES:
                cursor = connection.cursor(binary=binary)
                cursor.execute("SELECT %s", [value])
                seen.append((cursor.fetchone(), cursor.description and cursor.description[0].type_code))
        seen.append((connection.execute("SELECT %s", [Jsonb({"n": number})]).fetchone(), 0))
    return seen


def prepared_at_once(side: Side, number: int) -> object:
    """prepare_threshold=0: every statement is a named one at once; psycopg deallocates the oldest itself."""
    with psycopg.connect(side.url(), prepare_threshold=0, autocommit=True) as connection:
        connection.prepared_max = 10
        return [connection.execute(f"SELECT {i % 15} + %s", [i]).fetchone() for i in range(60)]


def fallen_savepoint(connection: psycopg.Connection, number: int, row: int) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO conf_rows VALUES (%s, %s, 'inner')", [number, row])
        connection.execute("SELECT 1/0")


def transactions(side: Side, number: int) -> object:
    with psycopg.connect(side.url(), prepare_threshold=0) as connection:
        connection.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
        connection.commit()
        for i in range(4):
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO conf_rows VALUES (%s, %s, 'kept')", [number, i])
                    with pytest.raises(psycopg.errors.DivisionByZero):
                        fallen_savepoint(connection, number, i + 100)
                    if i % 2:
                        raise psycopg.Rollback
            finally:
                assert connection.info.transaction_status.name == "IDLE"
        return connection.execute("SELECT id, body FROM conf_rows WHERE owner = %s ORDER BY id", [number]).fetchall()


def pipeline_mode(side: Side, number: int) -> object:
    with psycopg.connect(side.url(), autocommit=True, prepare_threshold=0) as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s + 1", [i]) for i in range(30)]
            pipeline.sync()
            cursors += [connection.execute("SELECT name FROM conf_items WHERE id = %s", [i]) for i in range(1, 10)]
        return [cursor.fetchone() for cursor in cursors]


def fallen_pipeline(connection: psycopg.Connection, number: int) -> None:
    with connection.pipeline():
        connection.execute("INSERT INTO conf_rows VALUES (%s, 1, '')", [number])
        connection.execute("SELECT 1/0")
        connection.execute("INSERT INTO conf_rows VALUES (%s, 2, '')", [number])


def pipeline_with_an_error(side: Side, number: int) -> object:
    with psycopg.connect(side.url(), autocommit=True) as connection:
        connection.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
        with pytest.raises(psycopg.errors.DivisionByZero):
            fallen_pipeline(connection, number)
        return connection.execute("SELECT count(*) FROM conf_rows WHERE owner = %s", [number]).fetchone()


def abandoned_copy(cursor: psycopg.Cursor, number: int) -> None:
    with cursor.copy("COPY conf_rows FROM STDIN") as copy:
        copy.write_row((number, 9999, "never"))
        raise ZeroDivisionError


def copy_both_ways(side: Side, number: int) -> object:
    with psycopg.connect(side.url()) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
        with cursor.copy("COPY conf_rows FROM STDIN") as copy:
            for i in range(500):
                copy.write_row((number, i, f"row {i} \t\n\\"))
        connection.commit()
        with cursor.copy("COPY (SELECT * FROM conf_rows WHERE owner = %s ORDER BY id) TO STDOUT", [number]) as copy:
            copy.set_types(["int4", "int4", "text"])
            out = list(copy.rows())
        with pytest.raises(psycopg.errors.UniqueViolation), cursor.copy("COPY conf_rows FROM STDIN") as copy:
            copy.write_row((number, 1, "again"))
        connection.rollback()
        with pytest.raises(ZeroDivisionError):
            abandoned_copy(cursor, number)
        connection.rollback()
        return out, cursor.execute("SELECT count(*) FROM conf_rows WHERE owner = %s", [number]).fetchone()


def server_side_cursor(side: Side, number: int) -> object:
    with psycopg.connect(side.url()) as connection, connection.cursor("named", scrollable=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id FROM conf_items ORDER BY id")
        first = cursor.fetchmany(5)
        cursor.scroll(-3)
        return first, cursor.fetchall()


def held_cursor(side: Side, number: int) -> object:
    with (
        psycopg.connect(side.url(), autocommit=True) as connection,
        connection.cursor("held", withhold=True) as cursor,
    ):
        cursor.execute("SELECT id FROM conf_items ORDER BY id")
        return [cursor.fetchmany(10) for _ in range(3)]


def settings(side: Side, number: int) -> object:
    options = f"-c work_mem={number + 1}MB -c app.user_id={number}"
    with psycopg.connect(side.url(options=options, application_name=f"worker {number}"), autocommit=True) as connection:
        seen = []
        for value in ("Asia/Tokyo", "UTC"):
            connection.execute(sql.SQL("SET TIME ZONE {}").format(value))
            connection.execute("SELECT set_config('app.user_id', %s, false)", [f"{number} in {value}"])
            for _ in range(5):
                seen.append(connection.execute("SELECT current_setting('app.user_id'), now()").fetchone()[0])  # type: ignore[index]
                seen.append((str(connection.info.timezone), connection.execute("SHOW work_mem").fetchone()))
        connection.execute("RESET ALL")
        seen.append(connection.execute("SELECT current_setting('app.user_id'), current_setting('work_mem')").fetchone())
        seen.append(connection.execute("SHOW application_name").fetchone())
        return seen


def notices_and_errors(side: Side, number: int) -> object:
    with psycopg.connect(side.url(), autocommit=True) as connection:
        heard: list[tuple[str | None, str | None]] = []
        connection.add_notice_handler(lambda note: heard.append((note.severity, note.message_primary)))
        connection.execute("DO $$BEGIN RAISE NOTICE 'hello'; END$$")
        with pytest.raises(psycopg.Error) as error:
            connection.execute("INSERT INTO conf_items (id) VALUES (1)")
        diagnostic = error.value.diag
        fields = (
            "severity",
            "sqlstate",
            "message_primary",
            "message_detail",
            "table_name",
            "column_name",
            "schema_name",
        )
        return heard, [getattr(diagnostic, field) for field in fields]


def executemany_returning(side: Side, number: int) -> object:
    with psycopg.connect(side.url()) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
        rows = [(number, i, f"b{i}") for i in range(40)]
        cursor.executemany("INSERT INTO conf_rows VALUES (%s, %s, %s) RETURNING id", rows, returning=True)
        return [result.fetchone() for result in cursor.results()]


async def async_queries(side: Side, number: int) -> object:
    async with await psycopg.AsyncConnection.connect(side.url(), prepare_threshold=0) as connection:
        seen = []
        for i in range(1, 10):
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.execute("SELECT name FROM conf_items WHERE id = %s", [i])
                seen.append(await cursor.fetchone())
        return seen


async def async_pipeline(side: Side, number: int) -> object:
    async with await psycopg.AsyncConnection.connect(side.url(), autocommit=True) as connection:
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", [i]) for i in range(20)]
        return [await cursor.fetchone() for cursor in cursors]


def run_async(work: Callable[[Side, int], Awaitable[object]]) -> Work:
    async def finish(side: Side, number: int) -> object:
        return await work(side, number)

    def run(side: Side, number: int) -> object:
        return asyncio.run(finish(side, number))

    run.__name__ = getattr(work, "__name__", "async")
    return run


def changed_table(side: Side, number: int) -> object:
    """After its own ALTER psycopg prepares again; after another's, once the old plan has failed, it has to be told.

    psycopg is never told of columns before it runs a statement, so through the proxy it may also be lucky: a server
    that never had the statement has no old plan.
    """
    query = f"SELECT * FROM conf_altered_{number}".encode()
    options = {"autocommit": True, "prepare_threshold": 0}
    with psycopg.connect(side.url(), **options) as connection, psycopg.connect(side.url(), **options) as other:
        other.execute(f"DROP TABLE IF EXISTS conf_altered_{number}".encode())
        other.execute(f"CREATE TABLE conf_altered_{number} AS SELECT {number} AS a".encode())
        seen = [connection.execute(query).fetchall() for _ in range(3)]
        for i in range(4):
            alter = f"ALTER TABLE conf_altered_{number} ADD COLUMN c{i} int DEFAULT {i}".encode()
            if i % 2:
                connection.execute(alter)
            else:
                other.execute(alter)
                try:
                    connection.execute(query)
                except psycopg.errors.FeatureNotSupported:
                    connection.execute("DEALLOCATE ALL")
            seen += [connection.execute(query).fetchall() for _ in range(3)]
        return seen


WORKS: list[Work] = [
    plain_queries,
    every_type,
    prepared_at_once,
    transactions,
    pipeline_mode,
    pipeline_with_an_error,
    copy_both_ways,
    server_side_cursor,
    held_cursor,
    settings,
    notices_and_errors,
    executemany_returning,
    changed_table,
    run_async(async_queries),
    run_async(async_pipeline),
]


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_same_work(same_work: Callable[[Work], None], work: Work) -> None:
    same_work(work)


@pytest.mark.parametrize("safe", [True, False], ids=["cancel_safe", "cancel"])
def test_cancel(postgres: Postgres, direct: Side, proxied: Side, churned: None, safe: bool) -> None:
    for side in (direct, proxied):
        with psycopg.connect(side.url(), autocommit=True) as connection:
            mark = f"{side.name} {safe}"
            cancel = connection.cancel_safe if safe else connection.cancel
            canceller = threading.Thread(target=when_asleep, args=(postgres, mark, cancel))
            canceller.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(f"SELECT pg_sleep(20) /* {mark} */")  # type: ignore[call-overload]
            canceller.join()
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_notify(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with (
            psycopg.connect(side.url(), autocommit=True) as listener,
            psycopg.connect(side.url(), autocommit=True) as speaker,
        ):
            listener.execute("LISTEN conf_channel")
            for i in range(3):
                speaker.execute("SELECT pg_notify('conf_channel', %s)", [str(i)])
            heard = listener.notifies(timeout=5, stop_after=3)
            assert [(note.channel, note.payload) for note in heard] == [("conf_channel", str(i)) for i in range(3)]
