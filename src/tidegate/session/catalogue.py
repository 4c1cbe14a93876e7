"""What hides in a database: which names in a statement lead to changes of the session that its text does not say.

Owns the meaning of what the catalogue says of functions, and of what reaches them: calls, triggers, views, rules,
defaults, constraints, policies, casts, operators, types. Refuses to read it (`catalogue_queries` has the SQL, the proxy
the connection) and to look at statements (`scanner` does, with the `NameSet` that is made here).

Algorithm: objects are nodes, named by catalogue and oid as in pg_depend. Each function is read on its own (`bodies`)
and has a Change then, mostly none. If no function and no stored expression has one, that is the whole answer. Else
changes flow along edges, from an object to those that use it, until nothing is new: the edges of the catalogue are
given, and a function's text uses whatever has a name that stands in it. What flows too far costs a probe; what does not
flow would cost a leak. At the end each node that something has reached puts its name, with all that its use may
change, into the set.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.session.bodies import Body, read_body
from tidegate.session.facts import ScanFlag
from tidegate.session.names import Effect, NameSet, name_hash
from tidegate.session.pins import PinReason
from tidegate.session.scanner import scan_text
from tidegate.session.stateless import is_stateless

# Oids of catalogues, the same in every PostgreSQL (include/catalog/pg_*.h).
PG_TYPE = 1247
PG_PROC = 1255
PG_CLASS = 1259
PG_ATTRDEF = 2604
PG_CAST = 2605
PG_CONSTRAINT = 2606
PG_OPCLASS = 2616
PG_OPERATOR = 2617
PG_REWRITE = 2618
PG_TRIGGER = 2620
PG_OPFAMILY = 2753
PG_POLICY = 3256
PG_EVENT_TRIGGER = 3466

FIRST_USER_OID = 16384
"""Objects below were made by initdb (include/access/transam.h, FirstNormalObjectId)."""

BUILTINS = (
    "set_config",
    "setseed",
    "currval",
    "lastval",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "pg_backup_start",
    "pg_start_backup",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_replication_origin_session_setup",
)
"""Functions of PostgreSQL's own that change the session: those of `keywords`, as the catalogue has them."""

RELATION_READERS = (
    b"table_to_xml",
    b"table_to_xml_and_xmlschema",
    b"schema_to_xml",
    b"schema_to_xml_and_xmlschema",
    b"database_to_xml",
    b"database_to_xml_and_xmlschema",
    b"cursor_to_xml",
)
"""They read tables and views that are named in a string, or not at all."""

IMPLIED_OPERATORS = frozenset(b"= <> != < > <= >= ~~ !~~ ~~* !~~* ~ !~ ~* !~*".split())
"""Used without being written: by IN, LIKE, BETWEEN, ORDER BY, DISTINCT, joins."""

MOST_SETTINGS = 64
"""Names of settings behind one object; one with more changes settings unknown."""
MOST_NAMES = 100_000
SLICE = 500
"""Edges or functions between two pauses: some milliseconds."""

EVERY_STATEMENT = 0
"""A node: what reaches it is reached by every statement."""
CHANGE_OF_CATALOGUE = 1
"""A node: what reaches it is reached by DDL."""

_NOT_READ = frozenset((PinReason.DO_BLOCK, PinReason.CALL, PinReason.UNICODE_IDENTIFIER, PinReason.OVERSIZED_STATEMENT))
_HIDDEN_FLAGS = ScanFlag.MAKES_CODE | ScanFlag.READS_SEQUENCES
_DEALLOCATES = ScanFlag.DEALLOCATE_ONE | ScanFlag.DEALLOCATE_ALL
_RESETS = ScanFlag.RESET_ALL | ScanFlag.DISCARD_ALL
_SETTING_IN_TREE = re.compile(rb"[^{}]*:args \(\{CONST :consttype 25 [^{}]*?:constvalue \d+ \[ ([-0-9 ]*)\]")


def node(catalogue: int, oid: int) -> int:
    """One object as a number."""
    return catalogue << 32 | oid


@dataclass(frozen=True, slots=True)
class Change:
    """What may happen when something is used; flags are ScanFlag bits (_HIDDEN_FLAGS, and DDL while it flows)."""

    touched: frozenset[str] = frozenset()
    reasons: frozenset[PinReason] = frozenset()
    flags: int = 0

    def __or__(self, other: Change) -> Change:
        return Change(self.touched | other.touched, self.reasons | other.reasons, self.flags | other.flags)

    def __bool__(self) -> bool:
        return bool(self.touched or self.reasons or self.flags)

    @property
    def effect(self) -> Effect:
        """As the scanner takes it: the severest reason, and not more settings than can be asked for."""
        reasons = set(self.reasons)
        if len(self.touched) > MOST_SETTINGS:
            reasons.add(PinReason.UNREAD_CODE)
        pin = max(sorted(reasons), key=lambda reason: reason.weight, default=None)
        touched = sorted(self.touched) if len(self.touched) <= MOST_SETTINGS else ()
        return Effect(tuple(touched), pin, self.flags & _HIDDEN_FLAGS)


NO_CHANGE = Change()
UNKNOWN = Change(reasons=frozenset((PinReason.UNREAD_CODE,)))


class Function(NamedTuple):
    """A row of pg_proc. `source` is None where it is too long to be read."""

    oid: int
    name: bytes
    language: bytes
    source: bytes | None
    library: bytes = b""
    tree: bytes = b""
    """Stored expressions (arguments' defaults, a body after the SQL standard) that use one of BUILTINS."""


class Builtin(NamedTuple):
    """One of BUILTINS, or pg_settings, as this database has it."""

    oid: int
    name: bytes
    symbol: bytes
    """What a function LANGUAGE internal calls it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a function: what it may change by itself, and what it uses."""

    oid: int
    name: bytes
    change: Change
    ddl: bool
    words: array[int]
    runs: frozenset[bytes]


@dataclass(slots=True)
class Hidden:
    """Collects what the catalogue says of one database, and works out the names."""

    builtins: Mapping[int, Builtin] = field(default_factory=dict)
    functions: list[Known] = field(default_factory=list)
    changes: dict[int, Change] = field(default_factory=dict)
    """By node: what has been found so far."""
    edges: dict[int, list[int]] = field(default_factory=dict)
    """From what is used to what uses it."""
    names: dict[int, bytes] = field(default_factory=dict)
    """Of functions, relations and types."""
    symbols: dict[int, bytes] = field(default_factory=dict)
    """Of operators that have to be written in order to be used."""

    # --- what the catalogue says --------------------------------------------------------------------------------------

    def add_function(self, function: Function) -> Known:
        """Read one function; what it comes to may be given to another `Hidden` by add_known()."""
        body = None
        if function.language in (b"sql", b"plpgsql") and function.source is not None:
            body = read_body(function.source)
            change = _of_body(body)
        else:
            change = self._of_foreign(function)
        if function.tree:
            change |= self.of_tree(function.tree)
        known = Known(
            function.oid,
            function.name,
            change,
            bool(body is not None and body.flags & ScanFlag.DDL),
            body.words if body is not None else array("Q"),
            body.runs if body is not None else frozenset(),
        )
        self.add_known(known)
        return known

    def add_known(self, known: Known) -> None:
        """A function that was read before."""
        at = node(PG_PROC, known.oid)
        self.names[at] = known.name
        self._add(at, known.change)
        self.functions.append(known)

    def _of_foreign(self, function: Function) -> Change:
        """A function whose source is not SQL."""
        if function.language == b"internal":
            for one in self.builtins.values():
                if one.symbol and one.symbol == function.source:
                    return _of_text(one.name + b"()")
            return NO_CHANGE
        if function.language == b"c" and is_stateless(function.library, function.source or b""):
            return NO_CHANGE
        return UNKNOWN

    def add_tree(self, at: int, tree: bytes) -> None:
        """A stored expression or query that uses one of BUILTINS."""
        self._add(at, self.of_tree(tree))

    def of_tree(self, tree: bytes) -> Change:
        """What a stored expression may change by itself (nodes as in outfuncs.c)."""
        change = NO_CHANGE
        for one in self.builtins.values():
            kind = b":relid %d " if one.name == b"pg_settings" else b":funcid %d "
            for found in re.finditer(re.escape(kind % one.oid), tree):
                change |= self._of_call(one, tree, found.end())
        return change

    def _of_call(self, builtin: Builtin, tree: bytes, end: int) -> Change:
        if builtin.name == b"pg_settings":
            return UNKNOWN
        setting = _SETTING_IN_TREE.match(tree, end) if builtin.name == b"set_config" else None
        if setting is None:
            return _of_text(builtin.name + b"()")
        name = bytes(int(one) & 255 for one in setting[1].split())[4:]  # behind its varlena header
        return _of_text(b"set_config('" + name.replace(b"'", b"''") + b"',")

    def add_edges(self, numbers: Iterable[int]) -> None:
        """Quadruples: catalogue and oid of what is used, catalogue and oid of what uses it."""
        at = iter(numbers)
        for used, used_oid, user, user_oid in zip(at, at, at, at, strict=True):
            self._edge(node(used, used_oid), node(user, user_oid))

    def add_operator(self, oid: int, symbol: bytes, function: int, operands: Iterable[int]) -> None:
        """A row of pg_operator; `operands` are types, 0 for none."""
        at = node(PG_OPERATOR, oid)
        self._edge(node(PG_PROC, function), at)
        own = [operand for operand in operands if operand >= FIRST_USER_OID]
        if symbol not in IMPLIED_OPERATORS:
            self.symbols[at] = symbol
        elif not own:
            self._edge(at, EVERY_STATEMENT)
        for operand in own if symbol in IMPLIED_OPERATORS else ():
            self._edge(at, node(PG_TYPE, operand))

    def add_cast(self, oid: int, function: int, types: Iterable[int]) -> None:
        """A row of pg_cast. It may be applied wherever a value of one type or the other is."""
        at = node(PG_CAST, oid)
        self._edge(node(PG_PROC, function), at)
        own = [one for one in types if one >= FIRST_USER_OID]
        for one in own:
            self._edge(at, node(PG_TYPE, one))
        if not own:
            self._edge(at, EVERY_STATEMENT)

    def add_name(self, catalogue: int, oid: int, name: bytes) -> None:
        """The name of a relation or type."""
        self.names[node(catalogue, oid)] = name

    def _edge(self, used: int, user: int) -> None:
        self.edges.setdefault(used, []).append(user)

    def _add(self, at: int, change: Change) -> bool:
        """Whether the change is news."""
        if not change:
            return False
        before = self.changes.get(at, NO_CHANGE)
        after = before | change
        if after == before:
            return False
        self.changes[at] = after
        return True

    # --- what follows from it -----------------------------------------------------------------------------------------

    @property
    def suspicious(self) -> bool:
        """Whether anything changes the session, so that it matters what uses it."""
        return bool(self.changes) or bool(self.builtins.keys() & {at & 0xFFFFFFFF for at in self.edges})

    def work(self) -> Iterator[None]:
        """Let all changes flow to where they reach; pauses where it yields."""
        for builtin in self.builtins.values():
            if builtin.name != b"pg_settings":
                self._add(node(PG_PROC, builtin.oid), _of_text(builtin.name + b"()"))
        fresh = set(self.changes)
        while fresh:
            yield from self._flow(fresh)
            fresh = yield from self._mentioned(fresh)

    def _flow(self, fresh: set[int]) -> Iterator[None]:
        """Along the catalogue's edges; `fresh` grows by what is reached."""
        waiting = list(fresh)
        steps = 0
        while waiting:
            at = waiting.pop()
            for user in self.edges.get(at, ()):
                steps += 1
                if self._add(user, self.changes[at]):
                    fresh.add(user)
                    waiting.append(user)
            if steps >= SLICE:
                steps = 0
                yield

    def _mentioned(self, fresh: set[int]) -> Generator[None, None, set[int]]:
        """Functions in whose text something stands that has changed lately."""
        words: dict[int, Change] = {}
        runs: dict[bytes, Change] = {}
        for at in fresh:
            if at in self.names:
                key = name_hash(self.names[at])
                words[key] = words.get(key, NO_CHANGE) | self.changes[at]
            if at in self.symbols:
                runs[self.symbols[at]] = runs.get(self.symbols[at], NO_CHANGE) | self.changes[at]
        on_ddl = self.changes[CHANGE_OF_CATALOGUE] if CHANGE_OF_CATALOGUE in fresh else NO_CHANGE
        always = self.changes[EVERY_STATEMENT] if EVERY_STATEMENT in fresh else NO_CHANGE
        reached = set()
        for count, function in enumerate(self.functions):
            change = always | (on_ddl if function.ddl else NO_CHANGE)
            if not words.keys().isdisjoint(function.words):
                for word in words.keys() & set(function.words):
                    change |= words[word]
            for symbol, what in runs.items():
                if any(symbol in run for run in function.runs):
                    change |= what
            if self._add(node(PG_PROC, function.oid), change):
                reached.add(node(PG_PROC, function.oid))
            if count % SLICE == SLICE - 1:
                yield
        return reached

    def name_set(self) -> NameSet | None:
        """The names, once `work` is done; None if nothing hides."""
        names: dict[bytes, Change] = {}
        symbols: dict[bytes, Change] = {}
        foreign = NO_CHANGE
        relations = False
        for at, change in self.changes.items():
            name = self.names.get(at)
            if name is not None and not name.isascii():
                foreign |= change
            elif name is not None:
                names[name] = names.get(name, NO_CHANGE) | change
                relations = relations or at >> 32 == PG_CLASS
            elif at in self.symbols:
                symbols[self.symbols[at]] = symbols.get(self.symbols[at], NO_CHANGE) | change
        if relations:
            names.update((name, names.get(name, NO_CHANGE) | UNKNOWN) for name in RELATION_READERS)
        always = self.changes.get(EVERY_STATEMENT)
        if len(names) > MOST_NAMES:
            always, names = UNKNOWN, {}
        found = NameSet(
            {name: change.effect for name, change in names.items()},
            {symbol: change.effect for symbol, change in symbols.items()},
            _effect(always),
            _effect(self.changes.get(CHANGE_OF_CATALOGUE)),
            _effect(foreign),
        )
        return None if found.empty else found


def everything_unknown() -> NameSet:
    """For a database whose catalogue can't be read."""
    return NameSet({}, always=UNKNOWN.effect)


def _effect(change: Change | None) -> Effect | None:
    return change.effect if change else None


def _of_text(text: bytes) -> Change:
    facts = scan_text(text)
    reasons = frozenset(() if facts.pin is None else (facts.pin,))
    return Change(frozenset(facts.touched), reasons, facts.flags & ScanFlag.READS_SEQUENCES)


def _of_body(body: Body) -> Change:
    """What a body may do to the session that runs it."""
    reasons = {PinReason.UNREAD_CODE if one in _NOT_READ else one for one in body.reasons}
    if body.flags & _DEALLOCATES:
        reasons.add(PinReason.SQL_PREPARE)
    if body.flags & _RESETS:
        reasons.add(PinReason.UNREAD_CODE)
    return Change(frozenset(body.touched), frozenset(reasons), body.flags & _HIDDEN_FLAGS) or NO_CHANGE
