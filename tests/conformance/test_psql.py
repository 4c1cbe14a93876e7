"""psql as published: one script of its features gives the same output directly and through the proxy."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.asleep import when_asleep
from tests.support.postgres import Postgres
from tests.support.sides import Side

SCRIPT = r"""
\set ON_ERROR_STOP off
\pset pager off
SELECT 1 AS one, NULL AS nothing, 'ü' AS umlaut;
SELECT * FROM conf_items WHERE id < 4 ORDER BY id;
\d conf_items
\dT+ conf_mood
\dn conf_*
\df pg_catalog.upper
SELECT count(*) AS items FROM conf_items \gset
\echo items :items
SELECT id, name FROM conf_items WHERE id = 7 \gx
SELECT 1 AS a, 'b'::text AS c \gdesc
SELECT $1::int + $2::int AS sum \bind 40 2 \g
SELECT $1::text \bind 'it''s' \g
SELECT format('SELECT %s AS made', g) FROM generate_series(1, 3) g \gexec
SELECT id % 2 AS odd, id % 3 AS third, count(*) FROM conf_items GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
SELECT nowhere;
\errverbose
SELECT 'äö', nowhere FROM conf_items;
BEGIN;
INSERT INTO conf_rows VALUES (1000, 1, 'in a block');
SAVEPOINT a;
SELECT 1/0;
SELECT 'not here';
ROLLBACK TO a;
SELECT body FROM conf_rows WHERE owner = 1000;
ROLLBACK;
SELECT count(*) FROM conf_rows WHERE owner = 1000;
SELECT 1 \; SELECT 2 \; SELECT 3 ;
BEGIN;
COPY conf_rows FROM STDIN;
1000	1	first
1000	2	second
\.
COPY conf_rows FROM STDIN;
1000	1	duplicate
\.
ROLLBACK;
BEGIN;
COPY conf_rows FROM STDIN WITH (FORMAT csv);
1000,1,"with, comma"
\.
\copy (SELECT * FROM conf_rows WHERE owner = 1000) TO STDOUT CSV HEADER
ROLLBACK;
COPY (SELECT id, name FROM conf_items WHERE id < 5 ORDER BY id) TO STDOUT;
SET search_path = conf_other, public;
SELECT tenant FROM who;
SHOW search_path;
RESET search_path;
SELECT tenant FROM who;
SET DateStyle = 'German';
SELECT '2030-12-24'::date;
\encoding latin1
SHOW client_encoding;
\encoding utf8
PREPARE plan (int) AS SELECT name FROM conf_items WHERE id = $1;
EXECUTE plan(3);
EXECUTE plan(4);
DEALLOCATE plan;
CREATE TEMP TABLE psql_temp AS SELECT generate_series(1, 3) AS a;
SELECT sum(a) FROM psql_temp;
DO $$BEGIN RAISE NOTICE 'noticed'; RAISE WARNING 'warned'; END$$;
DECLARE c CURSOR FOR SELECT 1;
BEGIN; DECLARE c CURSOR FOR SELECT id FROM conf_items ORDER BY id; FETCH 2 FROM c; FETCH 2 FROM c; COMMIT;
\set FETCH_COUNT 7
SELECT id FROM conf_items WHERE id <= 20 ORDER BY id;
\unset FETCH_COUNT
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
DELETE FROM conf_items;
SELECT 'end';
"""


def run(programs: Path, side: Side, *arguments: str, text: str = "") -> tuple[int, str]:
    """psql's exit status and what it printed; temporary schemas have a number of their backend, taken out."""
    done = subprocess.run(
        [programs / "psql", "-X", *arguments],
        input=text,
        env={**os.environ, **side.environment(), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, re.sub(r"LOCATION: .*", "", re.sub(r"pg_temp_\d+", "pg_temp", done.stdout + done.stderr))


def test_script(programs: Path, same_work: Callable[..., None]) -> None:
    def work(side: Side, number: int) -> object:
        return run(programs, side, "-a", text=SCRIPT) if number < 4 else None

    same_work(work)


def test_script_is_whole(programs: Path, direct: Side) -> None:
    """The script reaches its end, and its mistakes are those that it means to make."""
    status, output = run(programs, direct, text=SCRIPT)
    assert status == 0 and re.search("^ end$", output, re.MULTILINE)
    assert set(re.findall(r"ERROR:  (.*)", output)) == {
        'column "nowhere" does not exist',
        '42703: column "nowhere" does not exist',
        "division by zero",
        "current transaction is aborted, commands ignored until end of transaction block",
        'duplicate key value violates unique constraint "conf_rows_pkey"',
        "DECLARE CURSOR can only be used in transaction blocks",
        "cannot execute DELETE in a read-only transaction",
    }


@pytest.mark.parametrize("option", ["-1", "--single-line", "-A", "--csv"])
def test_options(programs: Path, direct: Side, proxied: Side, churned: None, option: str) -> None:
    text = "SELECT 1 AS a, 2 AS b\n;\nSELECT 1/0;\nSELECT 3;\n"
    assert run(programs, proxied, option, text=text) == run(programs, direct, option, text=text)


def test_start_up_options(programs: Path, direct: Side, proxied: Side, churned: None) -> None:
    """PGOPTIONS, which most poolers refuse."""
    seen = []
    for side in (direct, proxied):
        conninfo = f"options='-c work_mem=9MB -c statement_timeout=5s' client_encoding=utf-8 dbname={side.database}"
        sql = "SHOW work_mem; SHOW statement_timeout; SHOW client_encoding"
        seen.append(run(programs, side, "-At", "-c", sql, conninfo))
    assert seen == [(0, "9MB\n5s\nUTF8\n")] * 2


def test_interrupt(programs: Path, postgres: Postgres, direct: Side, proxied: Side, churned: None) -> None:
    """Ctrl-C sends a CancelRequest; psql goes on with what follows."""
    for side in (direct, proxied):
        psql = subprocess.Popen(
            [programs / "psql", "-XAt"],
            env={**os.environ, **side.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert psql.stdin is not None
        mark = f"psql {side.name}"
        psql.stdin.write(f"SELECT pg_sleep(60) /* {mark} */;\n")
        psql.stdin.flush()
        when_asleep(postgres, mark, lambda: psql.send_signal(signal.SIGINT))  # noqa: B023
        output, complaints = psql.communicate("SELECT 'after';\n", timeout=30)
        assert "canceling statement due to user request" in complaints
        assert output.strip() in ("after", "")  # psql may drop the rest of its input on an interrupt


def test_wrong_password(programs: Path, direct: Side, proxied: Side) -> None:
    status, output = run(programs, proxied, "-c", "SELECT 1", f"password=wrong dbname={proxied.database}")
    assert status == 2 and 'FATAL:  password authentication failed for user "app"' in output
    assert run(programs, direct, "-c", "SELECT 1", f"password=wrong dbname={direct.database}")[0] == 2
