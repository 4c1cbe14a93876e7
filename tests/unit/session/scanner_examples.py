"""Statements and what the scanner must say of them."""

from dataclasses import dataclass

from tidegate.session.facts import Place, PlaceKind, ScanFlag
from tidegate.session.pins import PinReason

TOUCHES, SINGLE = ScanFlag.TOUCHES, ScanFlag.SINGLE
CHANGES = ScanFlag.DDL | ScanFlag.RESHAPES
MAKES = CHANGES | ScanFlag.MAKES_CODE


@dataclass(frozen=True)
class Example:
    """flags: all but SINGLE, TOUCHES and PINS, which follow from the other fields."""

    text: bytes
    touched: tuple[str, ...] = ()
    pin: PinReason | None = None
    flags: int = 0
    statements: int = 1
    deallocate: bytes | None = None
    bound: tuple[int, ...] = ()
    unlistened: tuple[bytes | None, ...] = ()
    set_default: str | None = None
    replayable: bool = False
    scs: bool = True
    trail: str = "UTF8"
    places: tuple[Place, ...] = ()

    @property
    def all_flags(self) -> int:
        flags = self.flags | (ScanFlag.SINGLE if self.statements == 1 else 0)
        flags |= TOUCHES if self.touched or self.bound else 0
        flags |= ScanFlag.NAMES if any(place.name is not None for place in self.places) else 0
        return flags | (ScanFlag.PINS if self.pin else 0)


def _value(text: bytes, *touched: str) -> Example:
    return Example(text, touched, replayable=True)


def _default(text: bytes, *touched: str) -> Example:
    return Example(text, touched, set_default=touched[0])


def _pin(text: bytes, reason: PinReason, flags: int = 0) -> Example:
    return Example(text, pin=reason, flags=flags)


def _folded(name: bytes) -> bytes:
    return name[1:-1].replace(b'""', b'"') if name.startswith(b'"') else name.lower()


def _prepares(
    head: bytes,
    name: bytes,
    body: bytes,
    rest: bytes = b"",
    touched: tuple[str, ...] = (),
    pin: PinReason | None = None,
) -> Example:
    end = len(head) + len(name)
    place = Place(PlaceKind.PREPARES, _folded(name), len(head), end, end + len(body))
    return Example(head + name + body + rest, touched, pin, places=(place,))


def _executes(
    head: bytes, name: bytes, rest: bytes, touched: tuple[str, ...] = (), pin: PinReason | None = None, flags: int = 0
) -> Example:
    place = Place(PlaceKind.EXECUTES, _folded(name), len(head), len(head) + len(name), -1)
    return Example(head + name + rest, touched, pin, flags, places=(place,))


def _drops(head: bytes, spelled: bytes, name: bytes) -> Example:
    end = len(head) + len(spelled)
    place = Place(PlaceKind.DROPS, name, len(head), end, end)
    return Example(head + spelled, flags=ScanFlag.DEALLOCATE_ONE, deallocate=name, places=(place,))


SETTINGS = [
    _value(b"SET x = 1", "x"),
    _value(b"set SESSION Work_Mem to '4MB' ;", "work_mem"),
    _value(b"SET x TO -1.5", "x"),
    _value(b"SET x = on", "x"),
    _value(b"SET search_path = a, 'b', \"C\"", "search_path"),
    _value(b'SET "App"."T" = \'x\'', "app.t"),
    _value(b"SET a.b.c.d = 1", "a.b.c.d"),
    _value(b"SET sort_mem = 64", "work_mem"),
    _value(b"SET TIME ZONE 'UTC'", "timezone"),
    _value(b"SET SESSION TIME ZONE -7", "timezone"),
    _value(b"SET NAMES 'utf8'", "client_encoding"),
    _value(b"SET ROLE alice", "role"),
    _value(b"SET ROLE 'none'", "role"),
    _value(b"SET role = bob", "role"),
    _value(b"SET SCHEMA 'x'", "search_path"),
    _value(b"SET local.x = 1", "local.x"),
    _value(b"SET local TO 1", "local"),
    _value(b"SET session.x = 1", "session.x"),
    _value(b"SET SESSION characteristics.x = 1", "characteristics.x"),
    _value(b"SET SESSION local.x = 1", "local.x"),
    _value(b"SET transaction.x = 1", "transaction.x"),
    _value(b"SET constraints = 1", "constraints"),
    _value(b"SET time.zone = 1", "time.zone"),
    _value(b"SET x = E'a'", "x"),
    _value(b"SET x = 'a'\n 'b'", "x"),
    _value(b"SET x = 'it''s'", "x"),
    _value(b"; ;SET x = 1 ; --; RESET ALL\n ;", "x"),
    # a value that the text alone does not tell
    Example(b"SET DateStyle = 'DMY'", ("datestyle",)),
    Example(b"SET default_text_search_config = 'english'", ("default_text_search_config",)),
    Example(b"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", ("timezone",)),
    Example(b"SET XML OPTION DOCUMENT", ("xmloption",)),
    Example(b"SET x FROM CURRENT", ("x",)),
    Example(b"SET x = E'a\\n'", ("x",)),
    Example(b"SET x = 'a\\n'", ("x",)),
    Example(b"SET x = 'a\\n'", ("x",), scs=False),
    Example(b"SET x = '\xc3\xa9'", ("x",)),
    Example(b'SET x = "\xc3\xa9"', ("x",)),
    Example(b"SET x = $$a$$", ("x",)),
    Example(b"SET x = '" + b"a" * 129 + b"'", ("x",)),
    Example(b"SET x = " + b"a" * 64, ("x",)),
    Example(b"SET x = " + b"a," * 40 + b"a", ("x",)),
    Example(b"SET x = 1; SELECT 1", ("x",), statements=2),
    Example(b"SET x = DEFAULT, 1", ("x",)),
    Example(b"SET x = -", ("x",)),
    Example(b"SET x =", ("x",)),
    Example(b"SET SESSION AUTHORIZATION alice", ("session_authorization", "role")),
    Example(b"SET session_authorization = alice", ("session_authorization", "role")),
    Example(
        b"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        ("default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable"),
    ),
    # back to the default
    _default(b"SET x TO DEFAULT", "x"),
    _default(b"SET SESSION x = default;", "x"),
    _default(b"SET TIME ZONE LOCAL", "timezone"),
    _default(b"SET TIME ZONE DEFAULT", "timezone"),
    _default(b"SET NAMES", "client_encoding"),
    _default(b"SET NAMES DEFAULT", "client_encoding"),
    _default(b"SET SESSION AUTHORIZATION DEFAULT", "session_authorization", "role"),
    _default(b"RESET x", "x"),
    _default(b'RESET "App".t', "app.t"),
    _default(b"RESET TIME ZONE", "timezone"),
    _default(b"RESET time.zone", "time.zone"),
    _default(b"RESET SESSION AUTHORIZATION", "session_authorization", "role"),
    _default(b"RESET session.x", "session.x"),
    _default(b"RESET ROLE", "role"),
    _default(b"RESET transaction.x", "transaction.x"),
    _default(b'RESET "all"', "all"),
    Example(b"RESET x; RESET y", ("x", "y"), statements=2),
    Example(b"RESET ALL", flags=ScanFlag.RESET_ALL),
    # nothing for the session
    Example(b"SET LOCAL x = 1"),
    Example(b"SET LOCAL x TO DEFAULT"),
    Example(b"SET LOCAL session.x = 1"),
    Example(b"SET LOCAL TIME ZONE 'UTC'", flags=ScanFlag.LOCALLY),
    Example(b"SET LOCAL SESSION AUTHORIZATION bob", flags=ScanFlag.LOCALLY),
    Example(b"SET LOCAL SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
    Example(b"SET TRANSACTION READ ONLY"),
    Example(b"SET SESSION TRANSACTION READ ONLY"),
    Example(b"SET transaction_read_only = on"),
    Example(b"RESET TRANSACTION ISOLATION LEVEL"),
    Example(b"SET CONSTRAINTS ALL DEFERRED"),
    Example(b"SET CONSTRAINTS a.b IMMEDIATE"),
    # set_config
    Example(b"SELECT set_config('App.Tenant', '5', false)", ("app.tenant",)),
    Example(b"SELECT 1, pg_catalog . SET_CONFIG ( 'a' , $1, true), \"set_config\"('b','c',false)", ("a", "b")),
    Example(b"SELECT set_config('a'::text, $2, false)", ("a",)),
    Example(b"SELECT set_config($1, $2, false)", bound=(1,)),
    Example(b"SELECT set_config ( $12 :: VARCHAR , $2, false), set_config($3, '', true)", bound=(12, 3)),
    Example(b"SELECT set_config('a', set_config('b', 'c', false), false)", ("a", "b")),
    Example(b"SELECT set_config(E'a', 'b', false)", ("a",)),
    Example(b"SELECT set_config('session_authorization', 'b', false)", ("session_authorization", "role")),
    Example(b"SELECT set_config('transaction_isolation', 'b', false)"),
    Example(b"UPDATE t SET set_config = 1"),
    Example(b"SELECT set_limit(0.4)", ("pg_trgm.similarity_threshold",)),
    Example(b"SELECT 'set_config(''a'', ''b'', false)'"),
    Example(b"SELECT $$set_config('a', 'b', false)$$"),
    Example(b"SELECT \"SET_CONFIG\"('a', 'b', false)"),
]

PINS = [
    *(
        _pin(b"CREATE " + words, PinReason.TEMP_OBJECT, CHANGES)
        for words in (
            b"TEMP TABLE t()",
            b"temporary table t()",
            b"LOCAL TEMP TABLE t()",
            b"GLOBAL/**/TEMPORARY TABLE t()",
            b"TEMP SEQUENCE s",
            b"OR REPLACE TEMP VIEW v AS SELECT 1",
            b"TEMP RECURSIVE VIEW v(a) AS SELECT 1",
            b"TABLE pg_temp.t()",
            b"VIEW PG_TEMP_3.v AS SELECT 1",
        )
    ),
    _pin(b'CREATE FUNCTION "pg_temp" . f() RETURNS int', PinReason.TEMP_OBJECT, MAKES),
    _pin(b"SELECT 1 INTO TEMP t", PinReason.TEMP_OBJECT, ScanFlag.DDL),
    _pin(b"SELECT 1 INTO LOCAL TEMPORARY TABLE t", PinReason.TEMP_OBJECT, ScanFlag.DDL),
    _pin(b"SELECT 1 INTO TABLE pg_temp.t", PinReason.TEMP_OBJECT, ScanFlag.DDL),
    _pin(b"EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", PinReason.TEMP_OBJECT),
    Example(b"SET search_path = pg_temp", ("search_path",), PinReason.TEMP_OBJECT),
    Example(b"SET search_path = 'public', 'PG_temp_3'", ("search_path",), PinReason.TEMP_OBJECT),
    Example(b"SET search_path = E'pg\\137temp'", ("search_path",), PinReason.TEMP_OBJECT),
    Example(b"SET LOCAL search_path = pg_temp", (), PinReason.TEMP_OBJECT, ScanFlag.LOCALLY),
    Example(b"SET SCHEMA 'pg_temp'", ("search_path",), PinReason.TEMP_OBJECT),
    Example(b"SELECT set_config('search_path', 'pg_temp', true)", ("search_path",), PinReason.TEMP_OBJECT),
    _pin(b"DECLARE c CURSOR WITH HOLD FOR SELECT 1", PinReason.HOLD_CURSOR),
    _pin(b"DECLARE c INSENSITIVE CURSOR WITH/* */hold FOR SELECT 1", PinReason.HOLD_CURSOR),
    _pin(b"SELECT pg_advisory_lock(1)", PinReason.ADVISORY_LOCK),
    _pin(b"SELECT pg_catalog.pg_advisory_lock_shared(1, 2)", PinReason.ADVISORY_LOCK),
    _pin(b"SELECT * FROM t WHERE Pg_Try_Advisory_Lock(t.id)", PinReason.ADVISORY_LOCK),
    _pin(b'SELECT "pg_try_advisory_lock_shared"(1)', PinReason.ADVISORY_LOCK),
    _pin(b"SELECT 'a' 'b', pg_advisory_lock(1)", PinReason.ADVISORY_LOCK),
    _pin(b"SELECT 1pg_advisory_lock(1)", PinReason.ADVISORY_LOCK),
    _pin("PREPARE pr\u00e9 AS SELECT 1".encode(), PinReason.SQL_PREPARE),
    _pin(b"PREPARE " + b"n" * 64 + b" AS SELECT 1", PinReason.SQL_PREPARE),
    _pin(b'PREPARE "a\\b" AS SELECT 1', PinReason.SQL_PREPARE),
    _pin(b'PREPARE U&"n" AS SELECT 1', PinReason.UNICODE_IDENTIFIER),
    _pin(b"DO $$BEGIN END$$", PinReason.DO_BLOCK),
    _pin(b"CALL p(1)", PinReason.CALL),
    _pin(b"LOAD 'auto_explain'", PinReason.LOAD),
    _pin(b"SELECT setseed(0.5)", PinReason.SETSEED),
    _pin(b"SET seed = 0.5", PinReason.SETSEED),
    _pin(b"SET LOCAL seed TO 0.5", PinReason.SETSEED),
    _pin(b"SELECT set_config('seed', '0.5', true)", PinReason.SETSEED),
    _pin(b"SELECT pg_backup_start('x')", PinReason.SESSION_FUNCTION),
    _pin(b"UPDATE pg_catalog.pg_settings SET setting = 'x' WHERE name = 'y'", PinReason.UNREAD_CODE),
    _pin(b"SELECT query_to_xml('select pg_advisory_lock(1)', true, true, '')", PinReason.UNREAD_CODE),
    _pin(b"SELECT U&\"set\\005fconfig\"('a', 'b', false)", PinReason.UNICODE_IDENTIFIER),
    _pin(b"SELECT u&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)", PinReason.UNICODE_IDENTIFIER),
    _pin(b"SELECT $" + b"t" * 64 + b"$ 1 $" + b"t" * 64 + b"$", PinReason.OVERSIZED_STATEMENT),
    *(
        Example(text, (), PinReason.DYNAMIC_SET, TOUCHES)
        for text in (
            b"SELECT set_config($1 || 'a', $2, false)",
            b"SELECT set_config($1::varchar(10), $2, false)",
            b"SELECT set_config('a' || 'b', 'c', false)",
            b"SELECT set_config(name, 'c', false) FROM t",
            b"SELECT set_config('a'::char, 'b', false)",
            b"SELECT set_config($1::char, 'b', false)",
            b"SELECT set_config(E'a\\x62', 'b', false)",
            b"SELECT set_config(U&'a', 'b', false)",
            b"SELECT set_config($$a$$, 'b', false)",
            b"SELECT set_config('\xc3\xa9.a', 'b', false)",
            b"SELECT set_config('" + b"a" * 129 + b"', 'b', false)",
            b"SELECT set_config(('a'), 'b', false)",
            b"SET \xc3\xa9.x = 1",
            b"SET " + b"a" * 64 + b" = 1",
            b"SET " + b"a." * 20 + b"a = 1",
        )
    ),
]

QUIET = [
    Example(b"", statements=0),
    Example(b" ;; -- x\n ; /* ; */", statements=0),
    Example(b"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"),
    Example(b"INSERT INTO temp VALUES (1)"),
    Example(b"MERGE INTO temp USING s ON true WHEN MATCHED THEN DELETE"),
    Example(b"SELECT temp, temporary FROM temp"),
    Example(b"UPDATE t SET x = 1"),
    Example(b"SELECT setting FROM pg_settings"),
    Example(b"SELECT setting FROM pg_settings FOR UPDATE"),
    Example(b"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1"),
    Example(b"SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(1)"),
    Example(b"SELECT pg_advisory_unlock_all()", flags=ScanFlag.FREES),
    Example(b"CLOSE c", flags=ScanFlag.FREES),
    Example(b"SELECT 1 AS close"),
    Example(b"SELECT 'pg_advisory_lock', $a$pg_advisory_lock(1)$$ $b$ $a$, E'\\'pg_advisory_lock()'"),
    Example(b'SELECT "a""pg_advisory_lock" FROM t -- setseed\n/* LISTEN /* x */ CALL */'),
    Example(b"SELECT pg_advisory_lock$, x$pg_advisory_lock"),
    Example(b"SELECT a$b$ ||'$b$; LISTEN x'"),
    Example(b"LISTEN x", flags=ScanFlag.LISTENS),
    Example(b'listen "Odd Channel" ;', flags=ScanFlag.LISTENS),
    Example(b"UNLISTEN *", flags=ScanFlag.UNLISTENS, unlistened=(None,)),
    Example(b"UNLISTEN Some_Channel", flags=ScanFlag.UNLISTENS, unlistened=(b"some_channel",)),
    Example(b'UNLISTEN "Odd ""Channel"""', flags=ScanFlag.UNLISTENS, unlistened=(b'Odd "Channel"',)),
    Example(b'UNLISTEN "*"', flags=ScanFlag.UNLISTENS, unlistened=(b"*",)),
    Example(b'UNLISTEN "\xc3\xa4"', flags=ScanFlag.UNLISTENS, unlistened=(b"",)),
    Example(b"UNLISTEN " + b"a" * 64, flags=ScanFlag.UNLISTENS, unlistened=(b"",)),
    Example(
        b"LISTEN a; UNLISTEN b; NOTIFY c; UNLISTEN *",
        flags=ScanFlag.LISTENS | ScanFlag.UNLISTENS | ScanFlag.NOTIFIES,
        statements=4,
        unlistened=(b"b", None),
    ),
    Example(b"NOTIFY x, 'payload'", flags=ScanFlag.NOTIFIES),
    Example(b"SELECT pg_catalog.pg_notify('x', $1)", flags=ScanFlag.NOTIFIES),
    Example(b"SELECT 'NOTIFY x', unlisten FROM listen"),
    Example(b"SELECT pg_listening_channels()", flags=ScanFlag.UNLISTENS, unlistened=(b"",)),
    Example(b"NOTIFY x", flags=ScanFlag.NOTIFIES),
    Example(b"SHOW search_path"),
    Example(b"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"),
    Example(b"SELECT nextval('s'), setval('s', 1)"),
    Example(b"SELECT nextval('s'), currval('s')", flags=ScanFlag.READS_SEQUENCES),
    Example(b'SELECT pg_catalog."lastval"()', flags=ScanFlag.READS_SEQUENCES),
    Example(b"SELECT 'lastval()', lastvalue, \"LASTVAL\"()"),
    Example(b"ALTER ROLE r SET x = 1", flags=CHANGES),
    Example(b"CREATE FUNCTION f() RETURNS int SET search_path = a, pg_temp AS $$SELECT setseed(1)$$", flags=MAKES),
    Example(b"CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS ''; COMMIT", flags=MAKES | ScanFlag.ENDS, statements=2),
    Example(b"CREATE EXTENSION hstore", flags=MAKES),
    Example(b"ALTER EXTENSION hstore UPDATE", flags=MAKES),
    Example(b"CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION f()", flags=CHANGES),
    Example(b"SELECT function, procedure FROM extension", flags=ScanFlag(0)),
    Example(b"CREATE FUNCTION f() AS ''; CREATE FUNCTION g() AS ''", flags=MAKES, statements=2),
    Example(b"CREATE FUNCTION f() AS ''; SELECT f()", (), PinReason.UNREAD_CODE, MAKES, 2),
    Example(b"DROP TABLE temp", flags=CHANGES),
    Example(b"TRUNCATE t", flags=ScanFlag.DDL),
    Example(b"COPY t FROM STDIN", flags=ScanFlag.COPIES),
    Example(b"BEGIN", flags=ScanFlag.BEGINS),
    Example(b"start transaction read only", flags=ScanFlag.BEGINS),
    *(Example(word, flags=ScanFlag.ENDS) for word in (b"COMMIT", b"ROLLBACK", b"END", b"ABORT", b"/**/Commit work")),
    Example(b"PREPARE TRANSACTION 'x'", flags=ScanFlag.ENDS),
    Example(b"PREPARE TRANSACTION $$x$$", flags=ScanFlag.ENDS),
    Example(b"BEGIN; SELECT 1; COMMIT", flags=ScanFlag.BEGINS | ScanFlag.ENDS, statements=3),
    Example(b"DISCARD ALL", flags=ScanFlag.DISCARD_ALL),
    Example(b"DISCARD PLANS", flags=ScanFlag.DISCARD_OTHER),
    Example(b"DEALLOCATE ALL", flags=ScanFlag.DEALLOCATE_ALL),
    Example(b"DEALLOCATE PREPARE ALL", flags=ScanFlag.DEALLOCATE_ALL),
]

NAMING = [
    _prepares(b"PREPARE ", b"p", b" AS SELECT 1"),
    _prepares(b"PREPARE ", b"transaction", b" AS SELECT 1"),
    _prepares(b"/* x */ prepare--\n", b"Transaction", b"(int) AS SELECT $1 ", b"; "),
    _prepares(b"PREPARE ", b'"F""oo"', b"AS SELECT ';' -- end"),
    _prepares(b"PREPARE ", b"p", b" AS SELECT E'\\';' $$;$$ /* ; */", b";;"),
    _prepares(b"PREPARE ", b"p", b" AS SELECT set_config('work_mem', '7MB', false)", touched=("work_mem",)),
    _prepares(b"PREPARE ", b"p", b" AS SELECT pg_advisory_lock(1)", pin=PinReason.ADVISORY_LOCK),
    _executes(b"EXECUTE ", b"p", b"(1)"),
    _executes(b"EXECUTE", b'"P p"', b""),
    _executes(b"execute/**/", b"P", b"(set_config('work_mem', '7MB', false));", touched=("work_mem",)),
    _executes("/* \u00e9 */EXECUTE ".encode(), b"p", "('\u00e9')".encode()),
    _executes(b"EXPLAIN EXECUTE ", b"p", b""),
    _executes(b"EXPLAIN (ANALYZE, COSTS (off)) EXECUTE ", b"p", b"((1))"),
    _executes(b"EXPLAIN ANALYSE VERBOSE EXECUTE ", b"p", b"(1)"),
    _executes(b"EXPLAIN CREATE TABLE t AS EXECUTE ", b"p", b""),
    _executes(b"CREATE TABLE t AS EXECUTE ", b"p", b"", flags=CHANGES),
    _executes(b'CREATE UNLOGGED TABLE IF NOT EXISTS a.t ("as", b) AS EXECUTE ', b"p", b"(1)", flags=CHANGES),
    _executes(b"CREATE TEMP TABLE t AS EXECUTE ", b"p", b"", flags=CHANGES, pin=PinReason.TEMP_OBJECT),
    Example(b"EXECUTE u&1"),
    Example("EXECUTE pr\u00e9".encode()),
    Example(b"EXECUTE " + b"n" * 64),
    Example(b"CREATE TABLE t AS SELECT 1 AS execute FROM t", flags=CHANGES),
    Example(b"CREATE SEQUENCE s AS execute START 1", flags=CHANGES),
    Example(b"CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION f()", flags=CHANGES),
    Example(b"GRANT EXECUTE ON FUNCTION f TO r", flags=ScanFlag.DDL),
    _drops(b"DEALLOCATE ", b"Foo", b"foo"),
    _drops(b"DEALLOCATE PREPARE ", b'"F""oo"', b'F"oo'),
    _drops(b"DEALLOCATE ", b'"all"', b"all"),
    _drops(b"DEALLOCATE ", b"prepare", b"prepare"),
    Example("DEALLOCATE pr\u00e9".encode(), flags=ScanFlag.DEALLOCATE_ONE, deallocate="pr\u00e9".encode()),
    Example(
        b"PREPARE a AS SELECT 1; EXECUTE a; DEALLOCATE a; DISCARD ALL; SELECT 1",
        flags=ScanFlag.DEALLOCATE_ONE | ScanFlag.DISCARD_ALL,
        statements=5,
        deallocate=b"a",
        places=(
            Place(PlaceKind.PREPARES, b"a", 8, 9, 21),
            Place(PlaceKind.EXECUTES, b"a", 31, 32, -1),
            Place(PlaceKind.DROPS, b"a", 45, 46, 46),
            Place(PlaceKind.DROPS_ALL, None, -1, -1, -1),
        ),
    ),
]

STATEMENTS = [*SETTINGS, *PINS, *QUIET, *NAMING]
