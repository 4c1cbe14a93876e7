"""Sessions that prepare, execute and drop statements by SQL, alone and mixed with protocol-level ones.

Owns what is played and what must hold on either side. Refuses to choose where: test_sql_prepare.py does.
"""

from __future__ import annotations

from tests.support import messages as m
from tests.support.sides import Play
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates


def many_executions(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE plan (int) AS SELECT $1 * 2"))
    for i in range(20):
        assert rows(talk.ask(m.query(f"EXECUTE plan({i})"))) == [(str(2 * i).encode(),)]


def names_in_all_spellings(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE Mixed AS SELECT 'mixed'"))
    talk.ask(m.query("prepare \"Mixed\"AS SELECT 'quoted'"))
    talk.ask(m.query('/* ; */ PREPARE--x\n"a ""b"";" (text) AS SELECT $1'))
    for _ in range(3):
        assert rows(talk.ask(m.query("EXECUTE MIXED"))) == [(b"mixed",)]
        assert rows(talk.ask(m.query('EXECUTE "mixed" ;'))) == [(b"mixed",)]
        assert rows(talk.ask(m.query('execute"Mixed"'))) == [(b"quoted",)]
        assert rows(talk.ask(m.query('EXECUTE/**/"a ""b"";"(\'é\')'))) == [("é".encode(),)]
    talk.ask(m.query('DEALLOCATE "Mixed"'))
    assert sqlstates(talk.ask(m.query('EXECUTE "Mixed"'))) == ["26000"]
    assert rows(talk.ask(m.query("EXECUTE mixed"))) == [(b"mixed",)]


def names_that_are_not_plain(talk: Recorder) -> None:
    talk.ask(m.query('PREPARE "é" AS SELECT 1'))
    for _ in range(3):
        assert rows(talk.ask(m.query('EXECUTE "é"'))) == [(b"1",)]
    talk.ask(m.query('DEALLOCATE "é"'))
    talk.ask(m.query('EXECUTE "é"'))


def explained_and_made_a_table(talk: Recorder) -> None:
    talk.ask(m.query("SET plan_cache_mode = force_custom_plan"))  # else the number of its uses shows
    talk.ask(m.query("PREPARE items (int) AS SELECT id, name FROM proto_items WHERE id < $1"))
    for _ in range(3):
        assert not sqlstates(talk.ask(m.query("EXPLAIN (COSTS off) EXECUTE items(3)")))
        talk.ask(m.query("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) EXECUTE items(4)"))
        talk.ask(m.query("EXPLAIN (COSTS off) CREATE TABLE proto_made AS EXECUTE items(3)"))
        talk.ask(m.query("CREATE TABLE proto_made (a, b) AS EXECUTE items(5) WITH DATA"))
        assert len(rows(talk.ask(m.query("SELECT * FROM proto_made")))) == 4
        talk.ask(m.query("DROP TABLE proto_made"))


def in_blocks(talk: Recorder) -> None:
    for end in ("COMMIT", "ROLLBACK"):
        talk.ask(m.query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        talk.ask(m.query("PREPARE plan AS SELECT count(*) FROM proto_items"))
        talk.ask(m.query("SAVEPOINT a"))
        talk.ask(m.query("EXECUTE plan"))
        talk.ask(m.query("PREPARE other AS SELECT 2"))
        talk.ask(m.query("ROLLBACK TO SAVEPOINT a"))
        talk.ask(m.query("EXECUTE other"))
        talk.ask(m.query(end))
        for _ in range(3):
            assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"10",)]
            assert rows(talk.ask(m.query("EXECUTE other"))) == [(b"2",)]
        talk.ask(m.query("BEGIN"))
        talk.ask(m.query("EXECUTE plan"))
        talk.ask(m.query("DEALLOCATE plan"))
        talk.ask(m.query(end))
        assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["26000"]
        talk.ask(m.query("DEALLOCATE ALL"))


def in_a_failed_block(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE plan AS SELECT 1"))
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT 1/0"))
    for sql in ("EXECUTE plan", "PREPARE late AS SELECT 1", "DEALLOCATE plan", "PREPARE plan AS SELECT 1"):
        assert sqlstates(talk.ask(m.query(sql))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"1",)]
    assert sqlstates(talk.ask(m.query("EXECUTE late"))) == ["26000"]


def that_fail(talk: Recorder) -> None:
    for sql, state in (
        ("PREPARE plan AS SELECT nowhere", "42703"),
        ("PREPARE plan (nothing) AS SELECT 1", "42704"),
        ("PREPARE plan AS SELEC 1", "42601"),
        ("PREPARE plan AS SELECT '\u00e9', nowhere", "42703"),
        ('PREPARE "" AS SELECT 1', "42601"),
        ("EXECUTE plan", "26000"),
        ("EXECUTE plan(1)", "26000"),
        ("DEALLOCATE plan", "26000"),
        ("DEALLOCATE", "42601"),
        ("PREPARE", "42601"),
    ):
        assert sqlstates(talk.ask(m.query(sql))) == [state], sql
    talk.ask(m.query("PREPARE plan (int) AS SELECT 10 / $1"))
    for _ in range(3):
        for sql, state in (
            ("EXECUTE plan", "42601"),
            ("EXECUTE plan(1, 2)", "42601"),
            ("EXECUTE plan(nowhere)", "42703"),
            ("EXECUTE plan('é', nowhere)", "42601"),
            ("EXECUTE plan('x')", "22P02"),
            ("EXECUTE plan(0)", "22012"),
            ("EXECUTE plan(1", "42601"),
            ("EXPLAIN EXECUTE plan(nowhere)", "42703"),
        ):
            assert sqlstates(talk.ask(m.query(sql))) == [state], sql
    assert rows(talk.ask(m.query("EXECUTE plan(5)"))) == [(b"2",)]


def names_that_exist(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE plan AS SELECT 1"))
    for _ in range(3):
        assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 2"))) == ["42P05"]
        assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT nowhere"))) == ["42703"]
        assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 1"))) == ["42P05"]
        assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"1",)]
    talk.ask(m.query("BEGIN"))
    assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 2"))) == ["42P05"]
    talk.ask(m.query("ROLLBACK"))
    talk.ask(m.query("DEALLOCATE plan"))
    talk.ask(m.query("PREPARE plan AS SELECT 2"))
    assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"2",)]


def what_goes_away_beneath(talk: Recorder) -> None:
    """A table that a statement reads is dropped, and comes back."""
    talk.ask(m.query("CREATE TABLE proto_gone (a int)"))
    talk.ask(m.query("PREPARE plan AS SELECT a FROM proto_gone"))
    talk.ask(m.query("EXECUTE plan"))
    talk.ask(m.query("DROP TABLE proto_gone"))
    for _ in range(4):
        assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 2"))) == ["42P05"]
    for _ in range(4):
        assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["42P01"]
        for sql in ("BEGIN", "EXECUTE plan", "SELECT 1", "ROLLBACK"):
            talk.ask(m.query(sql))
    talk.ask(m.query("CREATE TABLE proto_gone (a int)"))
    for _ in range(4):
        assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == []
    talk.ask(m.query("DROP TABLE proto_gone"))
    assert sqlstates(talk.ask(m.query("DEALLOCATE plan; SELECT 1"))) == []
    assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 1; DEALLOCATE plan; SELECT 1"))) == []
    assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["26000"]


def columns_that_change(talk: Recorder) -> None:
    """The error is PostgreSQL's, at whichever server."""
    talk.ask(m.query("CREATE TABLE proto_grown (a int)"))
    talk.ask(m.query("PREPARE plan AS SELECT * FROM proto_grown"))
    talk.ask(m.query("EXECUTE plan"))
    talk.ask(m.query("ALTER TABLE proto_grown ADD COLUMN b int"))
    for _ in range(4):
        assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["0A000"]
    talk.ask(m.query("DEALLOCATE plan"))
    talk.ask(m.query("PREPARE plan AS SELECT * FROM proto_grown"))
    for _ in range(4):
        assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == []
    talk.ask(m.query("DROP TABLE proto_grown"))


def prepared_by_sql_used_by_protocol(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE plan (int) AS SELECT $1 + 1 AS sum"))
    for i in range(5):
        assert rows(talk.ask(m.run_prepared("plan", [str(i)]))) == [(str(i + 1).encode(),)]
        assert not sqlstates(talk.ask(m.describe_statement("plan"), m.sync()))
    assert sqlstates(talk.ask(m.parse("SELECT 1", "plan"), m.sync())) == ["42P05"]
    talk.ask(m.close_statement("plan"), m.sync())
    assert sqlstates(talk.ask(m.query("EXECUTE plan(1)"))) == ["26000"]
    talk.ask(m.parse("SELECT 5", "plan"), m.sync())
    assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"5",)]


def parsed_by_protocol_used_by_sql(talk: Recorder) -> None:
    talk.ask(m.parse("SELECT $1::int + 1", "plan"), m.parse("SELECT 'b'", "Other"), m.sync())
    for i in range(5):
        assert rows(talk.ask(m.query(f"EXECUTE plan({i})"))) == [(str(i + 1).encode(),)]
        assert rows(talk.ask(m.query('EXECUTE "Other"'))) == [(b"b",)]
        assert rows(talk.ask(m.run_prepared("plan", ["1"]))) == [(b"2",)]
    assert sqlstates(talk.ask(m.query("PREPARE plan AS SELECT 2"))) == ["42P05"]
    talk.ask(m.query("DEALLOCATE PREPARE plan"))
    assert sqlstates(talk.ask(m.run_prepared("plan", ["1"]))) == ["26000"]
    talk.ask(m.query("PREPARE plan AS SELECT 2"))
    assert rows(talk.ask(m.run_prepared("plan"))) == [(b"2",)]


def by_the_extended_protocol(talk: Recorder) -> None:
    """As drivers send it whose every statement is a Parse: unnamed, named, described, in one batch."""
    talk.ask(m.batch("PREPARE plan (int) AS SELECT $1 * 3"))
    for i in range(4):
        assert rows(talk.ask(m.batch(f"EXECUTE plan({i})"))) == [(str(3 * i).encode(),)]
        assert rows(talk.ask(m.query(f"EXECUTE plan({i})"))) == [(str(3 * i).encode(),)]
        assert rows(talk.ask(m.run_prepared("plan", [str(i)]))) == [(str(3 * i).encode(),)]
    assert sqlstates(talk.ask(m.batch("PREPARE plan AS SELECT 2"))) == ["42P05"]
    assert sqlstates(talk.ask(m.batch("PREPARE other AS SELECT nowhere"))) == ["42703"]
    assert sqlstates(talk.ask(m.batch("EXECUTE other"))) == ["26000"]
    assert sqlstates(talk.ask(m.batch("EXECUTE plan(nowhere)"))) == ["42703"]
    assert sqlstates(talk.ask(m.batch("EXECUTE plan(1, 2)"))) == ["42601"]
    talk.ask(m.batch("DEALLOCATE plan"))
    assert sqlstates(talk.ask(m.batch("EXECUTE plan(1)"))) == ["26000"]
    run = m.bind() + m.execute()
    batch = [m.parse("PREPARE plan AS SELECT 7"), run, m.parse("EXECUTE plan"), run, m.parse("DEALLOCATE plan"), run]
    for _ in range(3):
        assert rows(talk.ask(*batch, m.sync())) == [(b"7",)]
    assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["26000"]


def named_statements_that_name_others(talk: Recorder) -> None:
    talk.ask(m.parse("EXECUTE plan(1)", "run"), m.parse("PREPARE plan (int) AS SELECT $1", "make"), m.sync())
    assert sqlstates(talk.ask(m.run_prepared("run"))) == ["26000"]
    for _ in range(3):
        assert not sqlstates(talk.ask(m.run_prepared("make")))
        assert rows(talk.ask(m.run_prepared("run"))) == [(b"1",)]
        assert sqlstates(talk.ask(m.run_prepared("make"))) == ["42P05"]
        talk.ask(m.query("DEALLOCATE plan"))
        talk.ask(m.query("PREPARE plan (text) AS SELECT $1 || 'x'"))
        assert rows(talk.ask(m.run_prepared("run"))) == [(b"1x",)]
        talk.ask(m.query("DEALLOCATE plan"))


def described_statements_that_name_others(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE plan AS SELECT id, name FROM proto_items"))
    for _ in range(3):
        talk.ask(m.parse("EXECUTE plan", "run"), m.describe_statement("run"), m.sync())
        talk.ask(m.bind([], "run", "p"), m.describe_portal("p"), m.execute("p", 3), m.execute("p"), m.sync())
        talk.ask(m.parse("EXECUTE plan"), m.describe_statement(), m.bind(), m.execute(), m.sync())
        talk.ask(m.close_statement("run"), m.sync())


def errors_void_what_follows(talk: Recorder) -> None:
    run = m.bind() + m.execute()
    fails = m.parse("SELECT 1/0") + run
    talk.ask(fails, m.parse("PREPARE plan AS SELECT 1"), run, m.sync())
    assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["26000"]
    talk.ask(m.parse("PREPARE plan AS SELECT 1"), run, fails, m.sync())
    assert rows(talk.ask(m.query("EXECUTE plan"))) == [(b"1",)]
    talk.ask(m.query("BEGIN"))
    talk.ask(fails, m.sync())
    assert sqlstates(talk.ask(m.batch("EXECUTE plan"))) == ["25P02"]
    assert sqlstates(talk.ask(m.batch("PREPARE late AS SELECT 1"))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.batch("EXECUTE plan"))) == [(b"1",)]


def pipelined(talk: Recorder) -> None:
    """Each Query is a transaction of its own, and what it makes of the names counts for the next."""
    queries = [
        "PREPARE plan AS SELECT 1",
        "EXECUTE plan",
        "DEALLOCATE plan",
        "EXECUTE plan",
        "PREPARE plan AS SELECT 2",
    ]
    replies = talk.ask(*map(m.query, queries), m.run_prepared("plan"), m.query("DEALLOCATE ALL"), count=7)
    assert sqlstates(replies) == ["26000"] and rows(replies) == [(b"1",), (b"2",)]
    queries = ["BEGIN", "PREPARE plan AS SELECT 3", "SELECT 1/0", "EXECUTE plan", "ROLLBACK", "EXECUTE plan"]
    replies = talk.ask(*map(m.query, queries), count=6)
    assert sqlstates(replies) == ["22012", "25P02"] and rows(replies) == [(b"3",)]
    replies = talk.ask(m.query("DEALLOCATE ALL"), m.query("PREPARE plan AS SELECT 4"), m.query("EXECUTE plan"), count=3)
    assert rows(replies) == [(b"4",)]
    replies = talk.ask(m.batch("DEALLOCATE ALL"), m.batch("PREPARE plan AS SELECT 5"), m.query("EXECUTE plan"), count=3)
    assert rows(replies) == [(b"5",)]


def several_in_one_text(talk: Recorder) -> None:
    replies = talk.ask(m.query("PREPARE a AS SELECT 1; PREPARE b AS SELECT 2; EXECUTE b; EXECUTE a; DEALLOCATE a"))
    assert rows(replies) == [(b"2",), (b"1",)]
    for _ in range(3):
        assert rows(talk.ask(m.query("EXECUTE b"))) == [(b"2",)]
        assert sqlstates(talk.ask(m.query("EXECUTE a"))) == ["26000"]
        assert rows(talk.ask(m.query("BEGIN; EXECUTE b; COMMIT; EXECUTE b"))) == [(b"2",), (b"2",)]
    replies = talk.ask(m.query("PREPARE c AS SELECT 3; SELECT 1/0; PREPARE d AS SELECT 4"))
    assert rows(talk.ask(m.query("EXECUTE c"))) == [(b"3",)]
    assert sqlstates(talk.ask(m.query("EXECUTE d"))) == ["26000"]
    assert sqlstates(talk.ask(m.query("EXECUTE c; PREPARE c AS SELECT 5; SELECT 1"))) == ["42P05"]
    assert sqlstates(talk.ask(m.query("EXECUTE c; EXECUTE nobody; SELECT 1"))) == ["26000"]
    assert sqlstates(talk.ask(m.query("EXECUTE c; EXECUTE c; SELECT nowhere"))) == ["42703"]
    replies = talk.ask(m.query("DEALLOCATE ALL; PREPARE c AS SELECT 6; EXECUTE c; DEALLOCATE b"))
    assert rows(replies) == [(b"6",)] and sqlstates(replies) == ["26000"]
    assert rows(talk.ask(m.query("EXECUTE c"))) == [(b"6",)]
    talk.ask(m.query("DEALLOCATE c; PREPARE c AS SELECT 7"))
    for _ in range(3):
        assert rows(talk.ask(m.query("EXECUTE c"))) == [(b"7",)]
        assert rows(talk.ask(m.query("SET TimeZone = 'Asia/Tokyo'; EXECUTE c; SHOW TimeZone"))) == [
            (b"7",),
            (b"Asia/Tokyo",),
        ]


def forgotten(talk: Recorder) -> None:
    for sql in ("DEALLOCATE ALL", "DEALLOCATE PREPARE ALL", "DISCARD ALL"):
        for way in (m.query, m.batch):
            talk.ask(m.query("PREPARE a AS SELECT 1"))
            talk.ask(m.parse("SELECT 2", "b"), m.sync())
            talk.ask(way(sql))
            assert sqlstates(talk.ask(m.query("EXECUTE a"))) == ["26000"]
            assert sqlstates(talk.ask(m.query("EXECUTE b"))) == ["26000"]
    talk.ask(m.query("PREPARE a AS SELECT 1"))
    for sql in ("DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES"):
        talk.ask(m.query(sql))
        assert rows(talk.ask(m.query("EXECUTE a"))) == [(b"1",)]


def settings_of_its_preparation(talk: Recorder) -> None:
    """The text of a literal is read at PREPARE; the tables' names are looked up at each EXECUTE."""
    talk.ask(m.query("SET DateStyle = 'SQL, DMY'"))
    talk.ask(m.query("PREPARE month AS SELECT extract(month FROM '02/01/2030'::date)"))
    talk.ask(m.query("SET DateStyle = 'SQL, MDY'"))
    for _ in range(4):
        assert rows(talk.ask(m.query("EXECUTE month"))) == [(b"1",)]
    talk.ask(m.query("SET search_path = proto_a"))
    talk.ask(m.query("PREPARE who AS SELECT tenant FROM who"))
    talk.ask(m.query("SET search_path = proto_b"))
    for _ in range(4):
        assert rows(talk.ask(m.query("EXECUTE who"))) == [(b"b",)]


def paths_that_lead_elsewhere(talk: Recorder) -> None:
    """Its table is found when it is prepared, and not any more when it is executed, among other statements."""
    for begin, end in (("SELECT 0", "SELECT 9"), ("BEGIN", "COMMIT"), ("BEGIN", "ROLLBACK")):
        talk.ask(m.query(begin))
        talk.ask(m.query("PREPARE plan AS SELECT name FROM proto_items; SET search_path = pg_catalog; SELECT 1"))
        assert not sqlstates(talk.ask(m.query("SELECT 2")))
        talk.ask(m.query(end))
        talk.ask(m.query("SET search_path = pg_catalog"))
        for _ in range(3):
            talk.ask(m.query(begin))
            assert sqlstates(talk.ask(m.query("SELECT 3; EXECUTE plan; SELECT 4"))) == ["42P01"]
            talk.ask(m.query("SELECT 5"))
            talk.ask(m.query(end))
        talk.ask(m.query("RESET search_path"))
        for _ in range(3):
            talk.ask(m.query(begin))
            assert len(rows(talk.ask(m.query("SELECT 6; EXECUTE plan; SELECT 7")))) > 2
            talk.ask(m.query(end))
        talk.ask(
            m.query("BEGIN") + m.query("PREPARE q AS SELECT FROM proto_items") + m.query("SET search_path = ''"),
            count=3,
        )
        talk.ask(m.query("SELECT 8"))
        talk.ask(m.query("ROLLBACK; DEALLOCATE ALL"))


def in_sessions_that_no_error_survives(talk: Recorder) -> None:
    talk.ask(m.query("SET exit_on_error = on"))
    talk.ask(m.query("PREPARE plan AS SELECT 1"))
    for _ in range(5):
        talk.ask(m.query("SELECT 0; EXECUTE plan"))
        talk.ask(m.query("BEGIN"))
        talk.ask(m.query("SELECT 0; EXECUTE plan"))
        talk.ask(m.query("COMMIT"))


def effects_of_what_is_executed(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE setting AS SELECT set_config('work_mem', '7MB', false)"))
    assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"4MB",)]
    talk.ask(m.query("EXECUTE setting"))
    talk.ask(m.query("PREPARE plain (text) AS SELECT $1"))
    talk.ask(m.query("EXECUTE plain(set_config('app.tenant', 'x', false))"))
    for _ in range(3):
        assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"7MB",)]
        assert rows(talk.ask(m.query("SHOW app.tenant"))) == [(b"x",)]
    talk.ask(m.query("PREPARE writing (int) AS INSERT INTO proto_scratch VALUES ($1) RETURNING a"))
    talk.ask(m.query("EXECUTE writing(5)"))
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("EXECUTE writing(6)"))
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.query("SELECT a FROM proto_scratch"))) == [(b"5",)]


def a_wrong_number_of_values(talk: Recorder) -> None:
    """The server's name of a statement is in its words."""
    talk.ask(m.parse("SELECT $1::int", "plan"), m.sync())
    assert sqlstates(talk.ask(m.query("EXECUTE plan"))) == ["42601"]
    assert sqlstates(talk.ask(m.run_prepared("plan", []))) == ["08P01"]


def after_other_replies_of_its_batch(talk: Recorder) -> None:
    """An error that is told in other words than the server's keeps its place."""
    talk.ask(m.parse("SELECT 1", "twice"), m.sync())
    one = m.parse("SELECT 1") + m.bind() + m.execute()
    replies = talk.ask(one, m.parse("SELECT 2", "twice"), m.sync())
    assert [reply.kind for reply in replies] == ["1", "2", "D", "C", "E", "Z"]


def long_texts(talk: Recorder) -> None:
    filler = "x" * 300_000
    talk.ask(m.query(f"PREPARE plan (text) AS SELECT length($1), length('{filler}')"))
    for _ in range(3):
        assert rows(talk.ask(m.query(f"EXECUTE plan('{filler}')"))) == [(b"300000", b"300000")]
    talk.ask(m.query("DEALLOCATE plan"))


PLAYS: list[Play] = [
    many_executions,
    names_in_all_spellings,
    explained_and_made_a_table,
    in_blocks,
    in_a_failed_block,
    that_fail,
    names_that_exist,
    what_goes_away_beneath,
    columns_that_change,
    prepared_by_sql_used_by_protocol,
    parsed_by_protocol_used_by_sql,
    by_the_extended_protocol,
    named_statements_that_name_others,
    described_statements_that_name_others,
    errors_void_what_follows,
    pipelined,
    several_in_one_text,
    forgotten,
    settings_of_its_preparation,
    paths_that_lead_elsewhere,
    in_sessions_that_no_error_survives,
    effects_of_what_is_executed,
    a_wrong_number_of_values,
    after_other_replies_of_its_batch,
    long_texts,
    names_that_are_not_plain,
]
