"""psycopg2 as published: client-side binding, so nothing but simple queries; COPY, named cursors, cancel, notifies."""

from __future__ import annotations

import contextlib
import io
import select
import threading
from collections.abc import Callable

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest

from tests.support.asleep import when_asleep
from tests.support.postgres import Postgres
from tests.support.sides import Side

Work = Callable[[Side, int], object]


def transactions(side: Side, number: int) -> object:
    with contextlib.closing(psycopg2.connect(side.url())) as connection:
        seen = []
        with connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
            psycopg2.extras.execute_values(
                cursor,
                "INSERT INTO conf_rows VALUES %s RETURNING id",
                [(number, i, f"v{i}") for i in range(30)],
                page_size=7,
            )
        with pytest.raises(psycopg2.errors.UniqueViolation), connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO conf_rows VALUES (%s, 1, 'again')", [number])
        for i in range(5):
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT id, body FROM conf_rows WHERE owner = %s AND id %% 5 = %s ORDER BY id", [number, i]
                )
                seen.append(cursor.fetchall())
        return seen


def session_settings(side: Side, number: int) -> object:
    """set_session and set_client_encoding run SETs of their own."""
    with contextlib.closing(psycopg2.connect(side.url(), options=f"-c app.user_id={number}")) as connection:
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
        connection.set_client_encoding("LATIN1")
        seen: list[object] = [connection.encoding]
        for _ in range(4):
            with connection, connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                seen.append(cursor.fetchone())
                cursor.execute("SELECT 'ü', current_setting('app.user_id'), current_setting('transaction_read_only')")
                seen.append(cursor.fetchone())
        connection.reset()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.user_id'), current_setting('default_transaction_isolation')")
            seen.append(cursor.fetchone())
        return seen


def copies(side: Side, number: int) -> object:
    with contextlib.closing(psycopg2.connect(side.url())) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM conf_rows WHERE owner = %s", [number])
        cursor.copy_expert(
            "COPY conf_rows FROM STDIN", io.StringIO("".join(f"{number}\t{i}\tb{i}\n" for i in range(200)))
        )
        connection.commit()
        out = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT * FROM conf_rows WHERE owner = {number} ORDER BY id) TO STDOUT", out)
        with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
            cursor.copy_expert("COPY conf_rows FROM STDIN", io.StringIO("1\tx\ty\n" + "2\t3\t4\n" * 50000))
        connection.rollback()
        cursor.execute("SELECT count(*) FROM conf_rows WHERE owner = %s", [number])
        return out.getvalue(), cursor.fetchone()


def named_cursor(side: Side, number: int) -> object:
    with contextlib.closing(psycopg2.connect(side.url())) as connection, connection.cursor("named") as cursor:
        cursor.itersize = 9
        cursor.execute("SELECT id FROM conf_items ORDER BY id")
        return list(cursor)


def dictionaries(side: Side, number: int) -> object:
    factory = psycopg2.extras.RealDictCursor
    with contextlib.closing(psycopg2.connect(side.url(), cursor_factory=factory)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM conf_items WHERE id < 5 ORDER BY id")
            return [dict(row) for row in cursor.fetchall()], connection.notices


@pytest.mark.parametrize(
    "work", [transactions, session_settings, copies, named_cursor, dictionaries], ids=lambda work: work.__name__
)
def test_same_work(same_work: Callable[[Work], None], work: Work) -> None:
    same_work(work)


def test_cancel(postgres: Postgres, direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with contextlib.closing(psycopg2.connect(side.url())) as connection, connection.cursor() as cursor:
            mark = f"psycopg2 {side.name}"
            canceller = threading.Thread(target=when_asleep, args=(postgres, mark, connection.cancel))
            canceller.start()
            with pytest.raises(psycopg2.extensions.QueryCanceledError):
                cursor.execute(f"SELECT pg_sleep(20) /* {mark} */")
            canceller.join()
            connection.rollback()
            cursor.execute("SELECT 1")


def test_notify(direct: Side, proxied: Side, churned: None) -> None:
    """psycopg2 waits on its own socket: the notification comes while nothing is asked."""
    for side in (direct, proxied):
        with (
            contextlib.closing(psycopg2.connect(side.url())) as listener,
            contextlib.closing(psycopg2.connect(side.url())) as speaker,
        ):
            listener.autocommit = speaker.autocommit = True
            listener.cursor().execute("LISTEN conf_channel")
            speaker.cursor().execute("NOTIFY conf_channel, 'payload'")
            assert select.select([listener], [], [], 5)[0]
            listener.poll()
            assert [note.payload for note in listener.notifies] == ["payload"]
