"""The questions to a database's catalogue that tell what hides there, and their order.

Owns the SQL and the shape of its answers. Refuses to send it (the proxy does) and to judge the answers (`catalogue`).

Every name is qualified, operators too: the answers depend on no setting of the session, and nothing of a user's runs.
Stored expressions are fetched as trees (pg_node_tree), and only those that use one of `catalogue.BUILTINS`: to have
them spelled out would take locks on what they mention. Functions come in pages, so that neither the database nor the
proxy is ever busy with many at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass

from tidegate.session import catalogue
from tidegate.session.catalogue import (
    BUILTINS,
    CHANGE_OF_CATALOGUE,
    FIRST_USER_OID,
    Builtin,
    Function,
    Hidden,
    Known,
    node,
)
from tidegate.session.names import NameSet
from tidegate.session.settings import told

Row = Sequence[bytes | None]
Memory = dict[int, tuple[bytes, Known]]
"""By oid: which transaction wrote a function, and what it comes to."""

PAGE = 100
"""Functions in one answer."""
FUNCTIONS_A_SLICE = 20
"""Functions that are read between two pauses: a millisecond or so."""
LONGEST = 131_072
"""Bytes of a function's source that are fetched; a longer one is taken to do anything."""
MOST_KEPT = 20_000
"""Functions of which is kept what a reading made of them, about a kilobyte each."""
EDGES_A_ROW = 500
STANDARD_BODIES = 14
"""The major version from which functions may have a parsed body (pg_proc.prosqlbody)."""

_LIMITS = b"SET LOCAL statement_timeout=0;SET LOCAL bytea_output=hex;"
"""In front of each question; a simple query of several statements is one transaction."""


def _sql(text: str) -> bytes:
    """Qualify what stands for operators and casts below: ` ==`, ` >>=`, ` ~~`, `::t`, and `f:` for functions."""
    for short, full in (
        (" == ", " OPERATOR(pg_catalog.=) "),
        (" <> ", " OPERATOR(pg_catalog.<>) "),
        (" >>= ", " OPERATOR(pg_catalog.>=) "),
        (" >> ", " OPERATOR(pg_catalog.>) "),
        (" // ", " OPERATOR(pg_catalog./) "),
        (" ~ ", " OPERATOR(pg_catalog.~) "),
        ("::", "::pg_catalog."),
        ("f:", "pg_catalog."),
        ("USER", str(FIRST_USER_OID)),
    ):
        text = text.replace(short, full)
    return _LIMITS + " ".join(text.split()).encode()


def _bytes(expression: str) -> str:
    return f"f:convert_to({expression}::text,f:getdatabaseencoding())"


def _state(table: str, where: str = "oid >>= USER") -> str:
    """How many rows, and which transactions wrote them."""
    return f"(SELECT f:concat(f:count(*),'/',f:sum(xmin::text::int8)) FROM f:{table} WHERE {where})"


_RELATIONS = "relkind == ANY('{r,v,m,f,p,c}'::\"char\"[])"

FINGERPRINT = _sql(
    "SELECT f:concat_ws(',',"
    + ",".join(
        (
            *map(_state, ("pg_proc", "pg_operator", "pg_cast", "pg_opclass", "pg_event_trigger")),
            *map(_state, ("pg_rewrite", "pg_attrdef", "pg_constraint", "pg_policy")),
            _state("pg_trigger", "NOT tgisinternal"),
            _state("pg_type", "oid >>= USER AND typrelid == 0"),
            _state("pg_class", f"oid >>= USER AND relpersistence <> 't' AND {_RELATIONS}"),
            _state("pg_inherits", "true"),
            _state("pg_aggregate", "aggfnoid::oid >>= USER"),
        )
    )
    + ")"
)
"""One value that differs when anything changes of what is read below."""

BUILTIN_COLUMNS = 3
FIND_BUILTINS = _sql(
    f"SELECT oid,proname,prosrc FROM f:pg_proc WHERE pronamespace == 11 AND NOT oid >>= USER"
    f" AND proname == ANY('{{{','.join(BUILTINS)}}}'::name[])"
    f" UNION ALL SELECT oid,relname,'' FROM f:pg_class WHERE relnamespace == 11 AND relname == 'pg_settings'"
)

_PAIRS = (
    # Those that user code depends on, by pg_depend. (Table columns are on their types, and so on; a table on another,
    # such as a partition on its parent, is not what matters: see _LINKS.)
    ("pg_proc", ("pg_proc", "pg_class", "pg_type", "pg_attrdef", "pg_cast", "pg_constraint", "pg_operator",
                 "pg_rewrite", "pg_trigger", "pg_policy", "pg_event_trigger", "pg_opclass", "pg_opfamily")),
    ("pg_type", ("pg_proc", "pg_class", "pg_type", "pg_rewrite", "pg_policy", "pg_attrdef", "pg_constraint")),
    ("pg_class", ("pg_proc", "pg_type", "pg_rewrite", "pg_policy")),
    ("pg_operator", ("pg_proc", "pg_class", "pg_rewrite", "pg_policy", "pg_attrdef", "pg_constraint", "pg_trigger",
                     "pg_opfamily", "pg_opclass")),
    ("pg_cast", ("pg_proc", "pg_class", "pg_rewrite", "pg_policy", "pg_attrdef", "pg_constraint", "pg_trigger")),
    ("pg_opclass", ("pg_class", "pg_opfamily")),
    ("pg_opfamily", ("pg_opclass", "pg_constraint")),
)  # fmt: skip


def major_version(spelled: bytes) -> int:
    """Of server_version ('17.2', '18beta1', '15.4 (Debian ...)'); 0 if it says none."""
    digits = re.match(rb"[0-9]+", spelled)
    return int(digits[0]) if digits else 0


def _among(oids: Iterable[int]) -> str:
    return f"ANY('{{{','.join(map(str, oids))}}}'::oid[])"


def _class(table: str) -> int:
    return int(getattr(catalogue, table.upper()))


def _dependencies() -> str:
    pairs = " OR ".join(
        f"d.refclassid == {_class(used)} AND d.classid == {_among(map(_class, users))}" for used, users in _PAIRS
    )
    return (
        f"SELECT d.refclassid::int8 a,d.refobjid::int8 b,d.classid::int8 c,d.objid::int8 d FROM f:pg_depend d"
        f" WHERE d.objid >>= USER AND d.refobjid >>= USER AND ({pairs})"
    )


def _link(used: str | int, used_oid: str, user: str | int, user_oid: str, rest: str) -> str:
    a, c = (str(one if isinstance(one, int) else _class(one)) for one in (used, user))
    return f"SELECT {a}::int8,{used_oid}::int8,{c}::int8,{user_oid}::int8 FROM f:{rest}"


_LINKS = (
    # From a part of something to the whole.
    _link("pg_trigger", "oid", "pg_class", "tgrelid", "pg_trigger WHERE NOT tgisinternal"),
    _link("pg_attrdef", "oid", "pg_class", "adrelid", "pg_attrdef"),
    _link("pg_constraint", "oid", "pg_class", "conrelid", "pg_constraint WHERE conrelid <> 0 AND oid >>= USER"),
    _link("pg_constraint", "oid", "pg_type", "contypid", "pg_constraint WHERE contypid <> 0 AND oid >>= USER"),
    _link("pg_policy", "oid", "pg_class", "polrelid", "pg_policy"),
    _link("pg_rewrite", "oid", "pg_class", "ev_class", "pg_rewrite WHERE oid >>= USER"),
    _link("pg_class", "indexrelid", "pg_class", "indrelid", "pg_index WHERE indexrelid >>= USER"),
    _link("pg_opfamily", "opcfamily", "pg_opclass", "oid", "pg_opclass WHERE oid >>= USER"),
    _link("pg_opclass", "oid", "pg_type", "opcintype", "pg_opclass WHERE oid >>= USER AND opcintype >>= USER"),
    _link("pg_proc", "amproc::oid", "pg_opfamily", "amprocfamily", "pg_amproc WHERE amprocfamily >>= USER"),
    _link("pg_operator", "amopopr", "pg_opfamily", "amopfamily", "pg_amop WHERE amopfamily >>= USER"),
    # From a table to those whose statements reach it: its parent, and what a foreign key cascades from.
    _link("pg_class", "inhrelid", "pg_class", "inhparent", "pg_inherits"),
    _link("pg_class", "conrelid", "pg_class", "confrelid",
          "pg_constraint WHERE contype == 'f' AND (confdeltype == ANY('{c,n,d}'::\"char\"[])"
          " OR confupdtype == ANY('{c,n,d}'::\"char\"[]))"),
    _link("pg_event_trigger", "oid", CHANGE_OF_CATALOGUE >> 32, str(CHANGE_OF_CATALOGUE & 0xFFFFFFFF),
          "pg_event_trigger WHERE evtevent <> 'login'"),
)  # fmt: skip

FIND_EDGES = _sql(
    "SELECT f:string_agg(f:concat_ws(' ',e.a,e.b,e.c,e.d),' ') FROM"
    f" (SELECT u.*,f:row_number() OVER () // {EDGES_A_ROW} part FROM ("
    + " UNION ALL ".join((_dependencies(), *_LINKS))
    + ") u(a,b,c,d)) e GROUP BY e.part"
)

FIND_NAMES = _sql(
    f"SELECT {_class('pg_class')},oid,{_bytes('relname')} FROM f:pg_class"
    f" WHERE oid >>= USER AND {_RELATIONS}"
    f" UNION ALL SELECT {_class('pg_type')},oid,{_bytes('typname')} FROM f:pg_type"
    " WHERE oid >>= USER AND typrelid == 0"
)


LIST_FUNCTIONS = _sql(
    "SELECT f:string_agg(f:concat_ws(' ',e.oid,e.xmin),' ') FROM"
    f" (SELECT p.oid,p.xmin::text,f:row_number() OVER () // {EDGES_A_ROW} part FROM f:pg_proc p"
    " WHERE p.oid >>= USER AND p.pronamespace <> f:pg_my_temp_schema()"
    " AND NOT f:pg_is_other_temp_schema(p.pronamespace)) e GROUP BY e.part"
)
"""Which functions there are, and which transactions wrote them: most are known from the last reading."""

BEGINNING = b";".join((FINGERPRINT, FIND_BUILTINS, LIST_FUNCTIONS))
"""These go together: a login waits for the answers."""


def find_functions(major: int, oids: Iterable[int], trees: str) -> bytes:
    """Some functions. `trees`: the pattern of trees that matter."""
    own = "p.prosqlbody::text," if major >= STANDARD_BODIES else ""
    tree = f"f:concat({own}p.proargdefaults::text)"
    return _sql(
        f"SELECT p.oid,{_bytes('p.proname')},{_bytes('l.lanname')},"
        f"CASE WHEN f:octet_length(p.prosrc) >> {LONGEST} THEN NULL ELSE {_bytes('p.prosrc')} END,"
        f"{_bytes('p.probin')},CASE WHEN {tree} ~ '{trees}' THEN {_bytes(tree)} END,p.xmin::text"
        f" FROM f:pg_proc p JOIN f:pg_language l ON l.oid == p.prolang WHERE p.oid == {_among(oids)}"
    )


def find_uses(trees: str, builtins: Sequence[int]) -> bytes:
    """Operators and casts of users; stored expressions, and aggregates, that use one of `builtins`."""
    stored = (
        ("pg_rewrite", "f:concat(ev_action::text,ev_qual::text)"),
        ("pg_attrdef", "adbin::text"),
        ("pg_constraint", "conbin::text"),
        ("pg_policy", "f:concat(polqual::text,polwithcheck::text)"),
        ("pg_trigger", "tgqual::text"),
        ("pg_type", "typdefaultbin::text"),
    )
    parts = [  # the first one says of which types the columns are
        f"SELECT 'operator',oid,{_bytes('oprname')},oprcode::oid,oprleft,oprright FROM f:pg_operator"
        " WHERE oid >>= USER",
        "SELECT 'cast',oid,NULL,castfunc,castsource,casttarget FROM f:pg_cast WHERE oid >>= USER",
        "SELECT 'aggregate',aggfnoid::oid,NULL,aggtransfn::oid,NULL,NULL FROM f:pg_aggregate"
        f" WHERE aggfnoid::oid >>= USER AND aggtransfn::oid == {_among(builtins)}",
    ]
    parts += [
        f"SELECT '{_class(table)}',oid,{_bytes(tree)},NULL,NULL,NULL FROM f:{table}"
        f" WHERE oid >>= USER AND {tree} ~ '{trees}'"
        for table, tree in stored
    ]
    return _sql(" UNION ALL ".join(parts))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading has brought."""

    fingerprint: bytes
    unchanged: bool
    """Then the names of the last reading hold, and these say nothing."""
    names: NameSet | None = None
    functions: int = 0


def read(
    major: int, fingerprint: bytes | None, memory: Memory | None = None
) -> Generator[bytes | None, list[Row], Reading]:
    """Yields SQL whose rows it wants sent, or None for a pause. `fingerprint`: of the last reading, or None.

    `memory` holds what earlier readings have made of each function, and gets what this one does. ValueError if the
    answers are not of the shape that is expected.
    """
    memory = {} if memory is None else memory
    if fingerprint is not None:
        rows = yield FINGERPRINT
        if _text(rows[0], 0) == fingerprint:
            return Reading(fingerprint, True)
    first, *rows = yield BEGINNING
    state = _text(first, 0)
    builtins = {
        _number(row, 0): Builtin(_number(row, 0), _text(row, 1), _text(row, 2))
        for row in rows
        if len(row) == BUILTIN_COLUMNS
    }
    trees = _pattern(builtins.values())
    hidden = Hidden(builtins)
    yield from _read_functions(hidden, major, trees, memory, [row for row in rows if len(row) != BUILTIN_COLUMNS])
    for row in (yield find_uses(trees, [one for one in builtins if builtins[one].name != b"pg_settings"])):
        _add_use(hidden, row)
    if not hidden.suspicious:
        return Reading(state, False, None, len(hidden.functions))
    for row in (yield FIND_EDGES):
        hidden.add_edges(map(int, _text(row, 0).split()))
        yield None
    for count, row in enumerate((yield FIND_NAMES)):
        hidden.add_name(_number(row, 0), _number(row, 1), told(row[2]) or b"")
        if count % EDGES_A_ROW == EDGES_A_ROW - 1:
            yield None
    for _ in hidden.work():
        yield None
    return Reading(state, False, hidden.name_set(), len(hidden.functions))


def _read_functions(
    hidden: Hidden, major: int, trees: str, memory: Memory, listed: list[Row]
) -> Generator[bytes | None, list[Row], None]:
    """Read those that are new; what is known of the others goes over as it is."""
    present: dict[int, bytes] = {}
    for row in listed:
        numbers = iter(_text(row, 0).split())
        present.update((int(oid), xmin) for oid, xmin in zip(numbers, numbers, strict=True))
        yield None
    for oid in [oid for oid, (xmin, _) in memory.items() if present.get(oid) != xmin]:
        del memory[oid]
    for count, (_, known) in enumerate(memory.values()):
        hidden.add_known(known)
        if count % EDGES_A_ROW == EDGES_A_ROW - 1:
            yield None
    missing = [oid for oid in present if oid not in memory]
    for start in range(0, len(missing), PAGE):
        for count, row in enumerate((yield find_functions(major, missing[start : start + PAGE], trees))):
            if count and count % FUNCTIONS_A_SLICE == 0:
                yield None
            known = hidden.add_function(
                Function(
                    _number(row, 0), told(row[1]) or b"", told(row[2]) or b"", told(row[3]), told(row[4]) or b"",
                    told(row[5]) or b"",
                )
            )  # fmt: skip
            if len(memory) < MOST_KEPT:
                memory[known.oid] = (_text(row, 6), known)
        yield None


def _add_use(hidden: Hidden, row: Row) -> None:
    kind, oid = row[0], _number(row, 1)
    if kind == b"operator":
        hidden.add_operator(oid, told(row[2]) or b"", _number(row, 3), (_number(row, 4), _number(row, 5)))
    elif kind == b"cast":
        hidden.add_cast(oid, _number(row, 3), (_number(row, 4), _number(row, 5)))
    elif kind == b"aggregate":
        hidden.add_edges((catalogue.PG_PROC, _number(row, 3), catalogue.PG_PROC, oid))
    else:
        hidden.add_tree(node(_number(row, 0), oid), told(row[2]) or b"")


def _pattern(found: Collection[Builtin]) -> str:
    """What a tree has that uses one of them."""
    functions = "|".join(str(one.oid) for one in found if one.name != b"pg_settings")
    views = "|".join(str(one.oid) for one in found if one.name == b"pg_settings")
    return f":funcid ({functions}) |:relid ({views}) "


def _text(row: Row, at: int) -> bytes:
    return row[at] or b""


def _number(row: Row, at: int) -> int:
    return int(row[at] or b"0")
